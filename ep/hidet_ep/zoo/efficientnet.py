"""EfficientNet-B0 (Tan and Le, 2019) as torch exports it: SiLU, squeeze and excite.

In: image size, batch (sizes or symbols), the share of channels; out: an onnx.ModelProto of one
input [batch, 3, image, image] and one output [batch, classes].
"""

from __future__ import annotations

import onnx

from hidet_ep.zoo.convnet import ConvNet
from hidet_ep.zoo.nodes import Size

# expansion, channels, blocks, stride of the first block, kernel
BLOCKS = (
    (1, 16, 1, 1, 3), (6, 24, 2, 2, 3), (6, 40, 2, 2, 5), (6, 80, 3, 2, 3), (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5), (6, 320, 1, 1, 3),
)  # fmt: skip
SQUEEZE = 4  # of the channels that come into a block


def efficientnet_b0(
    image: Size | tuple[Size, Size] = 224,
    batch: Size = 1,
    share: float = 1.0,
    classes: int = 1000,
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    net = ConvNet("efficientnet_b0", batch, image, share, seed, dtype)
    x = net.silu(net.conv(net.input, net.scaled(32), 3, stride=2))
    for expansion, channels, blocks, first, kernel in BLOCKS:
        for block in range(blocks):
            stride = first if block == 0 else 1
            x = _block(net, x, (expansion, net.scaled(channels)), stride, kernel)
    return net.classify(net.silu(net.conv(x, net.scaled(1280))), classes)


def _block(net: ConvNet, x: str, sizes: tuple[int, int], stride: int, kernel: int) -> str:
    """Expand, convolve each channel, weigh the channels, project; added to x if sizes allow."""
    expansion, out = sizes
    narrow = net.channels[x]
    wide = narrow * expansion
    y = net.silu(net.conv(x, wide)) if expansion > 1 else x
    y = net.silu(net.conv(y, wide, kernel, stride=stride, groups=wide))
    y = _excite(net, y, max(1, narrow // SQUEEZE))
    y = net.conv(y, out)
    return net.then("Add", y, x) if stride == 1 and narrow == out else y


def _excite(net: ConvNet, x: str, narrow: int) -> str:
    """x times a gate for each channel, computed from the channels' means."""
    gate = net.silu(net.conv(net.then("GlobalAveragePool", x), narrow))
    gate = net.nodes.op("Sigmoid", net.conv(gate, net.channels[x]))
    return net.then("Mul", x, gate)
