"""A network for dry runs: a convolution, a residual, pooling, a product, a softmax."""

from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IMAGE, CHANNELS, CLASSES = 6, 8, 10


def write(path: Path, seed: int = 0) -> None:
    """Equal seeds give equal files."""
    rng = np.random.default_rng(seed)
    shapes = {
        "w0": (CHANNELS, 3, 3, 3),
        "w1": (CHANNELS, CHANNELS, 1, 1),
        "w2": (CHANNELS, CLASSES),
    }
    weights = [
        numpy_helper.from_array(rng.standard_normal(shape).astype(np.float32) / 3, name)
        for name, shape in shapes.items()
    ]
    node = helper.make_node
    nodes = [
        node("Conv", ["x", "w0"], ["a"], pads=[1, 1, 1, 1]),
        node("Relu", ["a"], ["b"]),
        node("Conv", ["b", "w1"], ["c"]),
        node("Add", ["b", "c"], ["d"]),
        node("GlobalAveragePool", ["d"], ["e"]),
        node("Flatten", ["e"], ["f"]),
        node("MatMul", ["f", "w2"], ["g"]),
        node("Softmax", ["g"], ["y"]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes,
        path.stem,
        [value("x", TensorProto.FLOAT, (1, 3, IMAGE, IMAGE))],
        [value("y", TensorProto.FLOAT, (1, CLASSES))],
        weights,
    )
    opset = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(graph, opset_imports=opset, ir_version=8), path)
