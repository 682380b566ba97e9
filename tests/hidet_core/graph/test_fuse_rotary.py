"""Rotary embedding as exporters spell it becomes one operator; what only looks like it is left."""

import numpy as np
import pytest

from hidet_core.graph.graph import count_ops, verify_graph
from hidet_core.graph.passes.append_caches import append_caches
from hidet_core.graph.passes.fuse_rotary import fuse_rotary
from hidet_core.graph.reference import run_graph
from tests.hidet_core.compiled import Net, feeds_of

SHAPE = (2, 3, 5, 8)


def cut(net, x, start, step=1):
    rows = x.type.shape[:-1]
    attrs = {"starts": (0, 0, 0, start), "steps": (1, 1, 1, step), "sizes": (*rows, 4)}
    return net.slice(x, **attrs)


def angles(net):
    return net.x(5, 8), net.x(5, 8)


def halves(net, x):
    return net.concat(net.neg(cut(net, x, 4)), cut(net, x, 0), axis=3)


def neighbours(net, x):
    parts = net.neg(cut(net, x, 1, 2)), cut(net, x, 0, 2)
    return net.reshape(
        net.concat(*(net.reshape(part, (2, 3, 5, 4, 1)) for part in parts), axis=4), SHAPE
    )


def rotation(net, rotated, order=0):
    x, (cos, sin) = net.x(*SHAPE), angles(net)
    pairs = [(x, cos), (rotated(net, x), sin)]
    products = [net.mul(*pair[:: -1 if order & 1 else 1]) for pair in pairs]
    return net.done(net.add(*products[:: -1 if order & 2 else 1]))


@pytest.mark.parametrize("order", range(4))
@pytest.mark.parametrize("rotated", [halves, neighbours])
def test_fused(rotated, order):
    before = rotation(Net(), rotated, order)
    after = fuse_rotary(before)
    verify_graph(after)
    (found,) = (op for op in after.operators if op.op.name == "rotary")
    assert after.outputs[0] is found.output
    assert found.attrs["interleaved"] == (rotated is neighbours)
    feeds = feeds_of(before)
    np.testing.assert_allclose(
        run_graph(after, feeds)["y0"], run_graph(before, feeds)["y0"], 1e-6, 1e-6
    )


@pytest.mark.parametrize("rest", [8, 9])
def test_some_of_the_elements(rest):
    """GPT-NeoX turns the first part of a row; another order of the parts is left."""
    net = Net()
    whole = net.x(2, 3, 5, 11)
    x = net.slice(whole, starts=(0,) * 4, steps=(1,) * 4, sizes=SHAPE)
    others = {"starts": (0, 0, 0, rest), "steps": (1,) * 4, "sizes": (2, 3, 5, 11 - rest)}
    cos, sin = angles(net)
    turned = net.add(net.mul(x, cos), net.mul(halves(net, x), sin))
    before = net.done(net.concat(turned, net.slice(whole, **others), axis=3))
    after = fuse_rotary(before)
    last = after.operators[-1]
    assert last.op.name == ("rotary" if rest == 8 else "concat")
    feeds = feeds_of(before)
    np.testing.assert_allclose(
        run_graph(after, feeds)["y0"], run_graph(before, feeds)["y0"], 1e-6, 1e-6
    )


def not_negated(net, x):
    return net.concat(cut(net, x, 4), cut(net, x, 0), axis=3)


def the_other_half(net, x):
    return net.concat(net.neg(cut(net, x, 0)), cut(net, x, 4), axis=3)


def of_another(net, x):
    return halves(net, net.relu(x))


def other_elements(net, x):
    return net.concat(net.neg(cut(net, x, 3)), cut(net, x, 0), axis=3)


def not_side_by_side(net, x):
    parts = net.neg(cut(net, x, 1, 2)), cut(net, x, 0, 2)
    return net.concat(*parts, axis=3)


@pytest.mark.parametrize(
    "rotated", [not_negated, the_other_half, of_another, other_elements, not_side_by_side]
)
def test_left(rotated):
    graph = rotation(Net(), rotated)
    assert "rotary" not in count_ops(fuse_rotary(graph))


def test_one_angle_for_all_elements_is_left():
    net = Net()
    x, cos, sin = net.x(*SHAPE), net.x(5, 1), net.x(5, 1)
    graph = net.done(net.add(net.mul(x, cos), net.mul(halves(net, x), sin)))
    assert "rotary" not in count_ops(fuse_rotary(graph))


def grown(net, *new, axis=1):
    return net.concat(net.x(2, 3, 4), *new, axis=axis)


def test_a_cache_is_appended_to():
    net = Net()
    before = net.done(grown(net, net.relu(net.x(2, 1, 4))))
    after = append_caches(before)
    assert count_ops(after) == {"append": 1, "relu": 1}
    feeds = feeds_of(before)
    np.testing.assert_array_equal(run_graph(after, feeds)["y0"], run_graph(before, feeds)["y0"])


@pytest.mark.parametrize("kind", ["inside", "two inputs", "three parts"])
def test_other_concats_are_left(kind):
    net = Net()
    new = net.x(2, 1, 4)
    made = [net.relu(new), net.exp(new)] if kind == "three parts" else [net.relu(new)]
    joined = grown(net, *([new] if kind == "two inputs" else made))
    graph = net.done(net.relu(joined) if kind == "inside" else joined)
    assert append_caches(graph) is graph
