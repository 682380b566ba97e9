"""Reduce*, ArgMax and ArgMin. Axes are an attribute, from version 13 (Sum) or 18 an input."""

from __future__ import annotations

import numpy as np

from hidet_core.compute.dims import product
from hidet_core.graph.graph import Value

from .context import Context, Entry, known
from .registry import onnx_op

# op type: (reduction, version from which axes are an input)
TABLE = {
    "ReduceSum": ("sum", 13),
    "ReduceMean": ("mean", 18),
    "ReduceMax": ("max", 18),
    "ReduceMin": ("min", 18),
    "ReduceProd": ("prod", 18),
    "ReduceL1": ("l1", 18),
    "ReduceL2": ("l2", 18),
    "ReduceSumSquare": ("sumsq", 18),
    "ReduceLogSum": ("logsum", 18),
    "ReduceLogSumExp": ("logsumexp", 18),
}


def _reduce(ctx: Context, op: str, since_input: int) -> Entry:
    keepdims = bool(ctx.attr("keepdims", 1))
    if ctx.is_symbolic() and op == "prod" and (elements := ctx.known(0)) is not None:
        total = product(elements.flat)
        return known(np.full((1,) * (elements.ndim if keepdims else 0), total, object))
    x = ctx.value(0)
    axes = ctx.axes(1, x.type.rank, since_input)
    if not axes and not ctx.attr("noop_with_empty_axes", 0):
        axes = tuple(range(x.type.rank))
    if x.type.dtype.is_bool:
        op = {"max": "any", "min": "all"}.get(op, op)
    if not axes:
        return _of_single_elements(ctx, op, x)
    return ctx.emit("reduce", x, op=op, axes=axes, keepdims=keepdims)


def _of_single_elements(ctx: Context, op: str, x: Value) -> Value:
    """No axes, or a scalar: each element by itself, which some reductions change all the same."""
    if op not in ("l1", "l2", "sumsq", "logsum"):
        return x
    column = ctx.builder.reshape(x, (*x.type.shape, 1))
    return ctx.emit("reduce", column, op=op, axes=(x.type.rank,), keepdims=False)


def _arg(ctx: Context, op: str) -> Value:
    x = ctx.value(0)
    return ctx.emit(
        "arg_reduce",
        x,
        op=op,
        axis=ctx.axis(x.type.rank, 0),
        keepdims=bool(ctx.attr("keepdims", 1)),
        last=bool(ctx.attr("select_last_index", 0)),
    )


def _register() -> None:
    for name, (op, since_input) in TABLE.items():
        onnx_op(name)(lambda ctx, op=op, since=since_input: _reduce(ctx, op, since))
    onnx_op("ArgMax")(lambda ctx: _arg(ctx, "max"))
    onnx_op("ArgMin")(lambda ctx: _arg(ctx, "min"))


_register()
