"""QDQ models for tests, as quantisers write them: QuantizeLinear and DequantizeLinear around each
float operator, weights and biases as integers."""

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper


class Qdq:
    """A model being written; every float value has a scale, and a zero point of `dtype`."""

    def __init__(self, seed=0, dtype=np.uint8):
        self.rng = np.random.default_rng(seed)
        self.dtype = dtype
        self.nodes, self.constants, self.inputs = [], [], []
        self.scales = {}

    def constant(self, array, name=None):
        name = name or f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(array), name))
        return name

    def node(self, op, *inputs, **attrs):
        name = f"{op}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [name], name=name, **attrs))
        return name

    def x(self, *shape):
        self.inputs.append(helper.make_tensor_value_info("x", TensorProto.FLOAT, shape))
        return "x"

    def quantized(self, value, scale, zero=None):
        """Q and DQ; without a zero point a random one."""
        if zero is None:
            low = np.iinfo(self.dtype).min
            zero = low + int(self.rng.integers(90, 150))
        parts = (
            self.constant(np.float32(scale).reshape(())),
            self.constant(self.dtype(zero).reshape(())),
        )
        name = self.node("DequantizeLinear", self.node("QuantizeLinear", value, *parts), *parts)
        self.scales[name] = scale
        return name

    def weights(self, shape, axis=0, dtype=np.int8):
        """(dequantised weights, their scales): one scale for each index of the axis."""
        limits = np.iinfo(dtype)
        array = self.rng.integers(limits.min + 1, limits.max + 1, shape).astype(dtype)
        scale = self.rng.uniform(0.001, 0.004, shape[axis]).astype(np.float32)
        zero = np.full(shape[axis], 0 if limits.min else 128, dtype)
        parts = self.constant(array), self.constant(scale), self.constant(zero)
        return self.node("DequantizeLinear", *parts, axis=axis), scale

    def bias(self, x, scale):
        whole = self.rng.integers(-2000, 2000, scale.shape).astype(np.int32)
        parts = self.constant(whole), self.constant((scale * self.scales[x]).astype(np.float32))
        return self.node("DequantizeLinear", *parts, axis=0)

    def conv(self, x, shape, dtype=np.int8, **attrs):
        weights, scale = self.weights(shape, dtype=dtype)
        kernel = list(shape[2:])
        return self.node("Conv", x, weights, self.bias(x, scale), kernel_shape=kernel, **attrs)

    def gemm(self, x, shape):
        weights, scale = self.weights(shape)
        return self.node("Gemm", x, weights, self.bias(x, scale), transB=1)

    def matmul(self, x, shape):
        weights, _ = self.weights(shape, axis=1)
        return self.node("MatMul", x, weights)

    def done(self, *outputs):
        out = [onnx.ValueInfoProto(name=name) for name in outputs]
        graph = helper.make_graph(self.nodes, "qdq", self.inputs, out, self.constants)
        return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10)


STEP = 0.0113  # of the output


def residual_block(channels=12, seed=0, dtype=np.uint8):
    """Conv 3x3, Relu, MaxPool; Conv, Conv and a Conv beside them, sum, Relu; mean, Gemm."""
    net = Qdq(seed, dtype)
    low = np.iinfo(dtype).min
    x = net.quantized(net.x(1, 3, 11, 9), 0.0313)
    y = net.node("Relu", net.conv(x, (channels, 3, 3, 3), pads=[1, 1, 1, 1], strides=[2, 1]))
    y = net.quantized(y, 0.0227, low)
    pooled = net.node("MaxPool", y, kernel_shape=[3, 3], pads=[1, 1, 1, 1], strides=[2, 2])
    y = net.quantized(pooled, 0.0227, low)
    left = net.conv(y, (channels, channels, 3, 3), pads=[1, 1, 1, 1])
    left = net.quantized(net.node("Relu", left), 0.0513, low)
    left = net.quantized(net.conv(left, (channels, channels, 1, 1)), 0.0417)
    right = net.quantized(net.conv(y, (channels, channels, 1, 1), dtype=np.uint8), 0.0531)
    y = net.quantized(net.node("Relu", net.node("Add", left, right)), 0.0439, low)
    y = net.quantized(net.node("GlobalAveragePool", y), 0.0219, low)
    flat = net.node("Flatten", y, axis=1)
    net.scales[flat] = net.scales[y]
    return net.done(net.quantized(net.gemm(flat, (10, channels)), STEP))
