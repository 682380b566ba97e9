"""Small models for tests of the provider, as bytes."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

IR_VERSION = 10
OPSET = 17


def value(name, shape, dtype=TensorProto.FLOAT):
    return helper.make_tensor_value_info(name, dtype, shape)


AXIS = value("axis", (), TensorProto.INT64)  # an input of models with nodes that are not ours


def model(nodes, inputs, outputs, constants=None):
    initializers = [numpy_helper.from_array(v, k) for k, v in (constants or {}).items()]
    graph = helper.make_graph(nodes, "test_graph", inputs, outputs, initializers)
    opset = helper.make_opsetid("", OPSET)
    made = helper.make_model(graph, opset_imports=[opset], ir_version=IR_VERSION)
    onnx.checker.check_model(made)
    return made.SerializeToString()


def not_ours(x, y):
    """A node that we do not take: its axis is known only when it runs."""
    return node("CumSum", [x, AXIS.name], [y])


def node(op, inputs, outputs, name=None, **attributes):
    return helper.make_node(op, inputs, outputs, name or f"{op}_{outputs[0]}", **attributes)


def relu_chain(shape=("N", 8), length=3):
    """x -> Relu(-x) -> ...: alternates Neg and Relu."""
    names = ["x", *(f"t{i}" for i in range(length - 1)), "y"]
    ops = [("Neg", "Relu")[i % 2] for i in range(length)]
    nodes = [node(op, [names[i]], [names[i + 1]]) for i, op in enumerate(ops)]
    return model(nodes, [value("x", shape)], [value("y", shape)])


def with_constant(shape=(4, 8), seed=0):
    """y = Relu(x + c), and the constant c."""
    constant = np.random.default_rng(seed).normal(size=shape).astype(np.float32)
    nodes = [node("Add", ["x", "c"], ["t"]), node("Relu", ["t"], ["y"])]
    return model(nodes, [value("x", shape)], [value("y", shape)], {"c": constant}), constant


def split_by_unsupported(shape=("N", 8)):
    """Relu, Sigmoid (not known to the fake compiler), Neg, and a path around the Sigmoid."""
    nodes = [
        node("Relu", ["x"], ["a"]),
        node("Sigmoid", ["a"], ["b"]),
        node("Add", ["a", "b"], ["c"]),
        node("Neg", ["c"], ["y"]),
    ]
    return model(nodes, [value("x", shape)], [value("y", shape)])


def with_if(shape=(2, 3)):
    """y = Relu(x); z = if flag: -(y + y) else -(y + c). The bodies use y and c from outside."""
    bodies = [
        helper.make_graph(
            [node("Add", ["y", other], [f"{name}_sum"]), node("Neg", [f"{name}_sum"], [name])],
            name,
            [],
            [value(name, shape)],
        )
        for name, other in (("then", "y"), ("else", "c"))
    ]
    nodes = [
        node("Relu", ["x"], ["y"]),
        node("If", ["flag"], ["z"], then_branch=bodies[0], else_branch=bodies[1]),
    ]
    inputs = [value("x", shape), value("flag", (), TensorProto.BOOL)]
    constant = np.arange(np.prod(shape), dtype=np.float32).reshape(shape)
    return model(nodes, inputs, [value("z", shape)], {"c": constant}), constant
