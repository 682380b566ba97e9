"""Layers of networks for images, as torch exports them for inference: what the builders share.

Batch normalisation is folded into the convolutions, whose weights keep the variance of what comes
in. `ConvNet` keeps book of the channels and of the variance of every value, so that activations
stay of order one however deep a network is. Filters are centred: what all channels have in common
does not go on.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import onnx

from hidet_ep.zoo.nodes import Nodes, Size

OPSET = 17
# one over what an activation leaves of the power of a normal variable of variance 1
RELU, GELU = 2.0, 2.35
# what a layer leaves of its input's variance, roughly; others all of it
LEFT = {"Relu": 0.34, "Clip": 0.34, "MaxPool": 0.7, "GlobalAveragePool": 0.3, "Mul": 0.45}
OF_SILU, OF_SUM = 0.33, 0.9  # what a SiLU leaves, and a Relu of a sum with a positive value
OFFSET = 1.7  # power over variance, where a filter of one channel cannot be centred


class ConvNet:
    """share: of the channels of the published network. image: one size for a square, or height and
    width; they may be symbols.
    """

    def __init__(
        self,
        name: str,
        batch: Size,
        image: Size | tuple[Size, Size],
        share: float = 1.0,
        seed: int = 0,
        dtype: str = "float32",
    ) -> None:
        self.nodes, self.batch, self.share = Nodes(name, seed, dtype, OPSET), batch, share
        self.image = image if isinstance(image, tuple) else (image, image)
        shape = (batch, 3, *self.image)
        self.input = self.nodes.input("image", shape, self.nodes.dtype)
        self.channels = {self.input: 3}
        self.variance = {self.input: 1.0}
        self.sums: set[str] = set()

    def scaled(self, channels: int) -> int:
        """The number of channels at this share, at least 8."""
        return max(8, round(channels * self.share))

    def conv(self, x: str, out: int, kernel: int | tuple[int, int] = 1, **how: float) -> str:
        """stride (1), groups (1), variance (1) of the output. Padded so that an image of stride 1
        keeps its size, unless valid.
        """
        rows, cols = (kernel, kernel) if isinstance(kernel, int) else kernel
        stride, groups = int(how.get("stride", 1)), int(how.get("groups", 1))
        wide = self.channels[x] // groups
        variance = how.get("variance", 1.0)
        fan_in = wide * rows * cols * self.variance[x] / variance * (OFFSET if wide == 1 else 1)
        pads = [0, 0] if how.get("valid") else [(rows - 1) // 2, (cols - 1) // 2]
        y = self.nodes.op(
            "Conv", x, self._filters((out, wide, rows, cols), fan_in), self.nodes.vector(out),
            kernel_shape=[rows, cols], strides=[stride, stride], pads=pads * 2, group=groups,
        )  # fmt: skip
        self.channels[y], self.variance[y] = out, variance
        return y

    def widen(self, x: str, out: int) -> str:
        """A transposed convolution that doubles the image."""
        wide = self.channels[x]
        filters = self._filters((wide, out, 2, 2), wide * self.variance[x])
        y = self.nodes.op(
            "ConvTranspose", x, filters, self.nodes.vector(out), kernel_shape=[2, 2], strides=[2, 2]
        )
        self.channels[y], self.variance[y] = out, 1.0
        return y

    def _filters(self, shape: tuple[int, ...], fan_in: float) -> str:
        drawn = self.nodes.rng.standard_normal(shape, np.float32)
        if shape[1] > 1:
            drawn -= drawn.mean(axis=(1, 2, 3), keepdims=True)
        drawn /= np.float32(math.sqrt(fan_in))
        return self.nodes.const(drawn.astype(self.nodes.dtype), "weights")

    def then(self, kind: str, *values: str, **attributes: Any) -> str:
        """A layer that keeps the channels of its first input."""
        y = self.nodes.op(kind, *values, **attributes)
        x = values[0]
        self.channels[y] = self.channels[x]
        left = OF_SUM if kind == "Relu" and x in self.sums else LEFT.get(kind, 1.0)
        self.variance[y] = self.variance[x] * left
        if kind == "Add":
            self.variance[y] += self.variance[values[1]]
            self.sums.add(y)
        return y

    def relu6(self, x: str) -> str:
        return self.then("Clip", x, self.nodes.scalar(0.0), self.nodes.scalar(6.0))

    def silu(self, x: str) -> str:
        """x * sigmoid(x)."""
        y = self.then("Mul", x, self.nodes.op("Sigmoid", x))
        self.variance[y] = self.variance[x] * OF_SILU
        return y

    def pool(self, kind: str, x: str, stride: int, pad: int, kernel: int = 3) -> str:
        extra = {"count_include_pad": 1} if kind == "AveragePool" else {}
        sizes = {"kernel_shape": [kernel] * 2, "strides": [stride] * 2, "pads": [pad] * 4}
        return self.then(kind, x, **sizes, **extra)

    def concat(self, *values: str) -> str:
        y = self.then("Concat", *values, axis=1)
        self.channels[y] = sum(self.channels[value] for value in values)
        total = sum(self.variance[value] * self.channels[value] for value in values)
        self.variance[y] = total / self.channels[y]
        return y

    def classify(self, x: str, classes: int) -> onnx.ModelProto:
        wide = self.channels[x]
        flat = self.nodes.op("Flatten", self.nodes.op("GlobalAveragePool", x), axis=1)
        weights, bias = self.nodes.weights(classes, wide, fan_in=wide), self.nodes.vector(classes)
        y = self.nodes.op("Gemm", flat, weights, bias, transB=1)
        return self.nodes.model({"scores": (y, (self.batch, classes))})
