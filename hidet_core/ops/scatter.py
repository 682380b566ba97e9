"""Copies of a tensor in which some elements are replaced or accumulated.

scatter_elements(data, indices, updates) attrs: axis, op.  The element of updates at (i, n, j), n
along the axis, goes to (i, indices[i, n, j], j).
scatter_nd(data, indices, updates) attrs: op.  indices [batch..., depth], updates [batch...,
data.shape[depth:]...]: the slice updates[n...] goes to data[indices[n..., :]].

op: none | add | mul | max | min. Updates of one element are applied in order of their index, so the
last one wins where there is no op, and for max and min a NaN gives way to the next update. Indices
are treated as those of gather (ops/gather.py): negative ones count from the end, others are clamped
into range.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import Dim, dim_expr, same_shape
from hidet_core.compute.indices import wrapped_index
from hidet_core.compute.types import TensorType
from hidet_core.compute.update import REDUCTIONS, neutral, updated
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Expr,
    Load,
    both,
    cast,
    eq,
    load,
    maximum,
    minimum,
    select,
    unary,
    wrap,
)

from .gather import need_int
from .registry import Attrs, Types, operator


def _check(what: str, types: Types, attrs: Attrs) -> None:
    data, indices, updates = types
    need_int(what, indices)
    if attrs["op"] not in REDUCTIONS:
        known = ", ".join(REDUCTIONS)
        raise Unsupported(what, f"reduction {attrs['op']!r} is not supported, known: {known}")
    if data.dtype != updates.dtype:
        raise Unsupported(what, f"expected updates of the dtype of {data}, got {updates}")
    if data.dtype.is_bool and attrs["op"] != "none":
        raise Unsupported(what, f"reduction {attrs['op']!r} of bool is not supported")


def _infer_elements(types: Types, attrs: Attrs) -> TensorType:
    data, indices, updates = types
    _check("scatter_elements", types, attrs)
    fits = data.rank == indices.rank > 0 and same_shape(indices.shape, updates.shape)
    if not fits:
        raise Unsupported(
            "scatter_elements", f"indices {indices} and updates {updates} do not fit {data}"
        )
    return data


def _define_elements(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    data, indices, updates = inputs
    axis = attrs["axis"]

    def update_at(axes: Sequence[Expr], n: Sequence[Expr]) -> tuple[Expr, Expr]:
        """Whether update n of a line goes to axes, and what it is."""
        place, inside = list(axes), wrap(True)
        for k, dim in enumerate(indices.shape):
            if k != axis and not same_shape((dim,), (data.shape[k],)):
                inside = both(inside, axes[k] < dim_expr(dim))
                place[k] = maximum(minimum(axes[k], dim_expr(dim) - 1), 0)
        place[axis] = n[0]
        goes = wrapped_index(load(indices, *place), data.shape[axis])
        return both(inside, eq(goes, axes[axis])), load(updates, *place)

    return _definitions(data, out, attrs["op"], (indices.shape[axis],), update_at)


def _infer_nd(types: Types, attrs: Attrs) -> TensorType:
    data, indices, updates = types
    _check("scatter_nd", types, attrs)
    depth = indices.shape[-1] if indices.rank else None
    if not isinstance(depth, int) or not 0 < depth <= data.rank:
        raise Unsupported("scatter_nd", f"indices {indices} do not fit {data}")
    if not same_shape(updates.shape, indices.shape[:-1] + data.shape[depth:]):
        raise Unsupported("scatter_nd", f"updates {updates} do not fit {data} and {indices}")
    return data


def _define_nd(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    data, indices, updates = inputs
    depth = int(indices.shape[-1])

    def update_at(axes: Sequence[Expr], n: Sequence[Expr]) -> tuple[Expr, Expr]:
        hits = wrap(True)
        for k in range(depth):
            goes = wrapped_index(load(indices, *n, k), data.shape[k])
            hits = both(hits, eq(goes, axes[k]))
        return hits, load(updates, *n, *axes[depth:])

    return _definitions(data, out, attrs["op"], indices.shape[:-1], update_at)


UpdateAt = Callable[[Sequence[Expr], Sequence[Expr]], tuple[Expr, Expr]]
_REDUCTION = {"add": "sum", "mul": "prod"}


def _definitions(
    data: Buffer, out: TensorType, op: str, count: tuple[Dim, ...], update_at: UpdateAt
) -> tuple[Definition, ...]:
    """update_at(axes, n) -> (whether update n goes to axes, what it is)."""
    updates = _Updates(data, out, op, count, update_at)
    if op == "none":
        return updates.last_wins()
    return updates.extreme() if op in ("max", "min") and data.dtype.is_float else updates.total()


class _Updates:
    """The updates of every element of `data`; their numbers are flat indices into `count`."""

    def __init__(
        self, data: Buffer, out: TensorType, op: str, count: tuple[Dim, ...], update_at: UpdateAt
    ) -> None:
        self.data, self.out, self.op, self.update_at = data, out, op, update_at
        self.count = count or (1,)
        self.is_one = not count

    def at(self, axes: Sequence[Expr], n: Sequence[Expr]) -> tuple[Expr, Expr]:
        return self.update_at(axes, () if self.is_one else n)

    def total(self) -> tuple[Definition, ...]:
        same = neutral(self.op, self.data.dtype)

        def value(*axes: Expr) -> Expr:
            def term(*n: Expr) -> Expr:
                hits, update = self.at(axes, n)
                return select(hits, update, same)

            total = reduce_over(_REDUCTION.get(self.op, self.op), self.count, term)
            return updated(self.op, load(self.data, *axes), total)

        return (compute("scatter", self.out.dtype, self.out.shape, value),)

    def last(self, name: str, counts: Callable[[Expr], Expr] | None = None) -> Definition:
        """The number of the last update (for which counts(update) holds) of each element, or -1."""

        def value(*axes: Expr) -> Expr:
            def term(*n: Expr) -> Expr:
                hits, update = self.at(axes, n)
                hits = hits if counts is None else both(hits, counts(update))
                return select(hits, self.number(n), -1)

            return reduce_over("max", self.count, term)

        return compute(name, i64, self.out.shape, value)

    def number(self, n: Sequence[Expr]) -> Expr:
        number: Expr = wrap(0, i64)
        for place, extent in zip(n, self.count, strict=True):
            number = number * dim_expr(extent) + place
        return number

    def last_wins(self) -> tuple[Definition, ...]:
        last, is_bool = self.last("last"), self.data.dtype.is_bool
        least = wrap(False) if is_bool else neutral("max", self.data.dtype)

        def value(*axes: Expr) -> Expr:
            winner = load(last.out, *axes)

            def term(*n: Expr) -> Expr:
                return select(eq(self.number(n), winner), self.at(axes, n)[1], least)

            update = reduce_over("any" if is_bool else "max", self.count, term)
            return select(winner < 0, load(self.data, *axes), update)

        return last, compute("scatter", self.out.dtype, self.out.shape, value)

    def extreme(self) -> tuple[Definition, ...]:
        """The extreme of what comes after the last NaN."""
        last = self.last("last")
        reset = self.last("reset", lambda update: unary("isnan", update))
        same = neutral(self.op, self.data.dtype)

        def value(*axes: Expr) -> Expr:
            start, old = load(reset.out, *axes), load(self.data, *axes)

            def term(*n: Expr) -> Expr:
                hits, update = self.at(axes, n)
                return select(both(hits, self.number(n) > start), update, same)

            total = reduce_over(self.op, self.count, term)
            nan = Const(math.nan, old.dtype)
            none_after = select(start < 0, old, nan)
            before = select(start < 0, old, same)
            grown = updated(self.op, before, total)
            return select(load(last.out, *axes) > start, grown, none_after)

        return last, reset, compute("scatter", self.out.dtype, self.out.shape, value)


operator("scatter_elements", "anchor", _infer_elements, _define_elements, rereads=True)
operator("scatter_nd", "anchor", _infer_nd, _define_nd, rereads=True)


def _infer_cache(types: Types, attrs: Attrs) -> TensorType:
    """write_cache(cache, update, starts?) attrs: axis, circular.  Element s of update along the
    axis goes to starts[batch] + s, from the end of the axis on to its start where circular.
    """
    cache, update, *starts = types
    axis = attrs["axis"]
    rest = [t.shape[:axis] + t.shape[axis + 1 :] for t in (cache, update)]
    if axis == 0 or cache.dtype != update.dtype or cache.rank != update.rank:
        raise Unsupported("write_cache", f"update {update} on axis {axis} does not fit {cache}")
    if not same_shape(*rest):
        raise Unsupported("write_cache", f"{cache} and {update} differ in more than axis {axis}")
    for start in starts:
        need_int("write_cache", start)
        if not same_shape(start.shape, cache.shape[:1]):
            raise Unsupported("write_cache", f"expected a start per batch of {cache}, got {start}")
    return cache


def _define_cache(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    cache, update, *starts = inputs
    axis = attrs["axis"]

    def value(*axes: Expr) -> Expr:
        source = axes[axis]
        if starts:
            source = source - cast(load(starts[0], axes[0]), i64)
        if attrs["circular"]:
            source = source % dim_expr(cache.shape[axis])
        size = dim_expr(update.shape[axis])
        inside = both(source >= 0, source < size)
        at = minimum(maximum(source, 0), size - 1)
        place = (*axes[:axis], at, *axes[axis + 1 :])
        new = Load(update, place, update.dtype, inside)  # there may be none
        return select(inside, new, load(cache, *axes))

    return (compute("write_cache", out.dtype, out.shape, value),)


operator("write_cache", "injective", _infer_cache, _define_cache)
