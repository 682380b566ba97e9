"""Operators that pick elements by indices."""

from __future__ import annotations

import numpy as np

from ..draft import Draft, Shape, Val, Want
from .layout import ANY
from .table import maker


def indices(g: Draft, shape: Shape, size: int, dtype: str = "i64") -> Val:
    """Positions in an axis of `size`, some from its end."""
    return g.source(dtype, shape, -size if g.draws.chance(0.3) and size > 1 else 0, size - 1)


@maker("Gather", since=11, dtypes=ANY, weight=3)
def gather(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 5), filled=True))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank - 1)
    wanted = g.shape(0, 2) if g.draws.chance(0.7) else ()
    picks = indices(g, wanted, min(x.shape[axis]), g.draws.pick(("i64", "i32")))
    shape = (*x.shape[:axis], *wanted, *x.shape[axis + 1 :])
    if not g.fits(shape) or len(shape) > 6:
        return False
    given = axis - x.rank if g.draws.chance(0.3) else axis
    g.node(op, [x, picks], x.dtype, shape, (x.low, x.high), axis=given)
    return True


@maker("GatherElements", since=11, dtypes=ANY)
def gather_elements(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 4), filled=True))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank - 1)
    length = g.dim(g.draws.integer(1, 6))
    shape = (*x.shape[:axis], length, *x.shape[axis + 1 :])
    if not g.fits(shape):
        return False
    picks = indices(g, shape, min(x.shape[axis]))
    g.node(op, [x, picks], x.dtype, shape, (x.low, x.high), axis=axis)
    return True


@maker("GatherND", since=12, dtypes="f32 f16 f64 i32 i64 u8 b", weight=0.7)
def gather_nd(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 4), filled=True))
    if x is None:
        return False
    batch = g.draws.integer(0, min(1, x.rank - 1)) if g.draws.chance(0.4) else 0
    depth = g.draws.integer(1, x.rank - batch)
    count = g.dim(g.draws.integer(1, 5))
    smallest = min(min(dim) for dim in x.shape[batch : batch + depth])
    picks = indices(g, (*x.shape[:batch], count, g.dim(depth)), smallest)
    shape = (*x.shape[:batch], count, *x.shape[batch + depth :])
    if not g.fits(shape):
        return False
    attrs = {"batch_dims": batch} if batch or g.draws.chance(0.3) else {}
    g.node(op, [x, picks], x.dtype, shape, (x.low, x.high), **attrs)
    return True


@maker("OneHot", since=11, dtypes="i64", weight=0.7)
def one_hot(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    rank = g.draws.integer(1, 3)
    shape = g.shape(rank, rank)
    depth = g.draws.integer(2, 7)
    picks = g.source("i64", shape, -depth, depth - 1)
    off_on = g.given(np.array([0.0, 1.5], np.float32), "f32")
    axis = g.draws.pick((-1, 0, rank))
    at = rank if axis == -1 else axis
    result = (*shape[:at], g.dim(depth), *shape[at:])
    if not g.fits(result):
        return False
    size = g.given(np.array(depth, np.int64))
    g.node(op, [picks, size, off_on], "f32", result, (0, 1.5), axis=axis)
    return True
