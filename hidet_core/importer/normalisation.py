"""BatchNormalization and the softmaxes; LayerNormalization and its kin."""

from __future__ import annotations

from hidet_core.compute.dims import product
from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op


@onnx_op("BatchNormalization")
def batch_normalization(ctx: Context) -> Value:
    """x * scale + shift per channel, on the channel-last value; constants fold into two vectors."""
    if ctx.attr("training_mode", 0) or (ctx.version < 7 and not ctx.attr("is_test", 0)):
        ctx.fail("training mode is not supported")
    if ctx.version < 9 and not ctx.attr("spatial", 1):
        ctx.fail("spatial=0 is not supported")
    x, scale, bias, mean, variance = (ctx.value(place) for place in range(5))
    spread = ctx.emit("add", variance, ctx.scalar(ctx.attr("epsilon", 1e-5), variance))
    factor = ctx.emit("div", scale, ctx.emit("sqrt", spread))
    shift = ctx.emit("sub", bias, ctx.emit("mul", mean, factor))
    if x.type.rank < 2:
        ctx.fail(f"expected at least [N, C], got {x.type}")
    last, back = ctx.move_axis_last(x, 1)
    y = ctx.emit("add", ctx.emit("mul", last, factor), shift)
    return ctx.builder.transpose(y, back)


def _softmax(ctx: Context, op: str) -> Value:
    x = ctx.value(0)
    rank = x.type.rank
    if ctx.version >= 13:
        last, back = ctx.move_axis_last(x, ctx.axis(rank, -1))
        return ctx.builder.transpose(ctx.emit(op, last), back)
    axis = ctx.axis(rank, 1)
    rows, row = product(x.type.shape[:axis]), product(x.type.shape[axis:])
    flat = x if axis == rank - 1 else ctx.builder.reshape(x, (rows, row))
    return ctx.builder.reshape(ctx.emit(op, flat), x.type.shape)


@onnx_op("Softmax")
def softmax(ctx: Context) -> Value:
    """Before version 13 the input is flattened to two dims at the axis."""
    return _softmax(ctx, "softmax")


@onnx_op("LogSoftmax")
def log_softmax(ctx: Context) -> Value:
    return _softmax(ctx, "log_softmax")
