"""Symbolic dims: one import, right at every size; shape arithmetic stays at compile time."""

import numpy as np
import pytest
from onnx import helper

from hidet_core.graph.graph import count_ops
from hidet_core.graph.reference import run_graph
from hidet_core.importer import explain_graph, from_model
from tests.hidet_core.importer.networks import Net
from tests.hidet_core.importer.one_node import Case, import_model, one_node_model, run_ort


def ints(*values):
    return np.array(values, np.int64)


def check_sizes(model, shapes):
    """The graphs of one import against ONNX Runtime at several input shapes."""
    rng = np.random.default_rng(0)
    graphs = import_model(model)
    for shape in shapes:
        feeds = {"x": rng.standard_normal(shape).astype(np.float32)}
        expected = run_ort(model, feeds)
        for graph in graphs:
            found = list(run_graph(graph, feeds).values())
            for right, ours in zip(expected, found, strict=True):
                assert ours.dtype == right.dtype
                np.testing.assert_allclose(ours, right, rtol=1e-4, atol=1e-5)
    return graphs[1]


def test_symbolic_batch_of_a_network():
    net = Net("batch", 3, 6, 6)
    x = net.op("Relu", net.norm(net.conv("x", 5, 3, 3, 3, bias=False), 5))
    x = net.op("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x = net.op("Reshape", x, net.const(ints(0, -1)))
    x = net.op("Gemm", x, net.weights(20, 4), net.weights(4))
    graph = check_sizes(net.model(net.op("Softmax", x)), [(n, 3, 6, 6) for n in (1, 2, 7)])
    assert str(graph.outputs[0].type) == "f32[batch, 4]"
    assert [symbol.name for symbol in graph.symbols] == ["batch"]


def test_symbolic_image_size():
    net = Net(1, 2, "h", "w", opset=13)
    x = net.conv("x", 3, 2, 3, 3, strides=[2, 2], pads=[1, 1, 1, 1])
    x = net.op("AveragePool", x, kernel_shape=[3, 3], strides=[2, 1], pads=[1, 1, 1, 1])
    x = net.op("Resize", x, "", net.const(np.array([1, 1, 2, 2], np.float32)))
    y = net.op("GlobalAveragePool", x)
    graph = check_sizes(net.model(net.op("Add", x, y)), [(1, 2, 8, 7), (1, 2, 5, 12)])
    assert not {"dims", "cast"} & set(count_ops(graph))


def view(net, x, *last):
    """x.view(x.size(0), *last), as PyTorch exports it."""
    size = net.op("Gather", net.op("Shape", x), net.const(np.array(0)), axis=0)
    parts = [net.op("Unsqueeze", size, net.const(ints(0)))]
    parts += [net.const(ints(n)) for n in last]
    return net.op("Reshape", x, net.op("Concat", *parts, axis=0))


def test_views_by_computed_shapes():
    net = Net("batch", 4, 6, opset=13)
    x = view(net, "x", 2, 2, 6)
    graph = check_sizes(net.model(view(net, net.op("Relu", x), -1)), [(1, 4, 6), (3, 4, 6)])
    assert set(count_ops(graph)) <= {"relu", "reshape"}


def test_expand_guarded_by_where_as_pytorch_exports_it():
    net = Net("batch", 1, 5, opset=13)
    size = net.op("Slice", net.op("Shape", "x"), net.const(ints(0)), net.const(ints(1)))
    shape = net.op("Concat", size, net.const(ints(4, -1)), axis=0)
    ones = net.op("ConstantOfShape", net.op("Shape", shape))
    ones = net.op("Cast", ones, to=7)
    ones = net.op("Add", ones, net.const(ints(1)))
    missing = net.op("Equal", shape, net.op("Mul", ones, net.const(ints(-1))))
    full = net.op("Where", missing, ones, shape)
    graph = check_sizes(net.model(net.op("Expand", "x", full)), [(1, 1, 5), (3, 1, 5)])
    assert set(count_ops(graph)) == {"broadcast_to"}


def test_positions_by_range():
    net = Net("batch", "sequence", opset=13)
    size = net.op("Gather", net.op("Shape", "x"), net.const(np.array(1)), axis=0)
    steps = net.op("Range", net.const(np.array(0)), size, net.const(np.array(1)))
    table = net.op("Gather", net.weights(9, 3), steps)
    wide = net.op("Unsqueeze", "x", net.const(ints(2)))
    check_sizes(net.model(net.op("Add", wide, table)), [(1, 4), (2, 9)])


def test_slices_with_symbolic_bounds():
    net = Net("batch", 10, opset=13)
    size = net.op("Slice", net.op("Shape", "x"), net.const(ints(0)), net.const(ints(1)))
    half = net.op("Div", size, net.const(ints(2)))
    first = net.op("Slice", "x", net.const(ints(0)), half)
    last = net.op("Slice", "x", half, net.const(ints(2**62)))
    check_sizes(net.model(first, last), [(2, 10), (5, 10)])


def test_shapes_as_data():
    net = Net("batch", 3, opset=13)
    shape = net.op("Shape", "x")
    scaled = net.op("Div", "x", net.op("Cast", net.op("Size", "x"), to=1))
    graph = check_sizes(net.model(shape, scaled), [(1, 3), (4, 3)])
    assert count_ops(graph)["dims"] == 2


@pytest.mark.parametrize(("start", "end", "step"), [
    (-1, -(2**63), -1), (-1, -(2**63), -3), (2**62, -(2**31), -2), (3, 0, -1), (-2, -5, -2),
    (-9, -(2**63), -1), (2, 2**62, -1), (-1, 1, -2),
])  # fmt: skip
def test_slices_backwards(start, end, step):
    net = Net("n", 2, opset=13)
    bounds = [net.const(ints(n)) for n in (start, end, 0, step)]
    check_sizes(net.model(net.op("Slice", "x", *bounds)), [(n, 2) for n in (1, 2, 4, 7)])


def test_ranges_downwards():
    net = Net("n", 2, opset=13)
    size = net.op("Gather", net.op("Shape", "x"), net.const(np.array(0)), axis=0)
    down = net.op("Range", size, net.const(np.array(1)), net.const(np.array(-2)))
    check_sizes(net.model(down), [(n, 2) for n in (1, 2, 5, 8)])


def test_splits_of_multiples():
    net = Net("n", 2, opset=13)
    twice = net.op("Concat", "x", "x", axis=0)
    net.nodes.append(helper.make_node("Split", [twice], ["a", "b"], name="split", axis=0))
    check_sizes(net.model(net.op("Sub", "a", "b")), [(3, 2)])


@pytest.mark.parametrize(
    ("case", "dims"),
    [
        (Case("Flatten", 13, [(2, 3, 4)], {"axis": 2}), ["a", "b", 4]),
        (Case("Concat", 13, [(2, 3), (5, 3)], {"axis": 0}), ["a", 3]),
        (Case("Transpose", 13, [(2, 3)]), ["a", "b"]),
        (Case("Softmax", 11, [(2, 3, 4)], {"axis": 1}), ["a", 3, "c"]),
        (Case("LayerNormalization", 17, [(2, 3, 4), (4,)]), ["a", "b", 4]),
        (Case("ReduceMean", 13, [(2, 3, 4)], {"axes": [1]}), ["a", "b", "c"]),
        (Case("Split", 13, [(4, 6)], {"axis": 1}, outputs=2), ["a", 6]),
        (Case("Tile", 13, [(2, 3), ints(2, 1)], constants=(1,)), ["a", "b"]),
        (Case("Pad", 13, [(3, 4), ints(1, 2, 1, 0)], {"mode": "reflect"}, (1,)), ["a", "b"]),
        (Case("ArgMax", 13, [(3, 4)], {"axis": 0}), ["a", "b"]),
        (Case("DepthToSpace", 13, [(1, 8, 2, 3)], {"blocksize": 2}), [1, 8, "h", "w"]),
        (Case("SpaceToDepth", 13, [(1, 3, 4, 6)], {"blocksize": 2}), ["n", 3, "h", "w"]),
        (Case("SpaceToDepth", 13, [(1, 3, 4, 6)], {"blocksize": 2}), ["n", 3, 4, "w"]),
        (Case("Slice", 13, [(5, 6), ints(-3), ints(100)], constants=(1, 2)), ["a", 6]),
        (Case("MaxPool", 13, [(1, 2, 7, 8)], {"kernel_shape": [3, 3], "strides": [2, 2],
                                              "ceil_mode": 1}), [1, 2, "h", "w"]),
        (Case("MaxPool", 13, [(1, 2, 7, 8)], {"kernel_shape": [3, 2], "strides": [2, 3],
                                              "auto_pad": "SAME_UPPER"}), [1, 2, "h", "w"]),
        (Case("AveragePool", 13, [(1, 2, 7, 8)], {"kernel_shape": [3, 2], "strides": [2, 3],
                                                  "auto_pad": "SAME_LOWER"}), [1, 2, "h", "w"]),
        (Case("LpPool", 18, [(1, 2, 7, 8)], {"kernel_shape": [3, 4], "strides": [2, 3],
                                             "auto_pad": "SAME_UPPER"}), [1, 2, "h", "w"]),
        (Case("Conv", 13, [(1, 2, 7, 8), (3, 2, 3, 4)], {"strides": [2, 3],
                                                         "auto_pad": "SAME_LOWER"}),
         [1, 2, "h", "w"]),
        (Case("Conv", 13, [(2, 2, 5, 7, 8), (3, 2, 3, 2, 2)], {"strides": [2, 1, 2],
                                                               "pads": [1, 0, 1, 1, 1, 0]}),
         ["n", 2, "d", "h", "w"]),
        (Case("ConvTranspose", 13, [(2, 2, 5, 6), (2, 3, 4, 3)], {"strides": [2, 2],
                                                                 "pads": [1, 1, 1, 1]}),
         ["n", 2, "h", "w"]),
    ],
    ids=str,
)  # fmt: skip
def test_one_node(case, dims):
    arrays = case.arrays()
    shapes = [dims if k == 0 else a.shape for k, a in enumerate(arrays)]
    if case.op == "Concat":
        shapes = [["a", 3], ["b", 3]]
    model = one_node_model(case, arrays, shapes)
    feeds = {f"x{k}": a for k, a in enumerate(arrays) if k not in case.constants}
    for graph in import_model(model):
        for found, right in zip(
            run_graph(graph, feeds).values(), run_ort(model, feeds), strict=True
        ):
            np.testing.assert_allclose(found, right, rtol=1e-4, atol=1e-5)


DERIVED = [
    ("p + s", True),
    ("2 * p + s - p", True),
    ("s + p // 1", True),
    ("p + s + 1", False),
    ("p + q", False),
    ("p +", False),
    ("p + 1.5", False),
]


@pytest.mark.parametrize(("text", "is_sum"), DERIVED)
def test_sizes_that_are_sums_of_others(text, is_sum):
    """A mask of p + s keys fits scores of p + s keys; another size may not."""
    net = Net(2, "p")
    for name, dims in (("new", [2, "s"]), ("mask", [2, text])):
        net.inputs.append(helper.make_tensor_value_info(name, 1, dims))
    model = net.model(net.op("Add", net.op("Concat", "x", "new", axis=1), "mask"))
    reasons = explain_graph(from_model(model))
    if not is_sum:
        assert "broadcast" in reasons[1]
        return
    assert reasons == {}
    feeds = {n: np.ones((2, k), np.float32) for n, k in (("x", 3), ("new", 2), ("mask", 5))}
    for graph in import_model(model):
        assert [symbol.name for symbol in graph.symbols] == ["p", "s"]
        (found,) = run_graph(graph, feeds).values()
        np.testing.assert_array_equal(found, np.full((2, 5), 2))
