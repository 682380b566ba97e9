"""Sliding windows over the spatial axes of channel-last tensors [N, *spatial, C]: output sizes and
clamped loads, for convolution and pooling of any number of spatial axes."""

from __future__ import annotations

from collections.abc import Sequence
from functools import reduce

from hidet_core.compute.dims import Dim, dim_expr, simplify
from hidet_core.ir.expr import Buffer, Expr, both, is_const, load, maximum, minimum


def window_out(size: Dim, kernel: Dim, stride: int, pads: tuple[int, int], dilation: int) -> Dim:
    """Number of windows that fit (rounding down)."""
    span = size + (pads[0] + pads[1]) - dilation * (kernel - 1) - 1
    return simplify(span // stride + 1)


class Window:
    """Where a window reads at a tap: positions may lie outside; `valid` says whether they do not.

    pads: of all axes before, then of all axes after; spatial axis 0 is axis 1 of the buffer.
    """

    def __init__(
        self, buffer: Buffer, strides: Sequence[int], pads: Sequence[int], dilations: Sequence[int]
    ) -> None:
        self.buffer = buffer
        self.strides = tuple(strides)
        self.pads = tuple(pads)
        self.dilations = tuple(dilations)

    def position(self, axis: int, out: Expr, tap: Expr) -> Expr:
        """Coordinate along a spatial axis."""
        return out * self.strides[axis] + tap * self.dilations[axis] - self.pads[axis]

    def positions(self, out: Sequence[Expr], taps: Sequence[Expr]) -> list[Expr]:
        """Coordinates along all spatial axes."""
        return [self.position(axis, *pair) for axis, pair in enumerate(zip(out, taps, strict=True))]

    def inside(self, axis: int, at: Expr) -> Expr:
        return both(at >= 0, at < dim_expr(self.buffer.shape[1 + axis]))

    def valid(self, at: Sequence[Expr]) -> Expr:
        return reduce(both, (self.inside(axis, place) for axis, place in enumerate(at)))

    def load(self, batch: Expr, at: Sequence[Expr], channel: Expr) -> Expr:
        """The element at the nearest position inside: safe wherever `at` points."""
        inside = (self.clamp(axis, place) for axis, place in enumerate(at))
        return load(self.buffer, batch, *inside, channel)

    def clamp(self, axis: int, at: Expr) -> Expr:
        size = self.buffer.shape[1 + axis]
        if is_const(size, 1):
            return dim_expr(0)
        return minimum(maximum(at, 0), dim_expr(size) - 1)
