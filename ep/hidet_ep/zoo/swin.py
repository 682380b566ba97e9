"""Swin transformer (Liu et al., 2021) as torch exports torchvision's: windows cut by Reshape and
Transpose, shifted by Slices and a Concat per axis, a bias for relative positions, a mask where the
shift brings strangers into one window.

In: sizes, batch (a size or a symbol); out: an onnx.ModelProto of one input [batch, 3, image, image]
and one output [batch, classes].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from hidet_ep.zoo.layers import Part, dim, linear, mlp, norm, pick, target
from hidet_ep.zoo.nodes import Nodes, Size

OPSET = 17
EPSILON = 1e-5
MASKED = -100.0


@dataclass(frozen=True)
class SwinSizes:
    """image: in pixels; each stage's image is a multiple of the window, or not larger."""

    image: int = 224
    patch: int = 4
    window: int = 7
    channels: int = 96
    depths: tuple[int, ...] = (2, 2, 6, 2)
    heads: tuple[int, ...] = (3, 6, 12, 24)
    classes: int = 1000

    def __post_init__(self) -> None:
        side = self.image // self.patch
        for stage in range(len(self.depths)):
            if side % min(self.window, max(side, 1)) or side < 1:
                raise ValueError(f"stage {stage} of {side} pixels, no multiple of {self.window}")
            side //= 2


def swin(
    sizes: SwinSizes | None = None, batch: Size = 1, dtype: str = "float32", seed: int = 0
) -> onnx.ModelProto:
    s, n = sizes or SwinSizes(), Nodes("swin", seed, dtype, OPSET)
    image = n.input("image", (batch, 3, s.image, s.image), n.dtype)
    filters = n.weights(s.channels, 3, s.patch, s.patch, fan_in=3 * s.patch**2)
    steps = {"kernel_shape": [s.patch] * 2, "strides": [s.patch] * 2}
    x = n.op("Conv", image, filters, n.vector(s.channels), **steps)
    x = norm(n, n.op("Transpose", x, perm=[0, 2, 3, 1]), s.channels, EPSILON)
    side, channels = s.image // s.patch, s.channels
    for stage, depth in enumerate(s.depths):
        if stage:
            x, side, channels = _merge(n, x, channels), side // 2, 2 * channels
        window = min(s.window, side)
        for block in range(depth):
            shift = window // 2 if block % 2 and window < side else 0
            made = _Block(n, (side, window, shift), channels, s.heads[stage], batch)
            x = made.layer(x)
    x = n.op("Transpose", norm(n, x, channels, EPSILON), perm=[0, 3, 1, 2])
    flat = n.op("Flatten", n.op("GlobalAveragePool", x), axis=1)
    weights, bias = n.weights(s.classes, channels, fan_in=channels), n.vector(s.classes)
    return n.model({"scores": (n.op("Gemm", flat, weights, bias, transB=1), (batch, s.classes))})


def _merge(n: Nodes, x: str, channels: int) -> str:
    """Four neighbours become one pixel of twice the channels."""
    end, steps = n.ints(np.iinfo(np.int64).max), n.ints(2)
    parts = []
    for row, column in ((0, 0), (1, 0), (0, 1), (1, 1)):
        rows = n.op("Slice", x, n.ints(row), end, n.ints(1), steps)
        parts.append(n.op("Slice", rows, n.ints(column), end, n.ints(2), steps))
    joined = norm(n, n.op("Concat", *parts, axis=-1), 4 * channels, EPSILON)
    return linear(n, joined, 4 * channels, 2 * channels, bias=False)


class _Block:
    """One layer. sizes: of the image's side, a window and the shift."""

    def __init__(
        self, n: Nodes, sizes: tuple[int, int, int], channels: int, heads: int, batch: Size
    ) -> None:
        self.n, self.channels, self.heads, self.batch = n, channels, heads, batch
        self.side, self.window, self.shift = sizes
        self.per_side = self.side // self.window
        self.tokens = self.window**2

    def layer(self, x: str) -> str:
        n, channels = self.n, self.channels
        x = n.op("Add", x, self.attend(norm(n, x, channels, EPSILON)))
        return n.op("Add", x, mlp(n, norm(n, x, channels, EPSILON), channels, 4 * channels))

    def attend(self, x: str) -> str:
        """Attention within windows, of an image that is shifted before and after."""
        n, size = self.n, dim(self.n, x, 0, self.batch)
        windows = self.cut(self.roll(x, self.shift), size)
        mixed = linear(n, self.mix(windows, size), self.channels, self.channels)
        return self.roll(self.joined(mixed, size), -self.shift)

    def roll(self, x: str, by: int) -> str:
        """Each row and column moves `by` towards the start, round the edge."""
        n = self.n
        for axis in (1, 2) if by else ():
            at, end = n.ints(by), n.ints(np.iinfo(np.int64).max)
            tail = n.op("Slice", x, at, end, n.ints(axis))
            x = n.op("Concat", tail, n.op("Slice", x, n.ints(0), at, n.ints(axis)), axis=axis)
        return x

    def cut(self, x: str, size: Part) -> str:
        """[batch, side, side, c] -> [batch * windows, tokens, c]."""
        n, per, window, c = self.n, self.per_side, self.window, self.channels
        x = n.op("Reshape", x, target(n, size, per, window, per, window, c))
        x = n.op("Transpose", x, perm=[0, 1, 3, 2, 4, 5])
        return n.op("Reshape", x, n.ints(-1, self.tokens, c))

    def joined(self, x: str, size: Part) -> str:
        n, per, window, c = self.n, self.per_side, self.window, self.channels
        x = n.op("Reshape", x, target(n, size, per, per, window, window, c))
        x = n.op("Transpose", x, perm=[0, 1, 3, 2, 4, 5])
        return n.op("Reshape", x, target(n, size, self.side, self.side, c))

    def mix(self, x: str, size: Part) -> str:
        n, heads, tokens = self.n, self.heads, self.tokens
        width = self.channels // heads
        merged = linear(n, x, self.channels, 3 * self.channels)
        cut = n.op("Reshape", merged, n.ints(-1, tokens, 3, heads, width))
        q, k, v = pick(n, n.op("Transpose", cut, perm=[2, 0, 3, 1, 4]), 3)
        q = n.op("Mul", q, n.scalar(width**-0.5))
        scores = n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2]))
        scores = n.op("Add", scores, self.bias())
        if self.shift:
            count = self.per_side**2
            each = n.op("Reshape", scores, target(n, size, count, heads, tokens, tokens))
            masked = n.op("Add", each, n.const(self.mask(), "mask"))
            scores = n.op("Reshape", masked, n.ints(-1, heads, tokens, tokens))
        mixed = n.op("MatMul", n.op("Softmax", scores, axis=-1), v)
        mixed = n.op("Transpose", mixed, perm=[0, 2, 1, 3])
        return n.op("Reshape", mixed, n.ints(-1, tokens, self.channels))

    def bias(self) -> str:
        """[1, heads, tokens, tokens]: rows of a table, by the place of the one to the other."""
        n, window, tokens = self.n, self.window, self.tokens
        table = n.weights((2 * window - 1) ** 2, self.heads, fan_in=1, name="table")
        at = np.indices((window, window)).reshape(2, -1)
        apart = at[:, :, None] - at[:, None, :] + window - 1
        index = (apart[0] * (2 * window - 1) + apart[1]).reshape(-1)
        rows = n.op("Gather", table, n.const(index.astype(np.int64), "index"), axis=0)
        square = n.op("Reshape", rows, n.ints(tokens, tokens, -1))
        return n.op("Unsqueeze", n.op("Transpose", square, perm=[2, 0, 1]), n.ints(0))

    def mask(self) -> np.ndarray:
        """[1, windows, 1, tokens, tokens]: -100 for pixels that were not neighbours."""
        per, window = self.per_side, self.window
        edges = (0, self.side - window, self.side - self.shift, self.side)
        region = np.zeros((self.side, self.side), np.int64)
        for k in range(9):
            (top, bottom), (left, right) = (edges[i : i + 2] for i in divmod(k, 3))
            region[top:bottom, left:right] = k
        region = region.reshape(per, window, per, window).swapaxes(1, 2).reshape(-1, self.tokens)
        apart = region[:, None, :] != region[:, :, None]
        return np.where(apart, MASKED, 0.0).astype(self.n.dtype)[None, :, None]
