"""Attention on GPUs: all kinds of masks and sizes, several tiles of keys, fused layouts."""

import numpy as np
import pytest

from hidet_core.compute.evaluate import dim_value
from hidet_core.graph.reference import run_graph
from tests.hidet_core.compiled import Net, compare, compiled, feeds_of
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated
from tests.hidet_core.schedule.attention_cases import (
    CASES,
    attention,
    grouped,
    heads,
    infinite_padding,
    merged,
)
from tests.hidet_core.schedule.cuda.picking import of

simt = of("Attention")
SLOW = {"many keys", "aligned", "causal over a past", "next token", "next tokens"}


def small_tiles(found):
    return of("Attention", lambda c: c.block_k <= 16 and c.block_q <= 8)(found)


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    check_cuda(CASES[name](Net()), pick=simt, interpreted=name not in SLOW)


@pytest.mark.parametrize("name", ["prime", "causal", "kept", "kept pairs"])
def test_several_tiles(name):
    check_cuda(CASES[name](Net()), pick=small_tiles, seeds=(1, 2, 3), interpreted=False)


def test_symbolic_sizes():
    net = Net()
    q, k, v = net.x("b", "s", 8), net.x("b", "t", 8), net.x("b", "t", 8)
    graph = net.done(attention(net, q, k, v, net.x("b", 1, "t"), causal=True))
    sizes = ((1, 1, 1), (2, 5, 7), (1, 40, 41))
    check_cuda(
        graph, *(dict(zip("bst", size, strict=True)) for size in sizes), pick=small_tiles,
        interpreted=False,
    )  # fmt: skip


def test_keys_in_parts():
    """How many parts there are depends on the sizes of a run."""
    net = Net()
    q, k, v = net.x("b", 3, "s", 8), net.x("b", 1, "t", 8), net.x("b", 1, "t", 12)
    graph = net.done(attention(net, q, k, v, causal=True, left=60))
    sizes = ((1, 1, 100), (2, 2, 5), (1, 30, 45))
    sizes = [dict(zip("bst", size, strict=True)) for size in sizes]
    result = check_cuda(graph, *sizes, pick=small_tiles, seeds=(1, 2), interpreted=False)
    (kernel,) = result.kernels
    symbols = {symbol: sizes[0][symbol.name] for symbol in graph.symbols}
    assert dim_value(kernel.program.tasks, symbols) > 3
    assert len(kernel.scheduled.workspace) == 2


def test_merged_layout():
    """One kernel: slices, biases and transposes are index maps."""
    result = check_cuda(merged(Net()), {"b": 2, "s": 11}, pick=simt)
    assert len(result.kernels) == 1


def test_heads_that_share_keys():
    assert len(check_cuda(grouped(Net()), pick=simt).kernels) == 1


@pytest.mark.skipif(not HAS_COMPILER, reason="needs a C++ compiler")
@pytest.mark.parametrize("zero_nan", [False, True])
def test_rows_that_see_nothing(zero_nan):
    net = Net()
    q, k, v = heads(net, (2, 3, 17, 8))
    graph = net.done(attention(net, q, k, v, net.x(2, 1, 1, 17), zero_nan=zero_nan))
    feeds = feeds_of(graph) | {graph.inputs[-1].name: infinite_padding().astype(np.float32)}
    expected = run_graph(graph, feeds)
    result = compiled(graph, small_tiles, H200)
    compare(result.interpret(feeds, run_emulated), expected)


@needs_nvrtc
@pytest.mark.parametrize("width", [32, 64, 80, 128, 256])
def test_nothing_spills(width):
    net = Net()
    graph = net.done(attention(net, *heads(net, (1, 12, 128, width)), causal=True))
    next_ = Net()
    token = next_.done(attention(next_, *heads(next_, (1, 8, 1, width), keys=4096)))
    for used in usages(compiled(graph, simt, H200)) + usages(compiled(token, simt, H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used
