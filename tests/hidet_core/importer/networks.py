"""Small networks with the idioms of the light zoo, as ONNX models with seeded weights."""

import numpy as np
import onnx
from onnx import helper, numpy_helper

F32 = onnx.TensorProto.FLOAT


class Net:
    """Builds a model node by node; every method returns the name of its output."""

    def __init__(self, *shape, opset=9):
        self.rng = np.random.default_rng(len(shape) + opset)
        self.nodes, self.initializers = [], []
        self.inputs = [helper.make_tensor_value_info("x", F32, shape)]
        self.opset = opset

    def op(self, kind, *inputs, **attrs):
        name = f"v{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=f"n{name}", **attrs))
        return name

    def const(self, array):
        name = f"c{len(self.initializers)}"
        self.initializers.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def weights(self, *shape, low=None):
        values = self.rng.standard_normal(shape) if low is None else self.rng.random(shape) + low
        return self.const(values.astype(np.float32))

    def conv(self, x, *shape, bias=True, **attrs):
        extra = [self.weights(shape[0])] if bias else []
        return self.op("Conv", x, self.weights(*shape), *extra, **attrs)

    def norm(self, x, channels):
        scale, mean, bias = (self.weights(channels) for _ in range(3))
        return self.op("BatchNormalization", x, scale, bias, mean, self.weights(channels, low=0.5))

    def scale_shift(self, x, channels):
        """Mul and Add of unsqueezed vectors, as Caffe's Scale layers are exported."""
        for kind in ("Mul", "Add"):
            vector = self.op("Unsqueeze", self.weights(channels), axes=[1, 2])
            x = self.op(kind, x, vector)
        return x

    def model(self, *outputs):
        outs = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, outs, self.initializers)
        opset = helper.make_opsetid("", self.opset)
        return helper.make_model(graph, opset_imports=[opset], ir_version=8)


def residual_block():
    """Conv BN Relu, Conv BN + skip Relu, average, Gemm, Softmax."""
    net = Net(1, 4, 6, 6)
    x = net.op("Relu", net.norm(net.conv("x", 5, 4, 3, 3, pads=[1, 1, 1, 1], bias=False), 5))
    y = net.op("Relu", net.norm(net.conv(x, 5, 5, 3, 3, pads=[1, 1, 1, 1], bias=False), 5))
    y = net.norm(net.conv(y, 5, 5, 1, 1), 5)
    y = net.op("Relu", net.op("Sum", y, x))
    y = net.op("AveragePool", y, kernel_shape=[6, 6])
    y = net.op("Reshape", y, net.const(np.array([1, 5])))
    y = net.op("Gemm", y, net.weights(7, 5), net.weights(7), transB=1)
    return net.model(net.op("Softmax", y))


def dense_block():
    """BN Scale Relu Conv (pre-activation) and Concat."""
    net = Net(1, 3, 6, 6)
    x = net.conv("x", 4, 3, 3, 3)
    y = net.op("Relu", net.scale_shift(net.norm(x, 4), 4))
    y = net.scale_shift(net.norm(net.conv(y, 2, 4, 3, 3, pads=[1, 1, 1, 1]), 2), 2)
    y = net.op("Concat", x, net.op("Relu", y), axis=1)
    y = net.op("Relu", net.scale_shift(net.norm(y, 6), 6))
    return net.model(net.conv(net.op("GlobalAveragePool", y), 5, 6, 1, 1))


def channel_shuffle(batch=2):
    """Grouped convolutions around Reshape, Transpose, Reshape."""
    net = Net(batch, 4, 5, 5)
    x = net.op("Relu", net.norm(net.conv("x", 6, 2, 1, 1, group=2, bias=False), 6))
    y = net.op("Reshape", x, net.const(np.array([batch, 2, 3, 5, 5])))
    y = net.op("Transpose", y, perm=[0, 2, 1, 3, 4])
    y = net.op("Reshape", y, net.const(np.array([batch, 6, 5, 5])))
    y = net.norm(net.conv(y, 6, 1, 3, 3, group=6, pads=[1, 1, 1, 1], bias=False), 6)
    return net.model(net.op("Relu", net.op("Sum", y, x)))


def classifier():
    """Conv Relu LRN MaxPool, flatten of channels and pixels, two Gemms with Dropout."""
    net = Net(2, 3, 7, 7)
    x = net.op("Relu", net.conv("x", 4, 3, 3, 3))
    x = net.op("LRN", x, size=3, alpha=0.1, beta=0.75, bias=1.0)
    x = net.op("MaxPool", x, kernel_shape=[3, 3], strides=[2, 2], pads=[0, 0, 1, 1])
    x = net.op("Reshape", x, net.const(np.array([2, -1])))
    x = net.op("Relu", net.op("Gemm", x, net.weights(8, 16), net.weights(8), transB=1))
    x = net.op("Gemm", net.op("Dropout", x), net.weights(8, 5), net.weights(5))
    return net.model(net.op("Softmax", x, axis=1))


def squeeze_and_excite():
    """A gate per channel, hard swish, and a padded convolution (Pad node)."""
    net = Net(2, 3, 6, 6, opset=13)
    pads = net.const(np.array([0, 0, 1, 1, 0, 0, 1, 1]))
    x = net.conv(net.op("Pad", "x", pads), 4, 3, 3, 3)
    gate = net.op("ReduceMean", x, axes=[2, 3])
    gate = net.op("HardSigmoid", net.conv(net.op("Relu", net.conv(gate, 2, 4, 1, 1)), 4, 2, 1, 1))
    y = net.op("Mul", x, gate)
    half = net.op("Mul", y, net.op("Clip", y, net.const(np.float32(0)), net.const(np.float32(6))))
    return net.model(net.op("Resize", half, "", net.const(np.array([1, 1, 2, 2], np.float32))))


def attention():
    """Two heads: reshape, transpose, scaled products, softmax, and back."""
    net = Net(2, 5, 8, opset=13)
    heads = net.const(np.array([0, 0, 2, 4]))
    q, k, v = (net.op("MatMul", "x", net.weights(8, 8)) for _ in range(3))
    q, k, v = (net.op("Reshape", m, heads) for m in (q, k, v))
    q, v = (net.op("Transpose", m, perm=[0, 2, 1, 3]) for m in (q, v))
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 2, 3, 1]))
    scores = net.op("Softmax", net.op("Div", scores, net.const(np.float32(2))))
    mixed = net.op("Transpose", net.op("MatMul", scores, v), perm=[0, 2, 1, 3])
    joined = net.op("Reshape", mixed, net.const(np.array([0, 0, 8])))
    return net.model(net.op("Add", joined, "x"))


NETWORKS = {
    f.__name__: f
    for f in (residual_block, dense_block, channel_shuffle, classifier, squeeze_and_excite)
}
NETWORKS["attention"] = attention
