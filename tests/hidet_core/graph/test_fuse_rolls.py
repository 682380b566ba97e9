"""Slices that are put together again become rolls and transposes; rows picked become slices."""

import numpy as np
import pytest

from hidet_core.graph.graph import count_ops, verify_graph
from hidet_core.graph.passes import run_passes
from hidet_core.graph.passes.eliminate_dead import eliminate_dead
from hidet_core.graph.passes.fuse_rolls import fuse_rolls
from hidet_core.graph.passes.pick_slices import pick_slices
from hidet_core.graph.reference import run_graph
from hidet_core.importer import from_model, import_subgraph
from hidet_ep import zoo
from tests.hidet_core.compiled import Net, feeds_of


def equal_after(graph, *passes, **sizes):
    after = graph
    for one in passes:
        after = one(after)
    verify_graph(after)
    feeds = feeds_of(graph, **{symbol.name: 3 for symbol in graph.symbols} | sizes)
    expected, found = run_graph(graph, feeds), run_graph(after, feeds)
    for key, array in expected.items():
        np.testing.assert_array_equal(found[key], array)
    return count_ops(after)


def cut(net, x, **axes):
    """x with slices: a1=(start, step) of axis 1."""
    rank = x.type.rank
    starts, steps, sizes = [0] * rank, [1] * rank, list(x.type.shape)
    for name, (start, end, step) in axes.items():
        k = int(name[1:])
        starts[k], steps[k], sizes[k] = start, step, -((start - end) // step)
    return net.slice(x, starts=tuple(starts), steps=tuple(steps), sizes=tuple(sizes))


def rolled(net, x, axis, by):
    size = x.type.shape[axis]
    key = f"a{axis}"
    tail, head = cut(net, x, **{key: (by, size, 1)}), cut(net, x, **{key: (0, by, 1)})
    return net.concat(tail, head, axis=axis)


def test_roll_of_two_axes():
    net = Net()
    x = net.x("n", 5, 7, 3)
    y = rolled(net, rolled(net, x, 1, 2), 2, 3)
    assert equal_after(net.done(y), fuse_rolls, eliminate_dead) == {"roll": 1}


def test_a_roll_and_back_again():
    net = Net()
    x = net.x(2, 5, 3)
    y = net.neg(rolled(net, rolled(net, x, 1, 2), 1, 3))
    assert equal_after(net.done(y), run_passes) == {"neg": 1, "roll": 1}


@pytest.mark.parametrize(
    "cuts",
    [
        [(2, 5), (0, 3)],  # an element twice
        [(0, 2), (2, 5)],  # in order: a copy
        [(3, 5), (0, 2)],  # one left out
    ],
)
def test_other_pieces_are_no_roll(cuts):
    net = Net()
    x = net.x(2, 5, 3)
    y = net.concat(*(cut(net, x, a1=(*ends, 1)) for ends in cuts), axis=1)
    assert "roll" not in equal_after(net.done(y), fuse_rolls)


def test_slices_of_slices():
    net = Net()
    x = net.x(4, 30)
    y = cut(net, cut(net, x, a1=(3, 30, 4)), a0=(1, 3, 1), a1=(1, 7, 3))
    graph = net.done(y)
    assert equal_after(graph, fuse_rolls)["slice"] == 2
    assert equal_after(graph, run_passes) == {"slice": 1}


@pytest.mark.parametrize("axis", [1, 3])
@pytest.mark.parametrize("order", [(0, 1, 2, 3), (0, 2, 1, 3)])
def test_space_to_depth(axis, order):
    """Swin merges patches along the last axis, YOLO's focus along the channels."""
    net = Net()
    x = net.x("n", 6, 4, 8)
    first, second = (2, 3) if axis == 1 else (1, 2)
    sizes = x.type.shape
    starts = [divmod(k, 2) for k in order]
    parts = [
        cut(net, x, **{f"a{first}": (a, sizes[first], 2), f"a{second}": (b, sizes[second], 2)})
        for a, b in starts
    ]
    graph = net.done(net.concat(*parts, axis=axis))
    ops = equal_after(graph, fuse_rolls, eliminate_dead)
    assert ops == {"reshape": 2, "transpose": 1}


def test_steps_in_no_order_stay():
    net = Net()
    x = net.x(2, 4, 3)
    parts = [cut(net, x, a1=(start, 4, 2)) for start in (1, 0)]
    assert equal_after(net.done(net.concat(*parts, axis=2)), fuse_rolls)["concat"] == 1


@pytest.mark.parametrize(("index", "shape"), [(1, ()), (-1, ()), (2, (1,)), (0, (1, 1))])
def test_a_picked_row_is_a_slice(index, shape):
    net = Net()
    x = net.x("n", 3, 4)
    at = net.constant(np.full(shape, index), "at")
    graph = net.done(net.gather(x, at, axis=1))
    assert equal_after(graph, pick_slices) == {"slice": 1} | (
        {} if shape == (1,) else {"reshape": 1}
    )


def test_rows_of_symbolic_sizes_stay_gathers():
    """The gather clamps an index that is out of range at run time."""
    net = Net()
    x = net.x(2, "n", 4)
    graph = net.done(net.gather(x, net.constant(np.int64(2), "at"), axis=1))
    assert pick_slices(graph) is graph


@pytest.mark.parametrize("name", ["swin", "vit"])
def test_exported_networks(name):
    """No windows are gathered, no concats stored."""
    model = from_model(zoo.build_network(name, "reduced"))
    ids = [node.id for node in model.nodes]
    ops = count_ops(run_passes(import_subgraph(model, ids, model.inputs, model.outputs)))
    assert ops["attention"] == {"swin": 4, "vit": 2}[name]
    assert ops.get("concat", 0) == {"swin": 0, "vit": 1}[name]
    assert "gather" not in ops
