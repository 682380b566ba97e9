"""Operators along an axis: CumSum, CumProd, TopK, Hardmax."""

from __future__ import annotations

from hidet_core.compute.dims import product
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import i64

from .context import Context
from .registry import onnx_op


def _scan(ctx: Context, op: str) -> Value:
    x = ctx.value(0)
    (axis,) = ctx.ints(1, "axis")
    return ctx.emit(
        "scan",
        x,
        op=op,
        axis=ctx.normal_axis(axis, x.type.rank),
        exclusive=bool(ctx.attr("exclusive", 0)),
        reverse=bool(ctx.attr("reverse", 0)),
    )


@onnx_op("CumSum", since=11)
def cum_sum(ctx: Context) -> Value:
    return _scan(ctx, "sum")


@onnx_op("CumProd", since=26)
def cum_prod(ctx: Context) -> Value:
    return _scan(ctx, "prod")


@onnx_op("TopK", since=1)
def top_k(ctx: Context) -> tuple[Value, Value]:
    x = ctx.value(0)
    k = int(ctx.attr("k")) if ctx.version < 10 else ctx.ints(1, "k")[0]
    axis, largest = ctx.axis(x.type.rank, -1), bool(ctx.attr("largest", 1))
    positions = ctx.emit("top_k", x, k=k, axis=axis, largest=largest)
    return ctx.emit("gather_elements", x, positions, axis=axis), positions


@onnx_op("Hardmax", since=1)
def hardmax(ctx: Context) -> Value:
    """1 at the first maximum of a row; before version 13 rows are all dims from the axis on."""
    x, shape = ctx.value(0), ctx.value(0).type.shape
    axis = ctx.axis(len(shape), -1 if ctx.version >= 13 else 1)
    if ctx.version < 13:
        x = ctx.builder.reshape(x, (product(shape[:axis]), product(shape[axis:])))
        axis = 1
    return ctx.builder.reshape(_hardmax(ctx, x, axis), shape)


def _hardmax(ctx: Context, x: Value, axis: int) -> Value:
    top = ctx.emit("reduce", x, op="max", axes=(axis,), keepdims=True)
    first = ctx.emit("arg_reduce", x, op="max", axis=axis, keepdims=True, last=False)
    size, behind = x.type.shape[axis], x.type.rank - 1 - axis
    places = ctx.emit("range", start=0, step=1, size=size, dtype=i64)
    places = ctx.builder.reshape(places, (size, *(1,) * behind))
    hits = ctx.emit("and", ctx.emit("eq", places, first), ctx.emit("eq", x, top))
    return ctx.builder.cast(hits, x.type.dtype)
