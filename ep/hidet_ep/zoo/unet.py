"""U-Net (Ronneberger et al., 2015) with padded convolutions, as torch exports it.

In: image size (a multiple of 16, or symbols), batch, channels; out: an onnx.ModelProto of one input
[batch, 3, height, width] and one output [batch, classes, height, width]. up: "transposed" or
"resized", which also serves images that are no multiples of 16: what comes up is resized to the
image that it is joined with.
"""

from __future__ import annotations

import numpy as np
import onnx

from hidet_ep.zoo.convnet import ConvNet
from hidet_ep.zoo.nodes import Size

UPS = ("transposed", "resized")
DEPTH = 4


def unet(
    image: Size | tuple[Size, Size] = 256,
    batch: Size = 1,
    channels: int = 64,
    classes: int = 2,
    up: str = "transposed",
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    """channels: of the first level, each of the four below has twice as many."""
    if up not in UPS:
        raise ValueError(f"up {up!r} is unknown; there are {', '.join(UPS)}")
    net = ConvNet("unet", batch, image, 1.0, seed, dtype)
    x, levels = _double(net, net.input, channels), []
    for level in range(1, DEPTH + 1):
        levels.append(x)
        x = _double(net, net.pool("MaxPool", x, 2, 0, kernel=2), channels << level)
    for skip in reversed(levels):
        out = net.channels[skip]
        x = net.widen(x, out) if up == "transposed" else net.conv(_resized(net, x, skip), out)
        x = _double(net, net.concat(skip, x), out)
    scores = net.conv(x, classes)
    return net.nodes.model({"scores": (scores, (batch, classes, *net.image))})


def _double(net: ConvNet, x: str, out: int) -> str:
    for _ in range(2):
        x = net.then("Relu", net.conv(x, out, 3))
    return x


def _resized(net: ConvNet, x: str, like: str) -> str:
    """F.interpolate(x, like.shape[2:], mode="bilinear"): Resize to sizes that are computed."""
    n = net.nodes
    front = n.op("Slice", n.op("Shape", x), n.ints(0), n.ints(2), n.ints(0))
    back = n.op("Slice", n.op("Shape", like), n.ints(2), n.ints(4), n.ints(0))
    sizes = n.op("Concat", front, back, axis=0)
    empty = n.const(np.zeros(0, np.float32), "none")
    how = {"coordinate_transformation_mode": "half_pixel", "mode": "linear"}
    return net.then("Resize", x, empty, empty, sizes, **how)
