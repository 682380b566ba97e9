"""Attention on CPUs: all kinds of masks and sizes, several blocks of keys, fused layouts."""

import numpy as np
import pytest

from hidet_core.graph.reference import run_graph
from tests.hidet_core.compiled import Net, check, compare, compiled, feeds_of
from tests.hidet_core.schedule.attention_cases import (
    CASES,
    attention,
    grouped,
    heads,
    infinite_padding,
    merged,
)


def small_blocks(found):
    """A config with few queries in a task and few keys in a block."""
    return min(found, key=lambda c: (c.config.keys, c.config.rows, str(c.config)))


def odd_tiles(found):
    return max(found, key=lambda c: (c.config.nv, c.config.mr % 2, str(c.config)))


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    check(CASES[name](Net()))


@pytest.mark.parametrize("pick", [small_blocks, odd_tiles])
@pytest.mark.parametrize("name", ["ragged", "prime", "many keys", "causal over a past", "kept"])
def test_other_configs(name, pick):
    check(CASES[name](Net()), pick=pick)


@pytest.mark.parametrize("name", ["tiny", "ragged", "many keys", "kept pairs", "next token"])
def test_every_access_is_inside(name):
    check(CASES[name](Net()), pick=small_blocks, interpreted=True)


def test_symbolic_sizes():
    net = Net()
    q, k, v = net.x("b", "s", 8), net.x("b", "t", 8), net.x("b", "t", 8)
    graph = net.done(attention(net, q, k, v, net.x("b", 1, "t")))
    sizes = ((1, 1, 1), (2, 5, 7), (1, 150, 3), (2, 16, 16), (1, 7, 1100), (3, 2, 150))
    check(graph, *(dict(zip("bst", size, strict=True)) for size in sizes))


def test_merged_layout():
    """One kernel: slices, biases and transposes are index maps."""
    result = check(merged(Net()), {"b": 2, "s": 11}, {"b": 1, "s": 130}, interpreted=False)
    assert len(result.kernels) == 1


def test_heads_that_share_keys():
    assert len(check(grouped(Net())).kernels) == 1


@pytest.mark.parametrize("zero_nan", [False, True])
def test_rows_that_see_nothing(zero_nan):
    net = Net()
    q, k, v = heads(net, (2, 3, 17, 8))
    graph = net.done(attention(net, q, k, v, net.x(2, 1, 1, 17), zero_nan=zero_nan))
    feeds = feeds_of(graph) | {graph.inputs[-1].name: infinite_padding().astype(np.float32)}
    expected = run_graph(graph, feeds)
    assert np.isnan(expected["y0"]).any() != zero_nan
    for pick in (small_blocks, odd_tiles):
        compare(compiled(graph, pick).run(feeds), expected)


def test_large_scores_do_not_overflow():
    net = Net()
    q, k, v = heads(net, (1, 70, 8))
    graph = net.done(attention(net, net.mul(q, net.scalar(300.0, q)), k, v, scale=1.0))
    check(graph, pick=small_blocks)


def test_nothing_to_attend():
    net = Net()
    check(net.done(attention(net, *heads(net, (2, 0, 8), keys=3))))
