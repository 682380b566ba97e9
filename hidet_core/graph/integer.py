"""Products of quantised tensors: a contraction of the raw 8-bit integers, and what zero points add.

    sum (a - az) * (b - bz)  =  sum a * b  -  az * sum b  -  bz * sum a  +  count * az * bz

Sums of constants are constants, and so are zero points of most models; of weights whose zero point
can be subtracted in 8 bits, or that are unsigned, an equal signed form is taken. Zero points are
None where they are 0.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from hidet_core.base.errors import Unsupported
from hidet_core.ir.dtypes import i8, i32

from .builder import GraphBuilder
from .graph import Value

SIGN = 128  # between u8 and i8


def is_zero(builder: GraphBuilder, zero: Value | None) -> bool:
    """Whether a zero point is known to be 0 everywhere."""
    return zero is None or (zero in builder.constants and not builder.constants[zero].any())


def integer_matmul(
    builder: GraphBuilder, a: Value, a_zero: Value | None, b: Value, b_zero: Value | None
) -> Value:
    """matmul(a - a_zero, b - b_zero) in i32; a_zero, b_zero broadcast to a's rows, b's columns."""
    b, b_zero = _signed(builder, b, b_zero)
    parts = _Sums(builder, builder.emit("matmul", a, b), a.type.shape[-1])
    if not is_zero(builder, a_zero):
        parts.subtract(a_zero, _total(builder, b, -2))
    if not is_zero(builder, b_zero):
        parts.subtract(b_zero, _total(builder, a, -1))
    return parts.finish(a_zero, b_zero)


def integer_conv(
    builder: GraphBuilder,
    x: Value,
    x_zero: Value | None,
    w: Value,
    w_zero: Value | None,
    attrs: Mapping[str, Any],
) -> Value:
    """conv2d(x - x_zero, w - w_zero) in i32 of x[N, H, W, C] and w[R, S, C/g, O]; x_zero is one
    number, w_zero one, or one for each of O. What lies around the image is x_zero.
    """
    w, w_zero = _signed(builder, w, w_zero)
    known = 0
    if x_zero is not None and x_zero in builder.constants and any(attrs["pads"]):
        known = int(builder.constants[x_zero].reshape(()))
    attrs = {**attrs, "pad_value": known} if known else attrs
    parts = _Sums(builder, builder.emit("conv2d", x, w, **attrs), 0)
    around = any(attrs["pads"]) and not known  # then sums of weights are of taps inside the image
    if not is_zero(builder, x_zero):
        parts.subtract(x_zero, _taps(builder, x, w, attrs) if around else _weights(builder, w))
    if is_zero(builder, w_zero):
        return parts.value
    ones = _like(builder, w)
    parts.subtract(w_zero, builder.emit("conv2d", x, ones, **attrs))
    if not is_zero(builder, x_zero):
        both = builder.emit("mul", _whole(builder, x_zero), _whole(builder, w_zero))
        count = _taps(builder, x, ones, attrs) if around else _weights(builder, ones)
        return builder.emit("add", parts.value, builder.emit("mul", both, count))
    return parts.value


class _Sums:
    """A contraction of raw integers being corrected. count: of the products in a sum."""

    def __init__(self, builder: GraphBuilder, value: Value, count: Any) -> None:
        self.builder, self.value, self.count = builder, value, count

    def subtract(self, zero: Value | None, sums: Value) -> None:
        assert zero is not None, "it was looked at"
        part = self.builder.emit("mul", _whole(self.builder, zero), sums)
        self.value = self.builder.emit("sub", self.value, part)

    def finish(self, a_zero: Value | None, b_zero: Value | None) -> Value:
        builder = self.builder
        if is_zero(builder, a_zero) or is_zero(builder, b_zero):
            return self.value
        both = builder.emit("mul", _whole(builder, a_zero), _whole(builder, b_zero))
        if not isinstance(self.count, int):
            raise Unsupported("matmul", "two zero points, and a symbolic number of products")
        part = builder.emit("mul", both, builder.scalar(self.count, both))
        return builder.emit("add", self.value, part)


def _signed(builder: GraphBuilder, b: Value, zero: Value | None) -> tuple[Value, Value | None]:
    """Constant integers of 8 bits and their zero point as an equal pair of i8, with the zero point
    subtracted where it can be. Others as they are.
    """
    if b not in builder.constants or (zero is not None and zero not in builder.constants):
        return b, zero
    array = builder.constants[b].astype(np.int16)
    shift = np.int16(0) if zero is None else builder.constants[zero].astype(np.int16)
    moved = array - shift
    if moved.size == 0 or (moved.min() >= -SIGN and moved.max() < SIGN):
        return builder.constant(moved.astype(np.int8), b.name), None
    if b.type.dtype == i8:
        return b, zero
    as_i32 = builder.constant(np.asarray(shift - SIGN, np.int32), "zero")
    return builder.constant((array - SIGN).astype(np.int8), b.name), as_i32


def _whole(builder: GraphBuilder, value: Value | None) -> Value:
    assert value is not None, "it was looked at"
    return builder.cast(value, i32)


def _total(builder: GraphBuilder, value: Value, axis: int) -> Value:
    """Sums in i32 along an axis, which stays as 1."""
    axes = (value.type.rank + axis,)
    return builder.emit("reduce", _whole(builder, value), op="sum", axes=axes, keepdims=True)


def _weights(builder: GraphBuilder, w: Value) -> Value:
    """Sums of the weights of each output channel: [O]."""
    whole = _whole(builder, w)
    return builder.emit("reduce", whole, op="sum", axes=(0, 1, 2), keepdims=False)


def _taps(builder: GraphBuilder, x: Value, w: Value, attrs: Mapping[str, Any]) -> Value:
    """Sums of the weights whose taps lie inside the image: [1, OH, OW, O]."""
    one = builder.constant(np.asarray(1, np.uint8), "one")
    ones = builder.broadcast_to(one, (1, *x.type.shape[1:]))
    plain = {name: value for name, value in attrs.items() if name != "pad_value"}
    return builder.emit("conv2d", ones, w, **plain)


def _like(builder: GraphBuilder, w: Value) -> Value:
    """Ones in place of weights."""
    shape = tuple(int(dim) for dim in w.type.shape)
    ones = np.broadcast_to(np.ones((), np.int8), shape)
    return builder.constant(ones, "ones")
