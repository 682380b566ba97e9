"""Scatter*: a copy of a tensor with some of its elements replaced or accumulated."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op


@onnx_op("Scatter", since=9)
@onnx_op("ScatterElements", since=11)
def scatter_elements(ctx: Context) -> Value:
    data, indices, updates = (ctx.value(place) for place in range(3))
    axis = ctx.axis(data.type.rank, 0)
    op = ctx.attr("reduction", "none")
    return ctx.emit("scatter_elements", data, indices, updates, axis=axis, op=op)


@onnx_op("ScatterND", since=11)
def scatter_nd(ctx: Context) -> Value:
    data, indices, updates = (ctx.value(place) for place in range(3))
    return ctx.emit("scatter_nd", data, indices, updates, op=ctx.attr("reduction", "none"))


@onnx_op("TensorScatter", since=24)
def tensor_scatter(ctx: Context) -> Value:
    """The slices of an update go to a run of positions of a cache, one run per batch."""
    cache, update = ctx.value(0), ctx.value(1)
    starts = ctx.optional(2)
    return ctx.emit(
        "write_cache",
        cache,
        update,
        *([] if starts is None else [starts]),
        axis=ctx.axis(cache.type.rank, -2),
        circular=ctx.attr("mode", "linear") == "circular",
    )
