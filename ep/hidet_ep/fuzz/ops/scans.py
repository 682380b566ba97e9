"""Operators along an axis (CumSum, TopK, ReverseSequence), scatters, EyeLike."""

from __future__ import annotations

import math

import numpy as np

from ..draft import Draft, Val, Want
from ..dtypes import KINDS, is_float
from .table import maker


@maker("CumSum", since=11, dtypes="f32 f64 i32 i64")
def cum_sum(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -20, 20, rank=(1, 4)))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank - 1)
    at = g.given(np.array(axis - x.rank if g.draws.chance(0.3) else axis, np.int64))
    attrs = {name: 1 for name in g.draws.subset(("exclusive", "reverse"))}
    top = x.magnitude * max(*x.shape[axis], 1)
    g.node(op, [x, at], x.dtype, x.shape, (-top, top), **attrs)
    return True


@maker("TopK", since=10, dtypes={10: "f32 f64", 11: "f32 f64 i32 i64"})
def top_k(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 4), filled=True))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank - 1)
    count = g.draws.integer(1, min(min(x.shape[axis]), 6))
    shape = (*x.shape[:axis], g.dim(count), *x.shape[axis + 1 :])
    attrs = {"axis": axis - x.rank if g.draws.chance(0.3) else axis}
    if g.opset >= 11 and g.draws.chance(0.5):
        attrs["largest"] = g.draws.integer(0, 1)
    results = [(x.dtype, shape, x.low, x.high), ("i64", shape, 0, max(x.shape[axis]))]
    g.nodes_of(op, [x, g.ints([count])], results, **attrs)
    return True


@maker("ReverseSequence", since=10, dtypes="f32 f64 i32 i64 b u8", weight=0.7)
def reverse_sequence(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(2, 4), filled=True))
    if x is None:
        return False
    batch = g.draws.integer(0, 1)
    lengths = g.source("i64", (x.shape[batch],), 1, min(x.shape[1 - batch]))
    attrs = {"batch_axis": batch, "time_axis": 1 - batch}
    g.node(op, [x, lengths], x.dtype, x.shape, (x.low, x.high), **attrs)
    return True


@maker("EyeLike", since=9, dtypes="f32 f64 i32 i64", weight=0.4)
def eye_like(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(2, 2)))
    if x is None:
        return False
    attrs = {"k": g.draws.integer(-2, 2)} if g.draws.chance(0.6) else {}
    dtype = x.dtype
    if g.draws.chance(0.3):
        dtype = g.draws.pick(("f32", "i64"))
        attrs["dtype"] = KINDS[dtype].onnx
    g.node(op, [x], dtype, x.shape, (0, 1), **attrs)
    return True


def _reduction(g: Draft) -> str:
    kinds = ["none", "none"]
    kinds += ["add", "mul"] if g.opset >= 16 else []
    return g.draws.pick(kinds + (["max", "min"] if g.opset >= 18 else []))


def _updated(g: Draft, x: Val, updates: Val, reduction: str, most: int) -> tuple[float, float]:
    """Bounds of a scatter in which at most so many updates meet."""
    top = max(x.magnitude, updates.magnitude)
    if reduction == "add":
        top = x.magnitude + most * updates.magnitude
    if reduction == "mul":
        top = x.magnitude * max(updates.magnitude, 1) ** most
    return -top, top


@maker("ScatterElements", since=11, dtypes="f32 f64 i64")
def scatter_elements(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Without a reduction no element is written twice."""
    x = g.take(Want(dtypes, -20, 20, rank=(1, 4), filled=True, static=True))
    if x is None:
        return False
    axis, reduction = g.draws.integer(0, x.rank - 1), _reduction(g)
    sizes = [g.draws.integer(1, n) for n in x.sizes]
    if reduction == "none":
        order = g.draws.floats([*sizes[:axis], x.sizes[axis], *sizes[axis + 1 :]], 0, 1)
        picks = np.argsort(order, axis=axis, kind="stable").take(range(sizes[axis]), axis)
    else:
        picks = g.draws.integers(sizes, -x.sizes[axis], x.sizes[axis] - 1)
    updates = g.source(x.dtype, g.dims(*sizes), -1.2, 1.2)
    bounds = _updated(g, x, updates, reduction, sizes[axis])
    if bounds[1] > 400:
        return False
    attrs = {"reduction": reduction} if g.opset >= 16 and reduction != "none" else {}
    given = axis - x.rank if g.draws.chance(0.3) else axis
    inputs = [x, g.given(picks), updates]
    g.node(op, inputs, x.dtype, x.shape, bounds, axis=given, **attrs)
    return True


@maker("ScatterND", since=11, dtypes="f32 f64 i64")
def scatter_nd(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -20, 20, rank=(1, 4), filled=True, static=True))
    if x is None:
        return False
    depth, reduction = g.draws.integer(1, x.rank), _reduction(g)
    outer = x.sizes[:depth]
    count = g.draws.integer(1, min(math.prod(outer), 6))
    flat = g.draws.shuffled(range(math.prod(outer)))[:count]
    if reduction != "none" and is_float(x.dtype):
        flat = [g.draws.pick(flat) for _ in flat]
    picks = np.stack(np.unravel_index(np.array(flat), outer), axis=-1).astype(np.int64)
    updates = g.source(x.dtype, g.dims(count, *x.sizes[depth:]), -1.2, 1.2)
    bounds = _updated(g, x, updates, reduction, count)
    if bounds[1] > 400:
        return False
    attrs = {"reduction": reduction} if g.opset >= 16 and reduction != "none" else {}
    g.node(op, [x, g.given(picks), updates], x.dtype, x.shape, bounds, **attrs)
    return True
