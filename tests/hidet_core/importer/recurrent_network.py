"""Two layers of LSTM in both directions with a symbolic batch, as torch's exporters write them."""

import numpy as np
from onnx import TensorProto, helper, numpy_helper

FEATURES, UNITS = 6, 9


def bidirectional_lstm(seed=0):
    """x [steps, batch, features] -> y [steps, batch, 2 * units], h_n and c_n [4, batch, units]."""
    rng = np.random.default_rng(seed)
    nodes, constants = [], {
        "one": np.array([1]), "states": np.array([2]), "units": np.array([UNITS]),
        "zero": np.array(0, np.float32), "shape": np.array([0, 0, -1]),
    }  # fmt: skip

    def add(op, inputs, *outputs, **attrs):
        nodes.append(helper.make_node(op, inputs, outputs, name=outputs[0], **attrs))
        return outputs[0]

    add("Shape", ["x"], "x_shape")
    add("Slice", ["x_shape", "one", "states"], "batch")
    add("Concat", ["states", "batch", "units"], "state_shape", axis=0)
    add("Expand", ["zero", "state_shape"], "state")
    value = "x"
    for k, width in enumerate((FEATURES, 2 * UNITS)):
        shapes = {"w": (4 * UNITS, width), "r": (4 * UNITS, UNITS), "b": (8 * UNITS,)}
        for name, shape in shapes.items():
            constants[f"{name}{k}"] = 0.4 * rng.standard_normal((2, *shape)).astype(np.float32)
        inputs = [value, f"w{k}", f"r{k}", f"b{k}", "", "state", "state"]
        outputs = (f"y{k}", f"h{k}", f"c{k}")
        add("LSTM", inputs, *outputs, hidden_size=UNITS, direction="bidirectional")
        add("Transpose", [f"y{k}"], f"t{k}", perm=[0, 2, 1, 3])
        value = add("Reshape", [f"t{k}", "shape"], "y" if k else "z")
    add("Concat", ["h0", "h1"], "h_n", axis=0)
    add("Concat", ["c0", "c1"], "c_n", axis=0)

    def info(name, *shape):
        return helper.make_tensor_value_info(name, TensorProto.FLOAT, shape)

    graph = helper.make_graph(
        nodes,
        "lstm",
        [info("x", "steps", "batch", FEATURES)],
        [info("y", "steps", "batch", 2 * UNITS)]
        + [info(name, 4, "batch", UNITS) for name in ("h_n", "c_n")],
        [numpy_helper.from_array(array, name) for name, array in constants.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10)
