"""Storage: copies and pads only where they are needed; no two values share an element; zeros lie
where padded convolutions read them; and corner cases run through compiled code.
"""

import itertools

import numpy as np
import pytest
from hypothesis import given, settings

from hidet_core.compute.evaluate import dim_value
from hidet_core.graph.graph import count_ops
from hidet_core.graph.storage import make_storable, plan_storage
from hidet_core.ir.dtypes import f32
from tests.hidet_core.compiled import Net, check
from tests.hidet_core.random_graphs import graphs

SAME = {"pads": (1, 1, 1, 1)}
CONCATS = ("unary", "concat", "concat", "conv", "conv", "binary", "transpose")


def added(graph):
    """What make_storable inserts: {operator: how many}."""
    before, after = count_ops(graph), count_ops(make_storable(graph))
    return {name: n - before.get(name, 0) for name, n in after.items() if n > before.get(name, 0)}


# what is inserted, and what is not


def test_nothing_to_insert():
    net = Net()
    x = net.relu(net.x(1, 4, 4, 3))
    y = net.concat(net.conv(x, 3, 3, 3, 4, **SAME), net.tanh(x), axis=3)
    graph = net.done(net.conv(y, 3, 3, 7, 4, **SAME))
    assert make_storable(graph) is graph


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_parts_of_a_concat_with_a_halo(axis):
    """A part of a concat along H or W has no room for zeros."""
    net = Net()
    x = net.relu(net.x(2, 4, 5, 3))
    y = net.concat(net.neg(x), x, net.tanh(x), axis=axis)
    graph = net.done(net.conv(x, 3, 3, 3, 4, **SAME), net.neg(y))
    assert added(graph) == ({"pad": 1} if axis in (1, 2) else {})
    check(graph, interpreted=True)


@pytest.mark.parametrize("axis", [0, 1, 2, 3])
def test_a_padded_concat(axis):
    net = Net()
    x = net.relu(net.x(2, 4, 5, 3))
    y = net.concat(x, net.tanh(x), net.neg(x), axis=axis)
    channels = 9 if axis == 3 else 3
    graph = net.done(net.conv(y, 3, 3, channels, 4, **SAME))
    assert added(graph) == {}
    check(graph, interpreted=True)


@pytest.mark.parametrize("outer", [0, 1, 2, 3])
@pytest.mark.parametrize("inner", [0, 1, 2, 3])
def test_a_padded_part_of_a_concat_of_concats(inner, outer):
    net = Net()
    x = net.relu(net.x(2, 4, 5, 3))
    y = net.concat(net.tanh(x), x, axis=inner)
    z = net.concat(net.neg(y), y, axis=outer)
    graph = net.done(net.conv(x, 3, 3, 3, 4, **SAME), net.neg(z))
    assert added(graph) == ({"pad": 1} if {inner, outer} & {1, 2} else {})
    check(graph, interpreted=True)


def test_the_halo_is_that_of_the_widest_reader():
    net = Net()
    x = net.relu(net.x(1, 5, 5, 3))
    pads = [(0, 1, 2, 0), (1, 0, 0, 3), (2, 2, 1, 1)]
    outs = [net.conv(x, 3, 3, 3, 4, pads=p) for p in pads]
    graph = net.done(*outs)
    root = plan_storage(make_storable(graph))[x].root
    assert root.halo == ((0, 0), (2, 2), (2, 3), (0, 0)) and root.shape == (1, 9, 10, 3)
    check(graph, interpreted=True)


FOREIGN = {
    "input": lambda net: net.x(1, 4, 4, 3),
    "constant": lambda net: net.const(1, 4, 4, 3),
    "output": lambda net: net.tanh(net.x(1, 4, 4, 3)),
    "part of an output": lambda net: net.tanh(net.x(1, 4, 4, 3)),
}


@pytest.mark.parametrize("kind", FOREIGN)
def test_values_in_memory_that_is_not_ours(kind):
    """A padded convolution and a concat of the value; the pad is shared by equal convolutions."""
    net = Net()
    x = FOREIGN[kind](net)
    outs = [net.conv(x, 3, 3, 3, 4, **SAME), net.conv(x, 3, 3, 3, 2, **SAME)]
    joined = net.concat(x, net.neg(x), axis=3)
    outs.append(joined if kind == "part of an output" else net.neg(joined))
    graph = net.done(*outs, *([x] if kind == "output" else []))
    expected = {"pad": 1} | ({} if kind == "part of an output" else {"identity": 1})
    assert added(graph) == expected
    check(graph, interpreted=True)


def test_a_value_in_several_concats():
    net = Net()
    x, y = net.relu(net.x(3, 4)), net.tanh(net.x(3, 4))
    outs = [net.concat(x, y, axis=0), net.concat(y, x, axis=1), net.concat(x, x, x, axis=0)]
    graph = net.done(*outs)
    assert added(graph) == {"identity": 5}
    check(graph, interpreted=True)


def test_a_concat_that_is_an_output_and_a_part():
    net = Net()
    x = net.concat(net.relu(net.x(3, 4)), net.const(1, 4), axis=0)
    graph = net.done(x, net.concat(x, net.x(2, 4), axis=0), net.neg(x))
    check(graph, interpreted=True)


def test_concats_of_inputs_and_constants_alone():
    net = Net()
    x, c = net.x(3, 4), net.const(3, 2)
    graph = net.done(net.concat(x, c, x, axis=1), net.concat(c, c, axis=0), net.relu(x))
    check(graph, interpreted=True)


def test_a_reader_and_a_writer_of_one_root():
    """A dense block: each layer reads the concat so far and writes its own part of the next."""
    net = Net()
    x = net.relu(net.x(1, 5, 5, 4))
    for growth in (3, 5, 2):
        channels = x.type.shape[3]
        y = net.conv(net.relu(net.mul(x, net.const(channels))), 1, 1, channels, 6)
        x = net.concat(x, net.conv(net.tanh(y), 3, 3, 6, growth, **SAME), axis=3)
    graph = net.done(net.neg(x))
    assert added(graph) == {}
    check(graph, interpreted=True)


@pytest.mark.parametrize("is_output", [False, True])
def test_features_that_are_joined_again_and_again(is_output):
    """A dense block that joins all features anew for each layer: the longest concat holds all."""
    net = Net()
    features = [net.relu(net.x(1, 4, 4, 3))]
    for growth in (2, 3, 2):
        joined = features[0] if len(features) == 1 else net.concat(*features, axis=3)
        y = net.conv(joined, 3, 3, joined.type.shape[3], growth, **SAME)
        features.append(net.tanh(y))
    whole = net.concat(*features, axis=3)
    graph = net.done(whole if is_output else net.neg(whole))
    assert added(graph) == ({"pad": 3} if is_output else {})
    check(graph, interpreted=True)


def test_branches_of_an_inception_block():
    net = Net()
    x = net.relu(net.x(2, 6, 5, 4))
    pool = {
        "kind": "max", "kernel": (3, 3), "strides": (1, 1), "pads": (1, 1, 1, 1),
        "dilations": (1, 1), "count_include_pad": False, "out_hw": (6, 5),
    }  # fmt: skip
    branches = [
        net.relu(net.conv(x, 1, 1, 4, 3)),
        net.relu(net.conv(net.relu(net.conv(x, 1, 1, 4, 2)), 3, 3, 2, 4, **SAME)),
        net.relu(net.conv(x, 5, 5, 4, 2, pads=(2, 2, 2, 2))),
        net.relu(net.conv(net.pool2d(x, **pool), 1, 1, 4, 5)),
    ]
    y = net.concat(*branches, axis=3)
    check(net.done(net.conv(y, 3, 3, 14, 4, **SAME)), interpreted=True)


def test_symbolic_parts():
    net = Net()
    x, y = net.relu(net.x("n", 4, "w", 3)), net.tanh(net.x("n", 4, "v", 3))
    z = net.concat(x, y, net.neg(x), axis=2)
    graph = net.done(net.conv(z, 3, 3, 3, 4, **SAME), net.conv(y, 3, 3, 3, 4, **SAME))
    sizes = [(1, 5, 3), (2, 1, 1), (1, 4, 7), (0, 2, 3)]
    check(graph, *(dict(zip("nwv", size, strict=True)) for size in sizes), interpreted=True)


# properties of plans


def elements(storage, value):
    """Where each element of a value lies in its root."""
    shape = value.type.shape
    index = np.indices(shape).reshape(len(shape), -1) if shape else np.zeros((0, 1), int)
    return storage.offset + np.tensordot(np.array(storage.strides, int), index, 1)


def size_of(root):
    return dim_value(root.elements, {})


@settings(deadline=None, max_examples=80, derandomize=True)
@given(graphs(CONCATS, most=12))
def test_values_lie_in_their_roots_and_apart(graph):
    graph = make_storable(graph)
    plan = plan_storage(graph)
    inside = {}  # value -> the concat's output it is a part of
    for operator in graph.operators:
        if operator.op.name == "concat":
            inside |= dict.fromkeys(operator.inputs, operator.output)
    roots = {}
    for value, storage in plan.items():
        places = elements(storage, value)
        assert len(set(places.tolist())) == len(places)
        assert places.size == 0 or 0 <= places.min() <= places.max() < size_of(storage.root)
        roots.setdefault(storage.root, []).append((value, set(places.tolist())))
    for shared in roots.values():
        for (one, a), (two, b) in itertools.combinations(shared, 2):
            if one in _wholes(two, inside):
                assert b <= a
            elif two in _wholes(one, inside):
                assert a <= b
            else:
                assert not a & b, f"{one} and {two} overlap"


def _wholes(value, inside):
    """The concats that a value is part of, however deep."""
    while value in inside:
        value = inside[value]
        yield value


@settings(deadline=None, max_examples=80, derandomize=True)
@given(graphs(CONCATS, most=12))
def test_padded_convolutions_read_zeros_around(graph):
    """Every element that a convolution's pads add lies in the root, and no value lies there."""
    graph = make_storable(graph)
    plan = plan_storage(graph)
    taken = {}
    for value, storage in plan.items():
        taken.setdefault(storage.root, set()).update(elements(storage, value).tolist())
    for operator in graph.operators:
        if operator.op.name == "conv2d" and any(operator.attrs["pads"]):
            storage, (n, h, w, c) = plan[operator.inputs[0]], operator.inputs[0].type.shape
            top, left, bottom, right = operator.attrs["pads"]
            axes = range(n), range(-top, h + bottom), range(-left, w + right), range(c)
            around = {
                storage.offset + sum(i * s for i, s in zip(index, storage.strides, strict=True))
                for index in itertools.product(*axes)
                if not (0 <= index[1] < h and 0 <= index[2] < w)
            }
            assert not around & taken[storage.root]
            assert not around or 0 <= min(around) <= max(around) < size_of(storage.root)


@settings(deadline=None, max_examples=100, derandomize=True)
@given(graphs(CONCATS, most=12))
def test_the_callers_memory_has_its_own_layout(graph):
    graph = make_storable(graph)
    plan = plan_storage(graph)
    for value in (*graph.inputs, *graph.outputs, *graph.constants):
        storage = plan[value]
        assert storage.root.value is value and storage.offset == 0 and not storage.root.has_halo
        assert storage.root.shape == value.type.shape


@settings(deadline=None, max_examples=20, derandomize=True)
@given(graphs(CONCATS, most=10))
def test_graphs_of_concats_and_convolutions_run(graph):
    check(graph, tolerance=1e-4)


def test_dims_are_simplified():
    net = Net()
    x = net.relu(net.x("n", "h", 4, 3))
    graph = net.done(net.conv(x, 3, 3, 3, 4, **SAME))
    storage = plan_storage(make_storable(graph))[x]
    symbols = {net.symbols["n"]: 2, net.symbols["h"]: 5}
    assert [dim_value(dim, symbols) for dim in storage.strides] == [7 * 6 * 3, 18, 3, 1]
    assert storage.offset == 21 and x.type.dtype == f32
