"""pool2d over x[N, H, W, C], pool_positions of its maxima; lrn over the channels.

pool2d attrs: kind 'max' | 'avg' | 'lp' (the p-norm; attr p >= 1), kernel (2), strides (2), pads
(top, left, bottom, right), dilations (2), count_include_pad (avg: padded positions count in the
divisor), out_hw (2 dims; the importer resolved ceil_mode, so the last window may reach beyond the
padding; what lies beyond counts never). pool_positions(x[N, *spatial, C], y[N, *out, C]) attrs:
kernel, strides, pads, dilations, column_major: where in the channel-first x each maximum y lies,
the first of equal ones, counted row-major (the spatial axes in reverse order if column_major), as
i64. lrn attrs: size, alpha, beta, bias:  x / (bias + alpha / size * sum of squares over a window of
channels) ** beta.
"""

from __future__ import annotations

import math
from math import prod

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import dim_expr
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import DType, i64
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Expr,
    both,
    cast,
    eq,
    load,
    maximum,
    minimum,
    select,
    unary,
    wrap,
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
    if x.rank != 4 or attrs["kind"] not in ("max", "avg", "lp"):
        raise Unsupported(
            "pool2d", f"expected [N, H, W, C] and kind max, avg or lp, got {x}, {attrs['kind']!r}"
        )
    return TensorType(x.dtype, (x.shape[0], *attrs["out_hw"], x.shape[3]))


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    (x,) = inputs
    window = Window(x, attrs["strides"], attrs["pads"], attrs["dilations"])
    kind = attrs["kind"]
    wide = wide_type(x.dtype)
    outside = lowest(wide) if kind == "max" else Const(0.0, wide)

    def value(n: Expr, oh: Expr, ow: Expr, c: Expr) -> Expr:
        def term(*taps: Expr) -> Expr:
            at = window.positions((oh, ow), taps)
            element = cast(window.load(n, at, c), wide)
            if kind == "lp":
                element = power(unary("abs", element), attrs["p"])
            return select(window.valid(at), element, outside)

        total = reduce_over("max" if kind == "max" else "sum", tuple(attrs["kernel"]), term)
        if kind == "avg":
            total = total / cast(_count(window, attrs, (oh, ow)), wide)
        if kind == "lp":
            total = power(total, 1 / attrs["p"])
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


def power(base: Expr, exponent: float) -> Expr:
    """base ** exponent of a base >= 0, with products and roots instead of a general power where
    they do.
    """
    if exponent == 0.75:
        return unary("sqrt", base) * unary("sqrt", unary("sqrt", base))
    if exponent == 0.5:
        return unary("sqrt", base)
    if exponent == 2:
        return base * base
    return base if exponent == 1 else binary_expr("pow", base, float(exponent))


def _define_positions(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, y = inputs
    window = Window(x, attrs["strides"], attrs["pads"], attrs["dilations"])
    sizes = [dim_expr(dim) for dim in x.shape[1:-1]]
    order = range(len(sizes))[:: -1 if attrs["column_major"] else 1]
    many = (1 << 63) - 1

    def value(n: Expr, *rest: Expr) -> Expr:
        *place, c = rest
        top = load(y, n, *place, c)

        def term(*taps: Expr) -> Expr:
            at = window.positions(place, taps)
            flat = wrap(0)
            for axis in order:
                flat = flat * sizes[axis] + at[axis]
            found = both(window.valid(at), eq(window.load(n, at, c), top))
            return select(found, flat, many)

        first = minimum(reduce_over("min", tuple(attrs["kernel"]), term), prod(sizes) - 1)
        return (n * x.shape[-1] + c) * prod(sizes) + first

    return (compute("pool_positions", out.dtype, out.shape, value),)


operator(
    "pool_positions",
    "reduce",
    lambda types, attrs: TensorType(i64, types[1].shape),
    _define_positions,
)


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
        spread = power(squares * (attrs["alpha"] / size) + attrs["bias"], attrs["beta"])
        return narrowed(wide_load(x, *axes) / spread, out.dtype)

    return (compute("lrn", out.dtype, out.shape, value),)


operator("lrn", "anchor", lambda types, attrs: types[0], _define_lrn)
