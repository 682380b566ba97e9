"""pool2d over x[N, H, W, C]; lrn over the channels.

pool2d attrs: kind 'max' | 'avg', kernel (2), strides (2), pads (top, left, bottom, right),
dilations (2), count_include_pad (avg: padded positions count in the divisor), out_hw (2 dims; the
importer resolved ceil_mode, so the last window may reach beyond the padding; what lies beyond
counts never). lrn attrs: size, alpha, beta, bias:  x / (bias + alpha / size * sum of squares over
a window of channels) ** beta.
"""

from __future__ import annotations

import math

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import dim_expr
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Expr,
    both,
    cast,
    maximum,
    minimum,
    select,
    unary,
)
from hidet_core.ir.expr import binary as binary_expr
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .registry import Attrs, Types, operator
from .windows import Window


def lowest(dtype: DType) -> Const:
    """The identity of max."""
    if dtype.is_float:
        return Const(-math.inf, dtype)
    return Const(-(1 << dtype.bits - 1) if dtype.kind == "i" else 0, dtype)


def _infer(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    if x.rank != 4 or attrs["kind"] not in ("max", "avg"):
        raise Unsupported(
            "pool2d", f"expected [N, H, W, C] and kind max or avg, got {x} and {attrs['kind']!r}"
        )
    return TensorType(x.dtype, (x.shape[0], *attrs["out_hw"], x.shape[3]))


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    (x,) = inputs
    window = Window(x, attrs["strides"], attrs["pads"], attrs["dilations"])
    is_max = attrs["kind"] == "max"
    wide = wide_type(x.dtype)
    outside = lowest(wide) if is_max else Const(0.0, wide)

    def value(n: Expr, oh: Expr, ow: Expr, c: Expr) -> Expr:
        def term(r: Expr, s: Expr) -> Expr:
            y, z = window.position(0, oh, r), window.position(1, ow, s)
            return select(window.valid(y, z), cast(window.load(n, y, z, c), wide), outside)

        total = reduce_over("max" if is_max else "sum", tuple(attrs["kernel"]), term)
        if not is_max:
            total = total / cast(_count(window, attrs, (oh, ow)), wide)
        return narrowed(total, out.dtype)

    return (compute("pool2d", out.dtype, out.shape, value),)


def _count(window: Window, attrs: Attrs, out: tuple[Expr, Expr]) -> Expr:
    """How many positions of a window an average divides by."""
    counts = [_count_along(window, attrs, axis, position) for axis, position in enumerate(out)]
    return counts[0] * counts[1]


def _count_along(window: Window, attrs: Attrs, axis: int, out: Expr) -> Expr:
    kernel, dilation = attrs["kernel"][axis], attrs["dilations"][axis]
    size = dim_expr(window.buffer.shape[1 + axis])
    before, after = attrs["pads"][axis], attrs["pads"][axis + 2]
    start = out * window.strides[axis] - before
    if not attrs["count_include_pad"]:
        first = (maximum(-start, 0) + (dilation - 1)) // dilation
        last = (minimum(size - start, (kernel - 1) * dilation + 1) + (dilation - 1)) // dilation
        return maximum(last - first, 1)
    reach = minimum(size + after - start, (kernel - 1) * dilation + 1)
    return maximum((reach + (dilation - 1)) // dilation, 1)


operator("pool2d", "anchor", _infer, _define)


def _power(base: Expr, exponent: float) -> Expr:
    """base ** exponent, with roots instead of a general power where they do."""
    if exponent == 0.75:
        return unary("sqrt", base) * unary("sqrt", unary("sqrt", base))
    if exponent == 0.5:
        return unary("sqrt", base)
    return base if exponent == 1 else binary_expr("pow", base, exponent)


def _define_lrn(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (x,) = inputs
    size = attrs["size"]
    channels = dim_expr(x.shape[-1])

    def value(*axes: Expr) -> Expr:
        def term(k: Expr) -> Expr:
            at = axes[-1] + k - (size - 1) // 2
            element = wide_load(x, *axes[:-1], minimum(maximum(at, 0), channels - 1))
            return select(both(at >= 0, at < channels), element * element, 0)

        squares = reduce_over("sum", (size,), term)
        spread = _power(squares * (attrs["alpha"] / size) + attrs["bias"], attrs["beta"])
        return narrowed(wide_load(x, *axes) / spread, out.dtype)

    return (compute("lrn", out.dtype, out.shape, value),)


operator("lrn", "anchor", lambda types, attrs: types[0], _define_lrn)
