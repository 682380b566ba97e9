"""Sliding windows over the H and W of NHWC tensors: output sizes and clamped loads, for
convolution and pooling."""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.compute.dims import Dim, dim_expr, simplify
from hidet_core.ir.expr import Buffer, Expr, both, is_const, load, maximum, minimum


def window_out(size: Dim, kernel: Dim, stride: int, pads: tuple[int, int], dilation: int) -> Dim:
    """Number of windows that fit (rounding down)."""
    span = size + (pads[0] + pads[1]) - dilation * (kernel - 1) - 1
    return simplify(span // stride + 1)


class Window:
    """Where window (oh, ow) at tap (r, s) reads: y, x may lie outside; `valid` says whether they
    do not."""

    def __init__(
        self, buffer: Buffer, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int]
    ) -> None:
        self.buffer = buffer
        self.strides = tuple(strides)
        self.pads = tuple(pads)
        self.dilations = tuple(dilations)

    def position(self, axis: int, out: Expr, tap: Expr) -> Expr:
        """Coordinate along H (axis 0) or W (axis 1)."""
        return out * self.strides[axis] + tap * self.dilations[axis] - self.pads[axis]

    def inside(self, axis: int, at: Expr) -> Expr:
        return both(at >= 0, at < dim_expr(self.buffer.shape[1 + axis]))

    def valid(self, y: Expr, x: Expr) -> Expr:
        return both(self.inside(0, y), self.inside(1, x))

    def load(self, batch: Expr, y: Expr, x: Expr, channel: Expr) -> Expr:
        """The element at the nearest position inside: safe wherever y and x point."""
        return load(self.buffer, batch, self.clamp(0, y), self.clamp(1, x), channel)

    def clamp(self, axis: int, at: Expr) -> Expr:
        size = self.buffer.shape[1 + axis]
        if is_const(size, 1):
            return dim_expr(0)
        return minimum(maximum(at, 0), dim_expr(size) - 1)
