"""Two small models for the benchmark's tests: y = relu(x w), and one that is slightly wrong."""

import numpy as np
import onnx
import pytest
from onnx import helper, numpy_helper

FLOAT = onnx.TensorProto.FLOAT


def tiny_model(scale=1.0):
    nodes = [
        helper.make_node("MatMul", ["x", "w"], ["product"], name="multiply"),
        helper.make_node("Relu", ["product"], ["y"], name="clip"),
    ]
    weights = np.arange(32, dtype=np.float32).reshape(4, 8) / 32 * np.float32(scale)
    graph = helper.make_graph(
        nodes,
        "tiny",
        [helper.make_tensor_value_info("x", FLOAT, ["N", 4])],
        [helper.make_tensor_value_info("y", FLOAT, ["N", 8])],
        [numpy_helper.from_array(weights, "w")],
    )
    opset = [helper.make_opsetid("", 17)]
    return helper.make_model(graph, opset_imports=opset, ir_version=8)


@pytest.fixture
def tiny(tmp_path):
    path = tmp_path / "tiny.onnx"
    onnx.save(tiny_model(), path)
    return path
