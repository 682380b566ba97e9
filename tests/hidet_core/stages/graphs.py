"""Small graphs whose kernels differ in kind, for the tests of dumps and repros."""

import numpy as np

from hidet_core.compute.recurrence import Activation, Cell
from hidet_core.compute.types import tensor_type
from hidet_core.graph.builder import GraphBuilder
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Var

NO_PADS = (0, 0, 0, 0)


class Net(GraphBuilder):
    """A GraphBuilder with seeded constants that remembers its inputs."""

    def __init__(self, name):
        super().__init__(name, fold=False)
        self.rng = np.random.default_rng(7)
        self.inputs, self.symbols = [], []

    def x(self, *dims, name="x"):
        symbols = {dim: Var(dim) for dim in dims if isinstance(dim, str)}
        self.symbols += symbols.values()
        value = self.input(name, tensor_type(f32, tuple(symbols.get(dim, dim) for dim in dims)))
        self.inputs.append(value)
        return value

    def weight(self, *shape, name="w"):
        return self.constant(self.rng.standard_normal(shape).astype(np.float32), name)

    def conv(self, x, outs, groups=1, pads=(1, 1, 1, 1)):
        w = self.weight(3, 3, x.type.shape[-1] // groups, outs)
        shape = {"strides": (1, 1), "pads": pads, "dilations": (1, 1)}
        return self.emit("conv2d", x, w, groups=groups, **shape)

    def done(self, *outputs):
        names = [f"out{k}" for k in range(len(outputs))]
        return self.build(self.inputs, outputs, names, self.symbols)


def residual():
    """conv + batch normalisation + relu, then conv + residual + relu."""
    net = Net("residual")
    x = net.x(1, 9, 11, 8)
    scaled = net.emit("mul", net.conv(x, 8), net.weight(8, name="bn.scale"))
    first = net.emit("relu", net.emit("add", scaled, net.weight(8, name="bn.bias")))
    second = net.emit("add", net.conv(first, 8), first)
    return net.done(net.emit("relu", second))


def softmax():
    net = Net("softmax")
    return net.done(net.emit("softmax", net.x(5, 33), axis=1))


def matmul():
    """A symbolic batch, a reshape that only shows 3 * n, a bias."""
    net = Net("matmul model")
    x = net.x("n", 3, 20)
    flat = net.reshape(x, (x.type.shape[0] * 3, 20))
    y = net.emit("add", net.emit("matmul", flat, net.weight(20, 30)), net.weight(30))
    return net.done(net.emit("relu", y))


def concat():
    """Two kernels that store into one buffer."""
    net = Net("concat")
    x = net.x(4, 16)
    parts = [net.emit("relu", net.emit("matmul", x, net.weight(16, n))) for n in (16, 7)]
    return net.done(net.emit("concat", *parts, axis=1))


def depthwise():
    net = Net("depthwise")
    x = net.x("n", 8, 8, 16)
    return net.done(net.emit("relu", net.conv(x, 16, groups=16)))


def gru():
    """An operator without a definition, whose attributes are cells."""
    net = Net("gru")
    cells = (Cell("gru", (Activation("sigmoid"), Activation("leakyrelu", 0.1)), clip=2.0),)
    attrs = {"cells": cells, "reverse": (True,), "given": (), "finals": True}
    return net.done(net.emit("recurrent", net.x(3, "n", 15), net.weight(1, 5, 15), **attrs))


def sort():
    """A kernel with scratch memory."""
    net = Net("sort")
    return net.done(net.emit("top_k", net.x(2, 70), k=70, axis=1, largest=False))


ALL = (residual, softmax, matmul, concat, depthwise, gru, sort)
