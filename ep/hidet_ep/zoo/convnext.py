"""ConvNeXt (Liu et al., 2022) as torch exports it: layer normalisation of images, either between
two Transposes ("last") or in primitives over the axis of the channels ("first").

In: sizes, batch and image (sizes or symbols); out: an onnx.ModelProto of one input [batch, 3,
image, image] and one output [batch, classes].
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from hidet_ep.zoo.convnet import GELU, ConvNet
from hidet_ep.zoo.layers import gelu, linear, norm
from hidet_ep.zoo.nodes import Size

LAST, FIRST = [0, 2, 3, 1], [0, 3, 1, 2]  # where an axis of channels goes
NORMS = ("last", "first")
EPSILON = 1e-6


@dataclass(frozen=True)
class ConvNextSizes:
    depths: tuple[int, ...] = (3, 3, 9, 3)
    channels: tuple[int, ...] = (96, 192, 384, 768)
    kernel: int = 7
    classes: int = 1000


def convnext(
    sizes: ConvNextSizes | None = None,
    image: Size | tuple[Size, Size] = 224,
    batch: Size = 1,
    norms: str = "last",
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    """norms: of images between blocks, "last" or "first"; those in blocks are always "last"."""
    if norms not in NORMS:
        raise ValueError(f"norms {norms!r} is unknown; there are {', '.join(NORMS)}")
    s, net = sizes or ConvNextSizes(), ConvNet("convnext", batch, image, 1.0, seed, dtype)
    spread = _norm_last if norms == "last" else _norm_first
    x = spread(net, _conv(net, net.input, s.channels[0], 4))
    for depth, channels in zip(s.depths, s.channels, strict=True):
        if net.channels[x] != channels:
            x = _conv(net, spread(net, x), channels, 2)
        for _ in range(depth):
            x = _block(net, x, s.kernel)
    return _classify(net, x, s.classes)


def _conv(net: ConvNet, x: str, out: int, stride: int) -> str:
    return net.conv(x, out, stride, stride=stride, valid=1)


def _norm_last(net: ConvNet, x: str) -> str:
    turned = net.nodes.op("Transpose", x, perm=LAST)
    return _back(net, norm(net.nodes, turned, net.channels[x], EPSILON), net.channels[x])


def _back(net: ConvNet, x: str, channels: int) -> str:
    y = net.nodes.op("Transpose", x, perm=FIRST)
    net.channels[y], net.variance[y] = channels, 1.0
    return y


def _norm_first(net: ConvNet, x: str) -> str:
    """(x - mean) / sqrt(mean of squares + epsilon) * scale[c, 1, 1] + bias[c, 1, 1]."""
    n, channels = net.nodes, net.channels[x]
    centred = n.op("Sub", x, n.op("ReduceMean", x, axes=[1]))
    power = n.op("ReduceMean", n.op("Pow", centred, n.scalar(2.0)), axes=[1])
    normal = n.op("Div", centred, n.op("Sqrt", n.op("Add", power, n.scalar(EPSILON))))
    scale, bias = (n.op("Unsqueeze", n.vector(channels, mean), n.ints(1, 2)) for mean in (1.0, 0.0))
    y = n.op("Add", n.op("Mul", scale, normal), bias)
    net.channels[y], net.variance[y] = channels, 1.0
    return y


def _block(net: ConvNet, x: str, kernel: int) -> str:
    """Convolve each channel, then two linear layers on the pixels, scaled and added to x."""
    n, channels = net.nodes, net.channels[x]
    y = net.conv(x, channels, kernel, groups=channels)
    y = norm(n, n.op("Transpose", y, perm=LAST), channels, EPSILON)
    y = gelu(n, linear(n, y, channels, 4 * channels))
    y = _back(net, linear(n, y, 4 * channels, channels, gain=GELU), channels)
    scale = n.vector(channels, 0.5, "scale")
    y = n.op("Mul", n.op("Reshape", scale, n.ints(channels, 1, 1)), y)
    net.variance[y] = 0.25
    return net.then("Add", x, y)


def _classify(net: ConvNet, x: str, classes: int) -> onnx.ModelProto:
    n, channels = net.nodes, net.channels[x]
    pooled = net.then("GlobalAveragePool", x)
    flat = n.op("Flatten", _norm_last(net, pooled), axis=1)
    weights, bias = n.weights(classes, channels, fan_in=channels), n.vector(classes)
    y = n.op("Gemm", flat, weights, bias, transB=1)
    return n.model({"scores": (y, (net.batch, classes))})
