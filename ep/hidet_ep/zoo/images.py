"""MobileNet-V2 (Sandler et al., 2018) and Inception-V3 (Szegedy et al., 2015) for images, as
exported for inference: batch normalisation is folded into the convolutions.

In: image size, batch (a size or a symbol), the share of channels; out: an onnx.ModelProto of one
input [batch, 3, image, image] and one output [batch, classes].
"""

from __future__ import annotations

import onnx

from hidet_ep.zoo.convnet import ConvNet
from hidet_ep.zoo.nodes import Size

# expansion, channels, blocks, stride of the first block
INVERTED = (
    (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2),
    (6, 320, 1, 1),
)  # fmt: skip


def mobilenet_v2(
    image: int = 224, batch: Size = 1, share: float = 1.0, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    net = ConvNet("mobilenet_v2", batch, image, share, seed)
    x = net.relu6(net.conv(net.input, net.scaled(32), 3, stride=2))
    for expansion, channels, blocks, first in INVERTED:
        for block in range(blocks):
            stride = first if block == 0 else 1
            x = _inverted(net, x, expansion, net.scaled(channels), stride)
    return net.classify(net.relu6(net.conv(x, net.scaled(1280))), classes)


def _inverted(net: ConvNet, x: str, expansion: int, out: int, stride: int) -> str:
    """Expand, convolve each channel, project; added to x where the sizes are the same."""
    wide = net.channels[x] * expansion
    y = net.relu6(net.conv(x, wide)) if expansion > 1 else x
    y = net.relu6(net.conv(y, wide, 3, stride=stride, groups=wide))
    y = net.conv(y, out)
    return net.then("Add", x, y) if stride == 1 and net.channels[x] == out else y


def inception_v3(
    image: int = 299, batch: Size = 1, share: float = 1.0, classes: int = 1000, seed: int = 0
) -> onnx.ModelProto:
    """image: at least 75."""
    return _Inception("inception_v3", batch, image, share, seed).model(classes)


class _Inception(ConvNet):
    """The blocks of the paper, A to E."""

    def unit(self, x: str, out: int, kernel: int | tuple[int, int] = 1, **how: int) -> str:
        return self.then("Relu", self.conv(x, self.scaled(out), kernel, **how))

    def chain(self, x: str, *units: tuple) -> str:
        for out, kernel in units:
            x = self.unit(x, out, kernel)
        return x

    def model(self, classes: int) -> onnx.ModelProto:
        x = self.unit(self.input, 32, 3, stride=2, valid=1)
        x = self.unit(self.unit(x, 32, 3, valid=1), 64, 3)
        x = self.pool("MaxPool", x, 2, 0)
        x = self.unit(self.unit(x, 80), 192, 3, valid=1)
        x = self.pool("MaxPool", x, 2, 0)
        for pooled in (32, 64, 64):
            x = self.block_a(x, pooled)
        x = self.block_b(x)
        for wide in (128, 160, 160, 192):
            x = self.block_c(x, wide)
        x = self.block_d(x)
        return self.classify(self.block_e(self.block_e(x)), classes)

    def block_a(self, x: str, pooled: int) -> str:
        return self.concat(
            self.unit(x, 64),
            self.chain(x, (48, 1), (64, 5)),
            self.chain(x, (64, 1), (96, 3), (96, 3)),
            self.unit(self.pool("AveragePool", x, 1, 1), pooled),
        )

    def block_b(self, x: str) -> str:
        double = self.chain(x, (64, 1), (96, 3))
        return self.concat(
            self.unit(x, 384, 3, stride=2, valid=1),
            self.unit(double, 96, 3, stride=2, valid=1),
            self.pool("MaxPool", x, 2, 0),
        )

    def block_c(self, x: str, wide: int) -> str:
        row, column = (1, 7), (7, 1)
        return self.concat(
            self.unit(x, 192),
            self.chain(x, (wide, 1), (wide, row), (192, column)),
            self.chain(x, (wide, 1), (wide, column), (wide, row), (wide, column), (192, row)),
            self.unit(self.pool("AveragePool", x, 1, 1), 192),
        )

    def block_d(self, x: str) -> str:
        sevens = self.chain(x, (192, 1), (192, (1, 7)), (192, (7, 1)))
        return self.concat(
            self.unit(self.unit(x, 192), 320, 3, stride=2, valid=1),
            self.unit(sevens, 192, 3, stride=2, valid=1),
            self.pool("MaxPool", x, 2, 0),
        )

    def block_e(self, x: str) -> str:
        three, double = self.unit(x, 384), self.chain(x, (448, 1), (384, 3))
        sides = ((1, 3), (3, 1))
        return self.concat(
            self.unit(x, 320),
            self.concat(*(self.unit(three, 384, side) for side in sides)),
            self.concat(*(self.unit(double, 384, side) for side in sides)),
            self.unit(self.pool("AveragePool", x, 1, 1), 192),
        )
