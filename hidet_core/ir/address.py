"""Where an element of a buffer lies: strides and flat indices, in elements."""

from __future__ import annotations

from collections.abc import Sequence

from .dtypes import i64
from .expr import Buffer, Const, Expr, wrap


def strides_of(buffer: Buffer) -> tuple[int | Expr, ...]:
    """The strides of a buffer in elements; row-major where it has none of its own."""
    if buffer.strides is not None:
        return buffer.strides
    strides: list[int | Expr] = []
    step: int | Expr = 1
    for extent in reversed(buffer.shape):
        strides.append(step)
        step = extent * step
    return tuple(reversed(strides))


def flat(buffer: Buffer, indices: Sequence[Expr]) -> Expr:
    """The flat index of buffer[indices]."""
    total: Expr = Const(0, i64)
    for index, stride in zip(indices, strides_of(buffer), strict=True):
        total = total + index * wrap(stride, i64)
    return total
