"""The forms in which a model may come: with bodies, functions, external data, of any opset."""

import gc

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper, version_converter

from tests.ep import models
from tests.ep.models import IR_VERSION, model, node, value
from tests.ep.real.sessions import LEVELS, check, classifier, floats, reference, settings

INT64, BOOL = TensorProto.INT64, TensorProto.BOOL


# ---- control flow


@pytest.mark.parametrize("flag", [True, False])
def test_if(rng, flag):
    made, _ = models.with_if()
    checked = check(made, {"x": floats(rng, 2, 3), "flag": np.array(flag)})
    assert (checked.claimed, checked.nodes) == (5, 6)


def loop_model():
    """t times: s = tanh(s + x) * c, with c from outside; all values of s are an output as well."""
    body = helper.make_graph(
        [
            node("Add", ["s_in", "x"], ["a"]),
            node("Tanh", ["a"], ["b"]),
            node("Mul", ["b", "c"], ["s_out"]),
            node("Identity", ["s_out"], ["scan"]),
            node("Identity", ["go_in"], ["go_out"]),
        ],
        "body",
        [value("i", (), INT64), value("go_in", (), BOOL), value("s_in", (3,))],
        [value("go_out", (), BOOL), value("s_out", (3,)), value("scan", (3,))],
    )
    nodes = [
        node("Relu", ["x0"], ["x"]),
        node("Loop", ["t", "go", "x"], ["s", "all"], body=body),
        node("Neg", ["s"], ["y"]),
    ]
    inputs = [value("x0", (3,)), value("t", (), INT64)]
    outputs = [value("y", (3,)), value("all", ("t", 3))]
    constants = {"go": np.array(True), "c": np.array([0.5, 2, 3], np.float32)}
    return model(nodes, inputs, outputs, constants)


@pytest.mark.parametrize("times", [0, 1, 5])
def test_loop(rng, times):
    checked = check(loop_model(), {"x0": floats(rng, 3), "t": np.array(times)})
    assert checked.claimed >= 5


def test_nested_bodies(rng):
    """An If in a Loop; the inner body uses values of the loop and of the graph."""
    branches = [
        helper.make_graph([node(op, ["s_in", "x"], [name])], name, [], [value(name, (3,))])
        for name, op in (("then", "Add"), ("else", "Mul"))
    ]
    body = helper.make_graph(
        [
            node("Mod", ["i", "two"], ["rest"]),
            node("Cast", ["rest"], ["odd"], to=BOOL),
            node("If", ["odd"], ["s_mid"], then_branch=branches[0], else_branch=branches[1]),
            node("Tanh", ["s_mid"], ["s_out"]),
            node("Identity", ["go_in"], ["go_out"]),
        ],
        "body",
        [value("i", (), INT64), value("go_in", (), BOOL), value("s_in", (3,))],
        [value("go_out", (), BOOL), value("s_out", (3,))],
    )
    nodes = [node("Loop", ["t", "go", "x"], ["y"], body=body)]
    constants = {"go": np.array(True), "two": np.array(2, np.int64)}
    inputs = [value("x", (3,)), value("t", (), INT64)]
    made = model(nodes, inputs, [value("y", (3,))], constants)
    assert check(made, {"x": floats(rng, 3), "t": np.array(5)}).claimed >= 3


def test_functions_of_the_model(rng):
    """A model's own function is inlined by ONNX Runtime before we see it."""
    body = helper.make_function(
        "own",
        "Twice",
        ["a"],
        ["b"],
        [helper.make_node("Exp", ["a"], ["t"]), helper.make_node("Add", ["t", "t"], ["b"])],
        [helper.make_opsetid("", 17)],
    )
    graph = helper.make_graph(
        [helper.make_node("Twice", ["x"], ["y"], domain="own")],
        "g",
        [value("x", (2, 3))],
        [value("y", (2, 3))],
    )
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("own", 1)]
    made = helper.make_model(graph, functions=[body], opset_imports=opsets, ir_version=IR_VERSION)
    assert check(made, {"x": floats(rng, 2, 3)}).claimed == 2


# ---- how a model comes


@pytest.mark.parametrize("size_threshold", [0, 1024])
def test_external_data(rng, tmp_path, size_threshold):
    content, path = classifier(rng), tmp_path / "model.onnx"
    onnx.save(
        onnx.load_from_string(content),
        path,
        save_as_external_data=True,
        location="data.bin",
        size_threshold=size_threshold,
    )
    x = {"x": floats(rng, 2, 3, 8, 8)}
    checked = check(str(path), x)
    assert checked.claimed == checked.nodes
    (tmp_path / "data.bin").unlink()
    gc.collect()
    mine = checked.session.run(None, x)[0]
    np.testing.assert_allclose(mine, reference(content, x)[0], rtol=1e-4)


@pytest.mark.parametrize("opset", range(7, 24))
def test_opsets(rng, opset):
    """A classifier as each version of ONNX writes it."""
    try:
        made = version_converter.convert_version(onnx.load_from_string(old_classifier(rng)), opset)
    except Exception as error:  # the converter raises many kinds
        pytest.skip(f"onnx cannot convert to {opset}: {error}")
    made.ir_version = 8
    checked = check(made, {"x": floats(rng, 2, 3, 8, 8)})
    assert checked.claimed == checked.nodes


def old_classifier(rng):
    """Opset 7: attributes where later versions have inputs."""
    nodes = [
        node("Pad", ["x"], ["p"], pads=[0, 0, 1, 1, 0, 0, 1, 1], mode="constant", value=0.0),
        node("Conv", ["p", "w"], ["a"], kernel_shape=[3, 3]),
        node("BatchNormalization", ["a", "g", "b", "m", "v"], ["n"]),
        node("LeakyRelu", ["n"], ["r"], alpha=0.1),
        node("AveragePool", ["r"], ["q"], kernel_shape=[2, 2], strides=[2, 2]),
        node("Clip", ["q"], ["k"], min=-1.0, max=1.0),
        node("ReduceSum", ["k"], ["s"], axes=[2], keepdims=1),
        node("Squeeze", ["s"], ["z"], axes=[2]),
        node("Unsqueeze", ["z"], ["u"], axes=[3]),
        node("Flatten", ["u"], ["f"]),
        node("Gemm", ["f", "fc", "bias"], ["e"]),
        node("Softmax", ["e"], ["y"], axis=1),
    ]
    scale = floats(rng, 8)
    constants = {
        "w": floats(rng, 8, 3, 3, 3),
        "g": scale,
        "b": floats(rng, 8),
        "m": floats(rng, 8),
        "v": scale * scale + 1,
        "fc": floats(rng, 32, 10),
        "bias": floats(rng, 10),
    }
    graph = helper.make_graph(
        nodes,
        "old",
        [value("x", (2, 3, 8, 8))],
        [value("y", (2, 10))],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    # the converter knows initializers only where they are inputs, too
    graph.input.extend(value(name, array.shape) for name, array in constants.items())
    opsets = [helper.make_opsetid("", 7)]
    return helper.make_model(graph, opset_imports=opsets, ir_version=3).SerializeToString()


def test_model_optimised_and_saved_by_onnxruntime(rng, tmp_path):
    """The optimised file holds the CPU provider's own nodes; those we do not know stay there."""
    options = settings(level=LEVELS.ORT_ENABLE_ALL)
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    made, x = classifier(rng, 2), {"x": floats(rng, 2, 3, 8, 8)}
    ort.InferenceSession(made, options, providers=["CPUExecutionProvider"])
    check(str(tmp_path / "optimised.onnx"), x)
