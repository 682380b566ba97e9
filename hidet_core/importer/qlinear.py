"""ONNX Runtime's own operators on quantised tensors (QLinearAdd, ...): dequantised, computed in
float32, quantised, all of it in one kernel.
"""

from __future__ import annotations

from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import f32

from .context import Context
from .pooling import average_pool
from .quantization import zero_point
from .registry import MICROSOFT, onnx_op
from .windows import channel_first, channel_last


def real(ctx: Context, place: int) -> Value:
    """What the integers of an input stand for; scale and zero point are the inputs behind it."""
    x = ctx.value(place)
    zero = zero_point(ctx, place + 2, x.type.dtype)
    return ctx.emit("dequantize", x, _one(ctx, ctx.value(place + 1)), _one(ctx, zero))


def quantized(ctx: Context, y: Value, place: int, like: Value) -> Value:
    """y with the scale that is input `place` and the zero point behind it (else 0 like another)."""
    zero = zero_point(ctx, place + 1, like.type.dtype)
    scale = _one(ctx, ctx.value(place))
    return ctx.emit("quantize", ctx.builder.cast(y, f32), scale, _one(ctx, zero))


def _one(ctx: Context, value: Value) -> Value:
    """A scale or zero point of the whole tensor."""
    if value.type.size != 1:
        ctx.fail(f"a scale or zero point of {value.type}, expected one number")
    return ctx.builder.reshape(value, ())


def _binary(ctx: Context, op: str) -> Value:
    y = ctx.emit(op, real(ctx, 0), real(ctx, 3))
    return quantized(ctx, y, 6, ctx.value(0))


@onnx_op("QLinearAdd", domain=MICROSOFT)
def qlinear_add(ctx: Context) -> Value:
    return _binary(ctx, "add")


@onnx_op("QLinearMul", domain=MICROSOFT)
def qlinear_mul(ctx: Context) -> Value:
    return _binary(ctx, "mul")


@onnx_op("QLinearSigmoid", domain=MICROSOFT)
def qlinear_sigmoid(ctx: Context) -> Value:
    return quantized(ctx, ctx.emit("sigmoid", real(ctx, 0)), 3, ctx.value(0))


@onnx_op("QLinearLeakyRelu", domain=MICROSOFT)
def qlinear_leaky_relu(ctx: Context) -> Value:
    alpha = float(ctx.attr("alpha", 0.01))
    return quantized(ctx, ctx.emit("leaky_relu", real(ctx, 0), alpha=alpha), 3, ctx.value(0))


@onnx_op("QLinearConcat", domain=MICROSOFT)
def qlinear_concat(ctx: Context) -> Value:
    """(y_scale, y_zero, then x, x_scale, x_zero of each part)."""
    places = range(2, len(ctx.entries), 3)
    parts = [quantized(ctx, real(ctx, place), 0, ctx.value(place)) for place in places]
    axis = ctx.axis(parts[0].type.rank, 0)
    return parts[0] if len(parts) == 1 else ctx.emit("concat", *parts, axis=axis)


@onnx_op("QLinearGlobalAveragePool", domain=MICROSOFT)
def qlinear_global_average_pool(ctx: Context) -> Value:
    x = real(ctx, 0)
    if x.type.rank < 3:
        ctx.fail(f"expected at least one spatial dim, got {x.type}")
    first = 1 if ctx.attr("channels_last", 0) else 2
    axes = tuple(range(first, first + x.type.rank - 2))
    mean = ctx.emit("reduce", x, op="mean", axes=axes, keepdims=True)
    return quantized(ctx, mean, 3, ctx.value(0))


@onnx_op("QLinearAveragePool", domain=MICROSOFT)
def qlinear_average_pool(ctx: Context) -> Value:
    x, is_last = real(ctx, 0), bool(ctx.attr("channels_last", 0))
    inner = Context(ctx.node, ctx.builder, [channel_first(ctx, x) if is_last else x])
    y = average_pool(inner)
    return quantized(ctx, channel_last(ctx, y) if is_last else y, 3, ctx.value(0))
