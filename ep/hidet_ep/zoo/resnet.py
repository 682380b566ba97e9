"""ResNet-50 v1.5 (He et al., 2015; the stride is in the 3x3 convolution) as torch exports it.

In: image size, batch (sizes or symbols), the share of channels; out: an onnx.ModelProto of one
input [batch, 3, image, image] and one output [batch, classes].
"""

from __future__ import annotations

import onnx

from hidet_ep.zoo.convnet import ConvNet
from hidet_ep.zoo.nodes import Size

STAGES = ((64, 3, 1), (128, 4, 2), (256, 6, 2), (512, 3, 2))  # channels, blocks, stride
EXPANSION = 4
LAST = 0.3  # variance of a block's last convolution: less than what it is added to


def resnet50_v1_5(
    image: Size | tuple[Size, Size] = 224,
    batch: Size = 1,
    share: float = 1.0,
    classes: int = 1000,
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    net = ConvNet("resnet50_v1_5", batch, image, share, seed, dtype)
    x = net.then("Relu", net.conv(net.input, net.scaled(64), 7, stride=2))
    x = net.pool("MaxPool", x, 2, 1)
    for channels, blocks, first in STAGES:
        for block in range(blocks):
            x = _bottleneck(net, x, net.scaled(channels), first if block == 0 else 1)
    return net.classify(x, classes)


def _bottleneck(net: ConvNet, x: str, channels: int, stride: int) -> str:
    out = EXPANSION * channels
    y = net.then("Relu", net.conv(x, channels))
    y = net.then("Relu", net.conv(y, channels, 3, stride=stride))
    y = net.conv(y, out, variance=LAST)
    if net.channels[x] != out:
        x = net.conv(x, out, stride=stride)
    return net.then("Relu", net.then("Add", y, x))
