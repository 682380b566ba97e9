"""Joining and cutting: Concat, Split, Slice, Pad."""

from __future__ import annotations

import numpy as np

from ..draft import Dim, Draft, Shape, Val, Want
from ..dtypes import as_dtype
from .layout import ANY, like
from .reductions import drawn_axes
from .table import maker


@maker("Concat", since=4, dtypes=ANY, weight=4)
def concat(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Of values that differ along the axis at most; any may come twice."""
    x = g.take(Want(dtypes, rank=(1, 6)))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank - 1)

    def cut(shape: Shape) -> Shape:
        return shape[:axis] + shape[axis + 1 :]

    def fits(value: Val) -> bool:
        return value.rank == x.rank and cut(value.shape) == cut(x.shape)

    parts = [x]
    found = [v for v in g.values if v.dtype == x.dtype and fits(v)]
    for _ in range(g.draws.integer(0, 3)):
        if found and g.draws.chance(0.7):
            parts.append(g.draws.pick(found))
        else:
            size = g.dim(g.draws.integer(1, 5))
            shape = (*x.shape[:axis], size, *x.shape[axis + 1 :])
            parts.append(g.source(x.dtype, shape))
    total = parts[0].shape[axis]
    for part in parts[1:]:
        total = total.plus(part.shape[axis])
    shape = (*x.shape[:axis], total, *x.shape[axis + 1 :])
    if not g.fits(shape):
        return False
    bounds = (min(p.low for p in parts), max(p.high for p in parts))
    axis = axis - x.rank if g.opset >= 11 and g.draws.chance(0.3) else axis
    g.node(op, g.draws.shuffled(parts), x.dtype, shape, bounds, axis=axis)
    return True


@maker("Split", since=2, dtypes=ANY, weight=2)
def split(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 6), filled=True))
    if x is None:
        return False
    axes = [k for k, dim in enumerate(x.shape) if dim.fixed is not None]
    if not axes:
        return False
    axis = g.draws.pick(axes)
    size = x.shape[axis].fixed or 1
    count = g.draws.integer(1, min(size, 4))
    cuts = sorted(g.draws.shuffled(range(1, size))[: count - 1])
    sizes = [b - a for a, b in zip([0, *cuts], [*cuts, size], strict=True)]
    attrs: dict[str, object] = {"axis": axis}
    inputs = [x]
    if size % count == 0 and g.draws.chance(0.4):
        sizes = [size // count] * count
        if g.opset >= 18:
            attrs["num_outputs"] = count
    elif g.opset >= 13:
        inputs.append(g.ints(sizes))
    else:
        attrs["split"] = sizes
    shapes = [(*x.shape[:axis], g.dim(n), *x.shape[axis + 1 :]) for n in sizes]
    g.nodes_of(op, inputs, [(x.dtype, shape, x.low, x.high) for shape in shapes], **attrs)
    return True


FAR = (1 << 31) - 1


@maker("Slice", dtypes=ANY, weight=4)
def slice_(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 6)))
    if x is None:
        return False
    axes = sorted(a % x.rank for a in drawn_axes(g, x.rank))
    rows, shape = [], list(x.shape)
    for axis in axes:
        row = _slice_row(g, x.shape[axis])
        rows.append(row)
        shape[axis] = x.shape[axis].map(lambda n, r=row: len(range(n)[slice(*_python(r))]))
    if not all(min(dim) > 0 or not x.is_filled or g.zeros for dim in shape):
        return False
    starts, ends, steps = (list(column) for column in zip(*rows, strict=True))
    if g.opset < 10:
        if any(step != 1 for step in steps):
            return False
        return like(g, op, x, [x], tuple(shape), starts=starts, ends=ends, axes=axes)
    inputs = [g.ints(starts), g.ints(ends), g.ints(axes)]
    if any(step != 1 for step in steps) or g.draws.chance(0.3):
        inputs.append(g.ints(steps))
    return like(g, op, x, [x, *inputs], tuple(shape))


def _python(row: tuple[int, int, int]) -> tuple[int, int | None, int]:
    start, end, step = row
    return start, None if step < 0 and end <= -FAR else end, step


def _slice_row(g: Draft, dim: Dim) -> tuple[int, int, int]:
    """start, end, step; symbolic dims are cut at an end or by far bounds."""
    size = min(dim)
    if dim.fixed is not None and g.draws.chance(0.25) and g.opset >= 10:
        return (g.draws.pick((-1, size - 1, FAR)), -FAR, g.draws.pick((-1, -2)))
    step = g.draws.pick((1, 1, 2, 3)) if g.opset >= 10 else 1
    start = g.draws.integer(0, max(size - 1, 0))
    end = g.draws.pick((FAR, FAR, -1, size, size + 3, g.draws.integer(start, max(size, start))))
    if dim.fixed is not None and size and g.draws.chance(0.3):
        start -= size
    return start, end, step


PADDED = {2: "f32 f64", 11: "f32 f64", 13: "f32 f16 f64 i32 i64 u8 i8 b"}


@maker("Pad", since=2, dtypes=PADDED, weight=2)
def pad(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    mode = g.draws.weighted(
        [("constant", 3), ("edge", 1), ("reflect", 1), ("wrap", 0.5 if g.opset >= 19 else 0)]
    )
    x = g.take(Want(dtypes, rank=(1, 5), filled=mode != "constant"))
    if x is None or (x.dtype == "b" and mode != "constant"):
        return False
    top = 3 if mode == "constant" else 1
    most = [min(top, min(d) - 1 if mode in ("reflect", "wrap") else top) for d in x.shape]
    before, after = ([max(g.draws.integer(-2, n), 0) for n in most] for _ in range(2))
    if mode == "constant" and g.draws.chance(0.15):
        at = g.draws.integer(0, x.rank - 1)
        if min(x.shape[at]) > 2:
            before[at] = -1
    shape = tuple(d.plus(a + b) for d, a, b in zip(x.shape, before, after, strict=True))
    fill = round(g.draws.number(-2, 2)) if x.low < 0 else 1
    bounds = (min(x.low, fill, 0), max(x.high, fill, 0))
    if not g.fits(shape):
        return False
    if g.opset < 11:
        attrs = {"pads": before + after, "mode": mode}
        if mode == "constant":
            attrs["value"] = float(fill)
        g.node(op, [x], x.dtype, shape, bounds, **attrs)
        return True
    inputs = [x, g.ints(before + after)]
    if mode == "constant" and g.draws.chance(0.6):
        inputs.append(g.given(as_dtype(np.array(fill), x.dtype), x.dtype))
    g.node(op, inputs, x.dtype, shape, bounds, mode=mode)
    return True
