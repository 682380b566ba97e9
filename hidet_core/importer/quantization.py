"""QuantizeLinear, DequantizeLinear, DynamicQuantizeLinear; products of quantised tensors.

A zero point that is absent is 0. Scales and zero points along an axis become dims of 1 around that
axis; in blocks they are repeated along it. 4-bit integers and 8-bit floats are refused.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.compute.dims import simplify
from hidet_core.graph.graph import Value
from hidet_core.graph.integer import integer_conv, integer_matmul
from hidet_core.ir.dtypes import DType, f32, from_onnx, i32, u8

from .context import Context
from .convolution import conv_attrs
from .linear import scaled, swap_last
from .registry import MICROSOFT, onnx_op
from .windows import Windows, channel_first, channel_last, from_nhwc, read_windows


def zero_point(ctx: Context, place: int, dtype: DType) -> Value:
    """The zero point that is input `place`, else 0 of a dtype."""
    if ctx.has(place):
        return ctx.value(place)
    return ctx.builder.constant(np.zeros((), dtype.numpy), "zero")


def along(ctx: Context, value: Value, x: Value) -> Value:
    """A scale or zero point, so that it broadcasts to x."""
    if value.type.rank == 0 or value.type.size == 1:
        return ctx.builder.reshape(value, ())
    axis, rank = ctx.axis(x.type.rank, 1), x.type.rank
    if value.type.rank == 1:
        return ctx.builder.reshape(value, (*value.type.shape, *(1,) * (rank - axis - 1)))
    block = int(ctx.attr("block_size", 0))
    if value.type.rank != rank or block < 1:
        ctx.fail(f"a scale of {value.type} and blocks of {block} for {x.type}")
    return _repeated(ctx, value, x, axis, block)


def _repeated(ctx: Context, value: Value, x: Value, axis: int, block: int) -> Value:
    """Each element of the axis `block` times, up to the size of x there."""
    builder, shape = ctx.builder, list(value.type.shape)
    before, after = shape[: axis + 1], shape[axis + 1 :]
    whole = [*shape[:axis], simplify(shape[axis] * block), *after]
    wide = builder.reshape(value, (*before, 1, *after))
    wide = builder.reshape(builder.broadcast_to(wide, (*before, block, *after)), whole)
    size, rank = x.type.shape[axis], len(shape)
    if not isinstance(size, int) or not isinstance(whole[axis], int) or size > whole[axis]:
        ctx.fail(f"{value.type} in blocks of {block} does not reach all of {x.type}")
    stop = tuple(size if k == axis else dim for k, dim in enumerate(whole))
    if size == whole[axis]:
        return wide
    return builder.emit("slice", wide, starts=(0,) * rank, steps=(1,) * rank, sizes=stop)


def _quantize_linear(ctx: Context) -> Value:
    """Without a zero point the dtype is that of the attribute, else u8."""
    x, scale = ctx.value(0), ctx.value(1)
    number = int(ctx.attr("output_dtype", 0))
    dtype = (from_onnx(number) if number else None) or u8
    if number and from_onnx(number) is None:
        ctx.fail(f"output_dtype {number} is not supported")
    if int(ctx.attr("precision", 0)) not in (0, f32.onnx):
        ctx.fail(f"precision {ctx.attr('precision')} is not supported")
    zero = zero_point(ctx, 2, dtype)
    if not ctx.has(2):
        return ctx.emit("quantize", x, along(ctx, scale, x), zero)
    return ctx.emit("quantize", x, along(ctx, scale, x), along(ctx, zero, x))


def _dequantize_linear(ctx: Context) -> Value:
    x, scale = ctx.value(0), along(ctx, ctx.value(1), ctx.value(0))
    zero = zero_point(ctx, 2, x.type.dtype)
    y = ctx.emit("dequantize", x, scale, along(ctx, zero, x) if ctx.has(2) else zero)
    number = int(ctx.attr("output_dtype", 0))
    if number and from_onnx(number) != y.type.dtype:
        ctx.fail(f"output_dtype {number} of a scale of {scale.type}")
    return y


for _domain in ("", MICROSOFT):
    onnx_op("QuantizeLinear", 1 if _domain else 10, _domain)(_quantize_linear)
    onnx_op("DequantizeLinear", 1 if _domain else 10, _domain)(_dequantize_linear)


def dynamic_quantize(ctx: Context, x: Value) -> tuple[Value, Value, Value]:
    """x as u8 over the range of its values and 0, with scale and zero point."""
    axes, zero = tuple(range(x.type.rank)), ctx.scalar(0, x)
    ends = (ctx.emit("reduce", x, op=op, axes=axes, keepdims=False) for op in ("min", "max"))
    low, high = ctx.emit("minimum", next(ends), zero), ctx.emit("maximum", next(ends), zero)
    span = ctx.emit("sub", high, low)
    is_flat = ctx.emit("eq", span, zero)
    step = ctx.emit("div", span, ctx.scalar(255, x), exact=True)
    scale = ctx.emit("where", is_flat, ctx.scalar(1, x), step)
    origin = ctx.emit("sub", zero, ctx.emit("div", low, scale))
    origin = ctx.emit("clip", origin, low=0.0, high=255.0)
    whole = ctx.builder.cast(ctx.emit("round", origin), u8)
    return ctx.emit("quantize", x, scale, whole), scale, whole


@onnx_op("DynamicQuantizeLinear", since=11)
def dynamic_quantize_linear(ctx: Context) -> tuple[Value, ...]:
    return dynamic_quantize(ctx, ctx.value(0))


def zero_of_rows(ctx: Context, value: Value | None, rank: int) -> Value | None:
    """A scale or zero point of the rows of a matrix: one number, [M], or as ONNX broadcasts it."""
    if value is None or value.type.rank != 1 or rank < 2:
        return value
    one = value.type.size == 1
    return ctx.builder.reshape(value, () if one else (*value.type.shape, 1))


def _matrices(ctx: Context, *values: Value) -> None:
    if any(value.type.rank < 2 for value in values):
        ctx.fail("a vector as an operand is not supported")


@onnx_op("MatMulInteger", since=10)
def matmul_integer(ctx: Context) -> Value:
    a, b = ctx.value(0), ctx.value(1)
    _matrices(ctx, a, b)
    rows = zero_of_rows(ctx, ctx.optional(2), a.type.rank)
    return integer_matmul(ctx.builder, a, rows, b, ctx.optional(3))


@onnx_op("MatMulIntegerToFloat", domain=MICROSOFT)
def matmul_integer_to_float(ctx: Context) -> Value:
    """(a, b, a_scale, b_scale, a_zero, b_zero, bias)."""
    a, b = ctx.value(0), ctx.value(1)
    _matrices(ctx, a, b)
    product = integer_matmul(ctx.builder, a, ctx.optional(4), b, ctx.optional(5))
    scale = ctx.emit("mul", ctx.value(2), ctx.value(3))
    y = ctx.emit("mul", ctx.builder.cast(product, scale.type.dtype), scale)
    return ctx.emit("add", y, ctx.value(6)) if ctx.has(6) else y


@onnx_op("DynamicQuantizeMatMul", domain=MICROSOFT)
def dynamic_quantize_matmul(ctx: Context) -> Value:
    """(a, b, b_scale, b_zero, bias): a is quantised over its own range."""
    b = ctx.value(1)
    _matrices(ctx, ctx.value(0), b)
    a, a_scale, a_zero = dynamic_quantize(ctx, ctx.value(0))
    product = integer_matmul(ctx.builder, a, a_zero, b, ctx.optional(3))
    scale = ctx.emit("mul", a_scale, ctx.value(2))
    y = ctx.emit("mul", ctx.builder.cast(product, scale.type.dtype), scale)
    return ctx.emit("add", y, ctx.value(4)) if ctx.has(4) else y


def requantized(ctx: Context, product: Value, scales: Sequence[Value], zero: Value) -> Value:
    """i32 products as integers of the result: times (a_scale * b_scale / y_scale), plus zero."""
    a, b, y = (ctx.builder.cast(scale, f32) for scale in scales)
    factor = ctx.emit("div", ctx.emit("mul", a, b), y)
    value = ctx.emit("mul", ctx.builder.cast(product, f32), factor)
    return ctx.emit("quantize", value, ctx.scalar(1, value), zero)


@onnx_op("QLinearMatMul", since=10)
def qlinear_matmul(ctx: Context) -> Value:
    """(a, a_scale, a_zero, b, b_scale, b_zero, y_scale, y_zero)."""
    a, b = ctx.value(0), ctx.value(3)
    _matrices(ctx, a, b)
    rank = a.type.rank
    rows = [zero_of_rows(ctx, ctx.value(place), rank) for place in (1, 2, 6, 7)]
    a_scale, a_zero, y_scale, y_zero = (row for row in rows if row is not None)
    product = integer_matmul(ctx.builder, a, a_zero, b, ctx.value(5))
    return requantized(ctx, product, (a_scale, ctx.value(4), y_scale), y_zero)


@onnx_op("QGemm", domain=MICROSOFT)
def qgemm(ctx: Context) -> Value:
    """(a, a_scale, a_zero, b, b_scale, b_zero, c, y_scale, y_zero): floats without y_scale."""
    a, b = ctx.value(0), ctx.value(3)
    _matrices(ctx, a, b)
    a = swap_last(ctx, a) if ctx.attr("transA", 0) else a
    b = swap_last(ctx, b) if ctx.attr("transB", 0) else b
    product = integer_matmul(ctx.builder, a, ctx.value(2), b, ctx.value(5))
    if ctx.has(6):
        product = ctx.emit("add", product, ctx.value(6))
    a_scale = scaled(ctx, ctx.value(1), float(ctx.attr("alpha", 1.0)))
    if ctx.has(7):
        zero = zero_point(ctx, 8, a.type.dtype)
        return requantized(ctx, product, (a_scale, ctx.value(4), ctx.value(7)), zero)
    scale = ctx.emit("mul", a_scale, ctx.value(4))
    return ctx.emit("mul", ctx.builder.cast(product, scale.type.dtype), scale)


def _conv(ctx: Context, places: Sequence[int]) -> Value:
    """The i32 convolution, channels last; places: of x, x_zero, w and w_zero."""
    x, w, builder = ctx.value(places[0]), ctx.value(places[2]), ctx.builder
    if _is_last(ctx):
        x = channel_first(ctx, x)
    if not w.type.is_static or w.type.rank != x.type.rank or x.type.rank not in (3, 4):
        ctx.fail(f"expected one or two spatial dims, got {x.type} and weights of {w.type}")
    rank = x.type.rank
    if rank == 3:  # an image of one row
        x, w = (builder.reshape(v, (*v.type.shape[:2], 1, v.type.shape[2])) for v in (x, w))
    zeros = [ctx.optional(place) for place in (places[1], places[3])]
    x_zero = zeros[0] and builder.reshape(zeros[0], ())
    last, windows = _windows(ctx, channel_last(ctx, x), w, rank, x_zero)
    attrs = conv_attrs(windows, int(ctx.attr("group", 1)))
    weights = builder.transpose(w, (2, 3, 1, 0))
    return integer_conv(builder, last, x_zero, weights, zeros[1], attrs)


def _windows(
    ctx: Context, x: Value, w: Value, rank: int, x_zero: Value | None
) -> tuple[Value, Windows]:
    """The windows over x[N, H, W, C], padded with its zero point where it has to be padded."""
    known = None if x_zero is None else ctx.builder.constants.get(x_zero)
    fill = 0.0 if x_zero is None else None if known is None else float(known.reshape(()))
    if rank == 4:
        return read_windows(ctx, x, [int(n) for n in w.type.shape[2:]], fill)
    row = ctx.builder.reshape(x, (x.type.shape[0], *x.type.shape[2:]))
    row, windows = read_windows(ctx, row, [int(w.type.shape[3])], fill)
    batch, *rest = row.type.shape
    return ctx.builder.reshape(row, (batch, 1, *rest)), windows.of_axes(None, 0)


def _back(ctx: Context, y: Value) -> Value:
    """Channels where the input has them, and as many dims."""
    y = from_nhwc(ctx, y, ctx.value(0).type.rank)
    return channel_last(ctx, y) if _is_last(ctx) else y


def _is_last(ctx: Context) -> bool:
    """An attribute of ONNX Runtime's own operators."""
    return bool(ctx.attr("channels_last", 0))


@onnx_op("ConvInteger", since=10)
def conv_integer(ctx: Context) -> Value:
    """(x, w, x_zero, w_zero)."""
    return _back(ctx, _conv(ctx, (0, 2, 1, 3)))


@onnx_op("QLinearConv", domain=MICROSOFT)
@onnx_op("QLinearConv", since=10)
def qlinear_conv(ctx: Context) -> Value:
    """(x, x_scale, x_zero, w, w_scale, w_zero, y_scale, y_zero, bias in i32)."""
    product = _conv(ctx, (0, 2, 3, 5))
    if ctx.has(8):
        product = ctx.emit("add", product, ctx.builder.cast(ctx.value(8), i32))
    y = requantized(ctx, product, [ctx.value(k) for k in (1, 4, 6)], ctx.value(7))
    return _back(ctx, y)
