"""Graphs at the edges of what ONNX allows, through the real compiler."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from tests.ep.models import IR_VERSION, model, node, value
from tests.ep.real.sessions import check, floats, open_session

INT64, BOOL, DOUBLE = TensorProto.INT64, TensorProto.BOOL, TensorProto.DOUBLE
ALL = {"claim": "all"}


def unchecked(nodes, inputs, outputs, constants=(), opset=17):
    """A model that onnx's checker would not pass, or of another opset."""
    graph = helper.make_graph(nodes, "odd", inputs, outputs, list(constants))
    opsets = [helper.make_opsetid("", opset)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=IR_VERSION)


@pytest.mark.parametrize("shape", [(0, 8), (3, 0), (0,), (2, 0, 4)])
@pytest.mark.parametrize("op", ["Relu", "Softmax", "ReduceSum", "Transpose"])
def test_dims_of_zero(op, shape):
    out = None if op in ("ReduceSum", "Transpose") else shape
    nodes = [node("Neg", ["x"], ["t"]), node(op, ["t"], ["y"])]
    made = unchecked(nodes, [value("x", shape)], [value("y", out)])
    check(made, {"x": np.zeros(shape, np.float32)}, ALL)


def test_symbolic_batch_of_zero(rng):
    weights = {"w": floats(rng, 8, 5)}
    nodes = [node("MatMul", ["x", "w"], ["t"]), node("Relu", ["t"], ["y"])]
    made = model(nodes, [value("x", ("N", 8))], [value("y", ("N", 5))], weights)
    checked = check(made, {"x": floats(rng, 3, 8)}, ALL)
    assert checked.claimed == 2
    (out,) = checked.session.run(None, {"x": np.zeros((0, 8), np.float32)})
    assert out.shape == (0, 5)


def test_scalars(rng):
    nodes = [
        node("Mul", ["x", "two"], ["a"]),
        node("Add", ["a", "s"], ["y"]),
        node("ReduceSum", ["y"], ["z"], keepdims=0),
    ]
    inputs = [value("x", ()), value("s", ())]
    made = model(nodes, inputs, [value("y", ()), value("z", ())], {"two": np.float32(2)})
    checked = check(made, {"x": floats(rng), "s": floats(rng)}, ALL)
    assert checked.claimed == 3


def test_initializer_as_output(rng):
    constant = floats(rng, 4)
    nodes = [node("Add", ["x", "c"], ["y"])]
    made = model(nodes, [value("x", (4,))], [value("y", (4,)), value("c", (4,))], {"c": constant})
    checked = check(made, {"x": floats(rng, 4)})
    np.testing.assert_array_equal(checked.session.run(["c"], {"x": floats(rng, 4)})[0], constant)


def test_initializer_that_is_an_input_can_be_overridden(rng):
    nodes = [node("Add", ["x", "c"], ["t"]), node("Relu", ["t"], ["y"])]
    inputs = [value("x", (4,)), value("c", (4,))]
    made = model(nodes, inputs, [value("y", (4,))], {"c": floats(rng, 4)})
    checked = check(made, {"x": floats(rng, 4)})
    assert checked.claimed == 2
    check(made, {"x": floats(rng, 4), "c": floats(rng, 4)})


def test_input_as_output(rng):
    nodes = [node("Identity", ["x"], ["y"]), node("Relu", ["x"], ["z"])]
    made = unchecked(nodes, [value("x", (2, 3))], [value("y", (2, 3)), value("z", (2, 3))])
    check(made, {"x": floats(rng, 2, 3)}, ALL)


def test_inner_values_are_outputs_too(rng):
    nodes = [
        node("Exp", ["x"], ["a"]),
        node("Relu", ["a"], ["b"]),
        node("Add", ["a", "b"], ["c"]),
    ]
    outputs = [value(name, ("N", 3)) for name in "abc"]
    made = model(nodes, [value("x", ("N", 3))], outputs)
    checked = check(made, {"x": floats(rng, 5, 3)})
    assert (checked.claimed, checked.partitions) == (3, 1)


def test_a_pooled_value_is_output_and_goes_on(rng):
    """The epilogue of a convolution is wanted half way and at its end."""
    weights = {"w": floats(rng, 6, 3, 3, 3)}
    nodes = [
        node("Conv", ["x", "w"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("MaxPool", ["b"], ["c"], kernel_shape=[2, 2], strides=[2, 2]),
    ]
    shapes = {"a": (1, 6, 8, 8), "b": (1, 6, 8, 8), "c": (1, 6, 4, 4)}
    outputs = [value(name, shape) for name, shape in shapes.items()]
    made = model(nodes, [value("x", (1, 3, 8, 8))], outputs, weights)
    check(made, {"x": floats(rng, 1, 3, 8, 8)})


def test_unused_inputs_constants_and_outputs(rng):
    nodes = [
        node("Split", ["x"], ["a", "b"], axis=1),
        node("Relu", ["a"], ["y"]),
        node("Neg", ["x"], ["nobody"]),
    ]
    inputs = [value("x", (2, 6)), value("spare", (3,))]
    made = model(nodes, inputs, [value("y", (2, 3))], {"unused": floats(rng, 5)})
    check(made, {"x": floats(rng, 2, 6), "spare": floats(rng, 3)}, ALL)


def test_the_same_value_twice_in_a_node(rng):
    nodes = [node("Mul", ["x", "x"], ["a"]), node("Concat", ["a", "a", "x"], ["y"], axis=1)]
    made = model(nodes, [value("x", ("N", 4))], [value("y", ("N", 12))])
    check(made, {"x": floats(rng, 3, 4)}, ALL)


def test_equal_nodes_with_outputs_of_their_own(rng):
    """Common subexpressions are merged, but each output of the graph keeps its name."""
    nodes = [node("Exp", ["x"], ["a"]), node("Exp", ["x"], ["b"])]
    made = model(nodes, [value("x", (3, 4))], [value("a", (3, 4)), value("b", (3, 4))])
    checked = check(made, {"x": floats(rng, 3, 4)})
    assert checked.claimed == 2


def test_output_listed_twice(rng):
    """ONNX forbids it; whatever ONNX Runtime does, the process lives and the CPU agrees."""
    made = unchecked([node("Relu", ["x"], ["y"])], [value("x", (4,))], [value("y", (4,))] * 2)
    try:
        session = open_session(made)
    except Exception as error:
        assert "y" in str(error)
    else:
        check(made, {"x": floats(rng, 4)})
        assert session.get_outputs()


def test_nodes_without_names(rng):
    nodes = [helper.make_node("Exp", ["x"], ["a"]), helper.make_node("Relu", ["a"], ["y"])]
    check(model(nodes, [value("x", (2, 3))], [value("y", (2, 3))]), {"x": floats(rng, 2, 3)})


@pytest.mark.parametrize("name", ["a b/c:0", "x" * 300, "ä€😀", "%s{}\\"])
def test_names_of_all_kinds(rng, name):
    nodes = [node("Exp", [name], ["t" + name]), node("Relu", ["t" + name], ["y" + name])]
    made = model(nodes, [value(name, (2, 3))], [value("y" + name, (2, 3))])
    assert check(made, {name: floats(rng, 2, 3)}).claimed == 2


def test_constant_without_elements(rng):
    """Reduction axes: [] with noop_with_empty_axes means nothing to reduce."""
    nodes = [
        node("ReduceSum", ["x", "axes"], ["t"], noop_with_empty_axes=1),
        node("Relu", ["t"], ["y"]),
    ]
    axes = {"axes": np.zeros(0, np.int64)}
    made = model(nodes, [value("x", (2, 3))], [value("y", (2, 3))], axes)
    assert check(made, {"x": floats(rng, 2, 3)}, ALL).claimed == 2


def test_only_moving_data_is_left_to_onnxruntime(rng):
    nodes = [node("Transpose", ["x"], ["t"], perm=[1, 0]), node("Flatten", ["t"], ["y"])]
    made = model(nodes, [value("x", (2, 3))], [value("y", (3, 2))])
    x = {"x": floats(rng, 2, 3)}
    assert check(made, x).claimed == 0
    assert check(made, x, ALL).claimed == 2


def test_graph_without_nodes():
    made = unchecked([], [value("x", (2,))], [value("x", (2,))])
    session = open_session(made)
    np.testing.assert_array_equal(
        session.run(None, {"x": np.ones(2, np.float32)})[0], np.ones(2, np.float32)
    )


def test_unknown_rank_stays_with_the_cpu_provider(rng):
    x, y = (helper.make_tensor_value_info(name, 1, None) for name in "xy")
    checked = check(unchecked([node("Relu", ["x"], ["y"])], [x], [y]), {"x": floats(rng, 2, 3)})
    assert checked.claimed == 0


def test_dims_that_are_unknown_and_nameless(rng):
    x, y = (value(name, (None, None)) for name in "xy")
    made = unchecked([node("Exp", ["x"], ["t"]), node("Neg", ["t"], ["y"])], [x], [y])
    checked = check(made, {"x": floats(rng, 2, 3)})
    assert checked.claimed == 2
    check(made, {"x": floats(rng, 7, 1)})


@pytest.mark.parametrize("op", ["Tanh", "Selu", "Clip"])
def test_a_deep_chain(rng, op):
    names = ["x", *(f"t{k}" for k in range(299)), "y"]
    nodes = [node(op, names[k : k + 1], names[k + 1 : k + 2]) for k in range(300)]
    made = model(nodes, [value("x", (4,))], [value("y", (4,))])
    check(made, {"x": floats(rng, 4)}, tolerance=1e-3)  # 300 rounding errors, one on the other


def test_a_wide_sum(rng):
    nodes = [node("Exp", [f"x{k}"], [f"e{k}"]) for k in range(60)]
    nodes.append(node("Sum", [f"e{k}" for k in range(60)], ["y"]))
    inputs = [value(f"x{k}", (8,)) for k in range(60)]
    made = model(nodes, inputs, [value("y", (8,))])
    check(made, {f"x{k}": floats(rng, 8) for k in range(60)})


def test_big_rank(rng):
    shape = (1, 2, 1, 3, 2, 1, 2, 2)
    nodes = [
        node("Transpose", ["x"], ["t"], perm=[7, 6, 5, 4, 3, 2, 1, 0]),
        node("Exp", ["t"], ["y"]),
    ]
    made = model(nodes, [value("x", shape)], [value("y", shape[::-1])])
    check(made, {"x": floats(rng, *shape)}, ALL)


def test_integers_booleans_and_doubles(rng):
    nodes = [
        node("Greater", ["i", "j"], ["b"]),
        node("Where", ["b", "i", "j"], ["m"]),
        node("Cast", ["m"], ["d"], to=DOUBLE),
        node("Mul", ["d", "half"], ["y"]),
        node("Not", ["b"], ["n"]),
    ]
    inputs = [value("i", ("N", 7), INT64), value("j", ("N", 7), INT64)]
    outputs = [
        value("m", ("N", 7), INT64),
        value("y", ("N", 7), DOUBLE),
        value("n", ("N", 7), BOOL),
    ]
    made = model(nodes, inputs, outputs, {"half": np.float64(0.5)})
    feeds = {name: rng.integers(-(2**40), 2**40, (5, 7)) for name in "ij"}
    assert check(made, feeds, ALL).claimed == 5


def test_special_numbers():
    numbers = np.array([[np.nan, np.inf, -np.inf, 0.0, -0.0, 1e-45, 3e38, -3e38]], np.float32)
    ops = ["Relu", "Exp", "Sigmoid", "Tanh", "Neg", "Abs", "Sqrt", "Erf", "Floor", "Sign"]
    nodes = [node(op, ["x"], [f"y{op}"]) for op in ops]
    outputs = [value(f"y{op}", ("N", 8)) for op in ops]
    check(model(nodes, [value("x", ("N", 8))], outputs), {"x": numbers})


def test_half_precision_inside_a_model(rng):
    nodes = [
        node("Cast", ["x"], ["h"], to=TensorProto.FLOAT16),
        node("Relu", ["h"], ["r"]),
        node("Cast", ["r"], ["f"], to=TensorProto.FLOAT),
        node("Exp", ["f"], ["y"]),
    ]
    made = model(nodes, [value("x", (4, 4))], [value("y", (4, 4))])
    checked = check(made, {"x": floats(rng, 4, 4)}, tolerance=1e-3)
    assert checked.claimed == checked.nodes


def test_sparse_and_large_constants(rng):
    weights = numpy_helper.from_array(floats(rng, 300, 200), "w")
    made = unchecked(
        [node("MatMul", ["x", "w"], ["y"])],
        [value("x", ("N", 300))],
        [value("y", ("N", 200))],
        [weights],
    )
    onnx.checker.check_model(made)
    assert check(made, {"x": floats(rng, 11, 300)}).claimed == 1
