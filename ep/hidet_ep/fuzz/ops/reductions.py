"""Reductions, softmaxes, ArgMax and ArgMin."""

from __future__ import annotations

import math

from ..draft import Draft, Val, Want
from ..dtypes import is_float
from .table import maker

AXES_ARE_INPUT = 18  # of ReduceSum from 13
SUMS = "f32 f16 f64 i32 i64"


def drawn_axes(g: Draft, rank: int, least: int = 1) -> list[int]:
    axes = g.draws.subset(range(rank), least=min(least, rank))
    return [axis - rank if g.draws.chance(0.3) else axis for axis in axes]


def reduced(g: Draft, x: Val, axes: list[int], keepdims: bool) -> tuple:
    gone = {axis % x.rank for axis in axes}
    kept = [(k, g.dim(1) if k in gone else dim) for k, dim in enumerate(x.shape)]
    return tuple(dim for k, dim in kept if keepdims or k not in gone)


@maker("ReduceSum", dtypes=SUMS, weight=2)
@maker("ReduceMean", dtypes="f32 f16 f64", weight=2)
@maker("ReduceMax", "ReduceMin", dtypes={1: SUMS, 12: SUMS + " u8 i8"})
@maker("ReduceL1", "ReduceL2", "ReduceSumSquare", dtypes="f32 f16 f64")
@maker("ReduceProd", "ReduceLogSum", "ReduceLogSumExp", dtypes="f32 f16 f64", weight=0.7)
def reduction(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    low = 0.1 if op == "ReduceLogSum" else -math.inf
    high = {"ReduceLogSumExp": 20.0, "ReduceSumSquare": 30.0, "ReduceProd": 1.25}.get(op, math.inf)
    filled = op not in ("ReduceSum", "ReduceL1", "ReduceSumSquare", "ReduceProd")
    low = -high if high < 30 and op != "ReduceLogSum" else low
    x = g.take(Want(dtypes, low, high, rank=(0, 6), filled=filled))
    if x is None:
        return False
    since_input = 13 if op == "ReduceSum" else AXES_ARE_INPUT
    keepdims = g.draws.chance(0.5)
    attrs = {"keepdims": int(keepdims)} if not keepdims or g.draws.chance(0.5) else {}
    inputs = [x]
    if x.rank == 0 or g.draws.chance(0.15):
        shape = (g.dim(1),) * x.rank if keepdims else ()
        axes = list(range(x.rank))
        if g.opset >= since_input and g.draws.chance(0.4):
            attrs["noop_with_empty_axes"] = g.draws.integer(0, 1)
            shape = x.shape if attrs["noop_with_empty_axes"] else shape
    else:
        axes = drawn_axes(g, x.rank)
        shape = reduced(g, x, axes, keepdims)
        if g.opset >= since_input:
            inputs.append(g.ints(axes))
        else:
            attrs["axes"] = axes
    bounds = _bounds(op, x, axes)
    if bounds is None:
        return False
    g.node(op, inputs, x.dtype, shape, bounds, **attrs)
    return True


def _bounds(op: str, x: Val, axes: list[int]) -> tuple[float, float] | None:
    count = max(
        [math.prod(sizes) for sizes in zip(*(x.shape[a] for a in axes), strict=True)] or [1]
    )
    top = x.magnitude
    match op:
        case "ReduceSum" | "ReduceL1" | "ReduceSumSquare":
            top = count * (top**2 if op == "ReduceSumSquare" else top)
        case "ReduceL2":
            top = math.sqrt(count) * top
        case "ReduceProd":
            top = max(top, 1.0) ** min(count, 200)
        case "ReduceLogSum" | "ReduceLogSumExp":
            top = 2 * top + math.log(count + 1) + 3
    limit = 400 if x.dtype == "f16" else 1e4
    return (-top, top) if top <= limit or (not is_float(x.dtype) and top < 1 << 24) else None


@maker("ArgMax", "ArgMin", dtypes={1: "f32", 13: "f32 f16 f64 i32 u8 i8"})
def arg(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 6), filled=True))
    if x is None:
        return False
    axis = drawn_axes(g, x.rank)[0]
    keepdims = g.draws.chance(0.5)
    attrs = {"keepdims": int(keepdims), "axis": axis}
    if g.opset >= 12 and g.draws.chance(0.4):
        attrs["select_last_index"] = g.draws.integer(0, 1)
    shape = reduced(g, x, [axis], keepdims)
    g.node(op, [x], "i64", shape, (0, max(x.shape[axis])), **attrs)
    return True


@maker("Softmax", "LogSoftmax", dtypes="f32 f16 f64", weight=2)
@maker("Hardmax", dtypes="f32 f16", weight=0.5)
def softmax(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -1e3, 1e3, rank=(1, 5), filled=True))
    if x is None:
        return False
    attrs = {"axis": drawn_axes(g, x.rank)[0]} if g.draws.chance(0.7) else {}
    if g.opset < 13:
        attrs["axis"] = abs(attrs.get("axis", 1)) % x.rank
    bounds = (-2 * x.magnitude - 9, 0.0) if op == "LogSoftmax" else (0.0, 1.0)
    g.node(op, [x], x.dtype, x.shape, bounds, **attrs)
    return True
