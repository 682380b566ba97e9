"""Operators that move and reshape tensors, and those that make shapes."""

from __future__ import annotations

import math

import numpy as np

from ..draft import Dim, Draft, Shape, Val, Want, elements
from .table import maker

ANY = "f32 f16 f64 i32 i64 u8 i8 b"


def like(g: Draft, op: str, x: Val, inputs: list, shape: Shape, **attrs: object) -> bool:
    """A node whose elements are those of x."""
    if not g.fits(shape):
        return False
    g.node(op, inputs, x.dtype, shape, (x.low, x.high), **attrs)
    return True


@maker("Transpose", dtypes=ANY, weight=4)
def transpose(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    if g.draws.chance(0.15):
        return like(g, op, x, [x], x.shape[::-1])
    perm = g.draws.shuffled(range(x.rank))
    attrs = {"perm": perm} if perm else {}
    return like(g, op, x, [x], tuple(x.shape[k] for k in perm), **attrs)


@maker("Identity", dtypes=ANY, weight=0.5)
@maker("Dropout", since=7, dtypes="f32 f64", weight=0.3)
def identity(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    return x is not None and like(g, op, x, [x], x.shape)


@maker("Flatten", dtypes={1: "f32 f16 f64", 9: ANY})
def flatten(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 6)))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank)
    shape = tuple(_product(g, part) for part in (x.shape[:axis], x.shape[axis:]))
    negative = g.opset >= 11 and axis < x.rank and g.draws.chance(0.3)
    return like(g, op, x, [x], shape, axis=axis - x.rank if negative else axis)


def _product(g: Draft, dims: Shape) -> Dim:
    return Dim(elements(dims)) if dims else g.dim(1)


@maker("Reshape", since=5, dtypes=ANY, weight=4)
def reshape(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Neighbours merged, one dim split, or ones put in; 0, -1 and computed shapes as exporters."""
    x = g.take(Want(dtypes))
    if x is None:
        return False
    shape = list(x.shape)
    for _ in range(g.draws.integer(1, 2)):
        _regroup(g, shape)
    if len(shape) > 6:
        return False
    target = _target(g, x, shape)
    return target is not None and like(g, op, x, [x, target], tuple(shape))


def _regroup(g: Draft, shape: list[Dim]) -> None:
    kind = g.draws.pick(("merge", "split", "one"))
    at = g.draws.integer(0, max(len(shape) - 2, 0))
    if kind == "merge" and len(shape) > 1:
        shape[at : at + 2] = [shape[at].times(shape[at + 1])]
    elif kind == "split" and shape and shape[at].fixed:
        size = shape[at].fixed or 1
        factor = g.draws.pick([n for n in range(1, size + 1) if size % n == 0])
        shape[at : at + 1] = [g.dim(factor), g.dim(size // factor)]
    elif kind == "one":
        shape.insert(g.draws.integer(0, len(shape)), g.dim(1))


def _target(g: Draft, x: Val, shape: list[Dim]) -> Val | None:
    """The shape operand: a constant with 0 and -1 where that is needed, or computed from x's."""
    if g.symbols and g.draws.chance(0.4) and g.opset >= 13:
        computed = _computed(g, x, shape)
        if computed is not None:
            return computed
    numbers = []
    for k, dim in enumerate(shape):
        copies = k < x.rank and x.shape[k] == dim and (dim.fixed is None or g.draws.chance(0.2))
        numbers.append(0 if copies else -1 if dim.fixed is None else dim.fixed)
    zeros = [k for k, number in enumerate(numbers) if number == 0]
    if any(k >= x.rank or x.shape[k] != shape[k] for k in zeros):
        return None  # a dim of size 0 that is not where the input's is
    known = [k for k, n in enumerate(numbers) if n > 0]
    if -1 not in numbers and known and g.draws.chance(0.3) and x.is_filled:
        numbers[g.draws.pick(known)] = -1
    if numbers.count(-1) > 1 or (-1 in numbers and not x.is_filled):
        return None
    return g.ints(numbers)


def _computed(g: Draft, x: Val, shape: list[Dim]) -> Val | None:
    """Concat of numbers and of elements of Shape(x)."""
    if not shape or not all(dim.fixed is not None or dim in x.shape for dim in shape):
        return None
    if not x.is_filled:
        return None
    source = g.node("Shape", [x], "i64", g.dims(x.rank), (0, 4096))
    parts = []
    for dim in shape:
        if dim.fixed is not None:
            parts.append(g.ints([dim.fixed]))
            continue
        at = g.ints([x.shape.index(dim)])
        parts.append(g.node("Gather", [source, at], "i64", g.dims(1), (0, 4096), axis=0))
    return g.node("Concat", parts, "i64", g.dims(len(parts)), (0, 4096), axis=0)


@maker("Squeeze", dtypes=ANY)
def squeeze(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    one = g.dim(1)
    x = g.take(Want(dtypes, rank=(1, 6), test=lambda value: one in value.shape))
    if x is None:
        return False
    axes = g.draws.subset([k for k, dim in enumerate(x.shape) if dim == one], least=1)
    shape = tuple(dim for k, dim in enumerate(x.shape) if k not in axes)
    return _with_axes(g, op, x, shape, axes, x.rank)


def _with_axes(g: Draft, op: str, x: Val, shape: Shape, axes: list[int], rank: int) -> bool:
    negative = g.opset >= 11 and g.draws.chance(0.3)
    axes = [axis - rank for axis in axes] if negative else axes
    if g.opset >= 13:
        return like(g, op, x, [x, g.ints(axes)], shape)
    return like(g, op, x, [x], shape, axes=axes)


@maker("Unsqueeze", dtypes=ANY)
def unsqueeze(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(0, 4)))
    if x is None:
        return False
    rank = x.rank + g.draws.integer(1, 2)
    axes = sorted(g.draws.shuffled(range(rank))[: rank - x.rank])
    shape = list(x.shape)
    for axis in axes:
        shape.insert(axis, g.dim(1))
    return _with_axes(g, op, x, tuple(shape), axes, rank)


@maker("Tile", since=6, dtypes="f32 f16 f64 i32 i64 u8 i8 b")
def tile(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(1, 5)))
    if x is None:
        return False
    repeats = [g.draws.weighted([(1, 4), (2, 2), (3, 1)]) for _ in range(x.rank)]
    shape = tuple(dim.times(n) for dim, n in zip(x.shape, repeats, strict=True))
    return like(g, op, x, [x, g.ints(repeats)], shape)


@maker("Expand", since=8, dtypes="f32 f16 f64 i32 i64 u8 i8 b", weight=2)
def expand(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(0, 5)))
    if x is None:
        return False
    one, shape, numbers = g.dim(1), [], []
    for dim in x.shape:
        size = g.draws.integer(1, 5) if dim == one else dim.fixed
        keep = dim != one and (size is None or g.draws.chance(0.5))
        numbers.append(1 if keep else size or 0)
        shape.append(dim if keep or dim != one else g.dim(size or 1))
    for _ in range(g.draws.integer(0, min(2, 6 - x.rank))):
        size = g.draws.integer(1, 4)
        numbers.insert(0, size)
        shape.insert(0, g.dim(size))
    if not numbers:
        return False
    return like(g, op, x, [x, g.ints(numbers)], tuple(shape))


@maker("Shape", dtypes=ANY, weight=0.5)
@maker("Size", dtypes=ANY, weight=0.3)
def shape_of(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """As data: multiplied into something."""
    x = g.take(Want(dtypes, rank=(1, 6)))
    if x is None:
        return False
    if op == "Size":
        g.node(op, [x], "i64", (), (0, x.elements))
        return True
    attrs, length = {}, x.rank
    if g.opset >= 15 and g.draws.chance(0.5):
        attrs = {"start": g.draws.integer(-x.rank, x.rank - 1)}
        length = len(x.shape[attrs["start"] :])
    top = max(max(dim) for dim in x.shape)
    g.node(op, [x], "i64", g.dims(length), (0, top), **attrs)
    return True


@maker("ConstantOfShape", since=9, dtypes="f32 i64", weight=0.5)
def constant_of_shape(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Of a shape that some value has."""
    x = g.take(Want(dtypes, rank=(1, 4)))
    if x is None:
        return False
    shape = g.node("Shape", [x], "i64", g.dims(x.rank), (0, 4096))
    g.node(op, [shape], "f32", x.shape, (0, 0))
    return True


@maker("Range", since=11, dtypes="f32", weight=0.4)
def range_(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Positions along an axis of a value: Range(0, Shape(x)[k], step)."""
    x = g.take(Want(dtypes, rank=(1, 4)))
    if x is None or g.opset < 13:
        return False
    axis, step = g.draws.integer(0, x.rank - 1), g.draws.pick((1, 1, 2))
    sizes = g.node("Shape", [x], "i64", g.dims(x.rank), (0, 4096))
    at = g.given(np.array(axis, np.int64))
    limit = g.node("Gather", [sizes, at], "i64", (), (0, 4096), axis=0)
    ends = [g.given(np.array(n, np.int64)) for n in (0, step)]
    length = x.shape[axis].map(lambda n: math.ceil(n / step))
    top = max(x.shape[axis])
    g.node(op, [ends[0], limit, ends[1]], "i64", (length,), (0, top))
    return True


@maker("DepthToSpace", dtypes={1: "f32 f64", 11: "f32 f64"}, weight=0.7)
@maker("SpaceToDepth", dtypes="f32 f64", weight=0.7)
def blocks(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    size = g.draws.pick((2, 2, 3))
    dtype = g.prefer(dtypes)
    a, b, c = (g.draws.integer(1, 3) for _ in range(3))
    deep, flat = (1, a * size * size, b, c), (1, a, b * size, c * size)
    source, result = (deep, flat) if op == "DepthToSpace" else (flat, deep)
    batch = g.size()
    x = g.source(dtype, (batch, *g.dims(*source[1:])))
    attrs: dict[str, object] = {"blocksize": size}
    if op == "DepthToSpace" and g.opset >= 11 and g.draws.chance(0.7):
        attrs["mode"] = g.draws.pick(("DCR", "CRD"))
    return like(g, op, x, [x], (batch, *g.dims(*result[1:])), **attrs)


@maker("Trilu", since=14, dtypes="f32 f64 i64 b")
def trilu(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(2, 5), filled=True))
    if x is None:
        return False
    inputs = [x]
    if g.draws.chance(0.6):
        inputs.append(g.given(np.array(g.draws.integer(-3, 3), np.int64)))
    attrs = {"upper": g.draws.integer(0, 1)} if g.draws.chance(0.7) else {}
    bounds = (min(x.low, 0), max(x.high, 0))
    if not g.fits(x.shape):
        return False
    g.node(op, inputs, x.dtype, x.shape, bounds, **attrs)
    return True


@maker("Constant", since=13, dtypes="f32", weight=0.3)
def constant(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    numbers = [round(g.draws.number(-2, 2), 2) for _ in range(g.draws.integer(1, 4))]
    g.node(op, [], "f32", g.dims(len(numbers)), (-2, 2), value_floats=numbers)
    return True
