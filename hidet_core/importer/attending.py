"""What the attention nodes of all domains share: masks put together, heads of queries that share
keys, caches; and the operator attention, or its spelling in primitives where no template takes it.

Heads are [batch, heads, sequence, width]; masks broadcast to [batch, heads, queries, keys].
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import dataclass, replace
from functools import reduce

from hidet_core.compute.dims import Dim, same_dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import bf16, f16, f32, i64
from hidet_core.ir.expr import is_const

from .context import Context, known, materialize
from .linear import scaled, swap_last

MAX_WIDTH = 256  # of a head: what templates keep on chip


@dataclass(frozen=True, eq=False)
class Call:
    """q[B, H, S, D], k[B, G, T, D], v[B, G, T, E], where G divides H. kept: bools, all of which
    have to be true; added: floats; causal and left: as in the operator.
    """

    q: Value
    k: Value
    v: Value
    scale: float
    kept: tuple[Value, ...] = ()
    added: tuple[Value, ...] = ()
    causal: bool = False
    left: int | None = None
    softcap: float = 0.0

    @property
    def sides(self) -> tuple[Dim, Dim]:
        """Queries and keys."""
        return self.q.type.shape[-2], self.k.type.shape[-2]


@dataclass(frozen=True, eq=False)
class Stages:
    """All steps of an attention that is spelled out; scores of [B, H, S, T]."""

    raw: Value
    capped: Value
    masked: Value
    weights: Value
    result: Value


def cut_heads(ctx: Context, x: Value, heads: int) -> Value:
    """[batch, sequence, heads * width] -> [batch, heads, sequence, width]."""
    batch, sequence, hidden = x.type.shape
    if not isinstance(hidden, int) or heads < 1 or hidden % heads:
        ctx.fail(f"{hidden} elements of a row are not {heads} heads")
    cut = ctx.builder.reshape(x, (batch, sequence, heads, hidden // heads))
    return ctx.builder.transpose(cut, (0, 2, 1, 3))


def join_heads(ctx: Context, x: Value) -> Value:
    """[batch, heads, sequence, width] -> [batch, sequence, heads * width]."""
    batch, heads, sequence, width = x.type.shape
    turned = ctx.builder.transpose(x, (0, 2, 1, 3))
    return ctx.builder.reshape(turned, (batch, sequence, heads * width))


def attend(ctx: Context, call: Call) -> Value:
    """The result, [B, H, S, E]; a query that sees no key gives 0."""
    widths = (call.q.type.shape[-1], call.v.type.shape[-1])
    narrow = all(isinstance(width, int) and 0 < width <= MAX_WIDTH for width in widths)
    if not narrow or call.q.type.dtype not in (f32, f16, bf16):
        return spell_out(ctx, call).result
    call = share_keys(ctx, call)
    masks = combined(ctx, call)
    attrs = {"scale": call.scale, "causal": call.causal, "fill": -math.inf}
    # where every query sees a key, NaN comes of NaN and stays
    may_hide = bool(masks) or call.causal or call.left is not None
    attrs["zero_nan"] = may_hide or not isinstance(call.sides[1], int) or call.sides[1] == 0
    if call.softcap:
        attrs["softcap"] = call.softcap
    if call.left is not None:
        attrs["left"] = call.left
    return _whole(ctx, ctx.emit("attention", call.q, call.k, call.v, *masks, **attrs))


def spell_out(ctx: Context, call: Call) -> Stages:
    """Every step as operators of its own, for what wants the scores too."""
    call = share_keys(ctx, _explicit(ctx, call))
    dtype = call.q.type.dtype
    raw = ctx.emit("matmul", ctx.wide(call.q), swap_last(ctx, ctx.wide(call.k)))
    raw = capped = scaled(ctx, raw, call.scale)
    if call.softcap:
        capped = ctx.emit("tanh", scaled(ctx, raw, 1 / call.softcap))
        capped = scaled(ctx, capped, call.softcap)
    masked = capped
    for mask in combined(ctx, call):
        if mask.type.dtype.is_bool:
            masked = ctx.emit("where", mask, masked, ctx.scalar(-math.inf, masked))
        else:
            masked = ctx.emit("add", masked, ctx.builder.cast(mask, masked.type.dtype))
    weights = ctx.emit("softmax", masked)
    zero = ctx.scalar(0, weights)
    weights = ctx.emit("where", ctx.emit("isnan", weights), zero, weights)
    result = ctx.emit("matmul", ctx.builder.cast(weights, dtype), call.v)
    steps = (raw, capped, masked, weights, result)
    return Stages(*(_whole(ctx, ctx.builder.cast(step, dtype)) for step in steps))


def share_keys(ctx: Context, call: Call) -> Call:
    """[B, H, S, D] -> [B, G, H / G, S, D] where several heads of queries share keys, which get a
    dim of 1: they are not repeated in memory.
    """
    heads, groups = call.q.type.shape[1], call.k.type.shape[1]
    if same_dim(heads, groups):
        return call
    if not isinstance(heads, int) or not isinstance(groups, int) or groups < 1 or heads % groups:
        ctx.fail(f"{heads} heads of queries do not share {groups} heads of keys")
    split = (groups, heads // groups)

    def parted(value: Value, dims: tuple[Dim, ...]) -> Value:
        shape = value.type.shape
        return ctx.builder.reshape(value, (*shape[:-3], *dims, *shape[-2:]))

    def mask(value: Value) -> Value:
        if value.type.rank < 3:
            return value
        return parted(value, (1, 1) if is_const(value.type.shape[-3], 1) else split)

    return replace(
        call,
        q=parted(call.q, split),
        k=parted(call.k, (groups, 1)),
        v=parted(call.v, (groups, 1)),
        kept=tuple(map(mask, call.kept)),
        added=tuple(map(mask, call.added)),
    )


def _whole(ctx: Context, value: Value) -> Value:
    """[B, G, H / G, ...] -> [B, H, ...]."""
    if value.type.rank == 4:
        return value
    batch, groups, parts, *rest = value.type.shape
    return ctx.builder.reshape(value, (batch, groups * parts, *rest))


def combined(ctx: Context, call: Call) -> list[Value]:
    """All masks as at most one: a bool, or floats that are -inf where something is not kept."""
    kept = reduce(lambda a, b: ctx.emit("and", a, b), call.kept) if call.kept else None
    if not call.added:
        return [] if kept is None else [kept]
    added = reduce(lambda a, b: ctx.emit("add", a, b), call.added)
    if kept is None:
        return [added]
    return [ctx.emit("where", kept, added, ctx.scalar(-math.inf, added))]


def _explicit(ctx: Context, call: Call) -> Call:
    """What the operator's causal and left say, as masks."""
    queries, keys = call.sides
    past = simplify(keys - queries)
    kept = []
    if call.causal:
        kept.append(seen(ctx, call.sides, past))
    if call.left is not None:
        kept.append(seen_from(ctx, call.sides, past, call.left))
    return replace(call, causal=False, left=None, kept=(*call.kept, *kept))


def with_causal(ctx: Context, call: Call, past: Dim | Value, right: int = 0) -> Call:
    """Key j is seen by query i if j <= i + past + right; past may be [B, 1, 1, 1] integers."""
    queries, keys = call.sides
    if right == 0 and not isinstance(past, Value) and same_dim(past, simplify(keys - queries)):
        return replace(call, causal=True)
    return replace(call, kept=(*call.kept, seen(ctx, call.sides, past, right)))


def with_left(ctx: Context, call: Call, past: Dim | Value, left: int) -> Call:
    """Key j is seen by query i if j >= i + past - left."""
    queries, keys = call.sides
    if not isinstance(past, Value) and same_dim(past, simplify(keys - queries)):
        return replace(call, left=left)
    return replace(call, kept=(*call.kept, seen_from(ctx, call.sides, past, left)))


def seen(ctx: Context, sides: tuple[Dim, Dim], past: Dim | Value, right: int = 0) -> Value:
    """Key j <= query i + past + right, as a mask."""
    return ctx.emit("le", counted(ctx, sides[1]), _at(ctx, sides[0], past, right))


def seen_from(ctx: Context, sides: tuple[Dim, Dim], past: Dim | Value, left: int) -> Value:
    """Key j >= query i + past - left, as a mask."""
    return ctx.emit("ge", counted(ctx, sides[1]), _at(ctx, sides[0], past, -left))


def _at(ctx: Context, queries: Dim, past: Dim | Value, shift: int) -> Value:
    """The numbers i + past + shift of all queries, [.., S, 1]."""
    if not isinstance(past, Value):
        column = counted(ctx, queries, simplify(past + shift))
        return ctx.builder.reshape(column, (queries, 1))
    column = ctx.builder.reshape(counted(ctx, queries, shift), (queries, 1))
    return ctx.emit("add", column, past)


def counted(ctx: Context, size: Dim, start: Dim = 0) -> Value:
    """start, start + 1, ..., as i64[size]."""
    return ctx.emit("range", start=start, step=1, size=size, dtype=i64)


def per_batch(ctx: Context, value: Value) -> Value:
    """i64[B, 1, 1, 1] of integers [B] or [B, 1]."""
    batch = value.type.shape[0]
    return ctx.builder.reshape(ctx.builder.cast(value, i64), (batch, 1, 1, 1))


def shorter_than(ctx: Context, keys: Dim, lengths: Value) -> Value:
    """Key j < lengths, as a mask; lengths: [B, 1, 1, 1]."""
    return ctx.emit("lt", counted(ctx, keys), lengths)


def joined(ctx: Context, parts: Iterable[Value], axis: int) -> Value:
    return ctx.emit("concat", *parts, axis=axis)


def number_of(ctx: Context, dim: Dim) -> Value:
    """A dim as data, i64 without dims."""
    return materialize(ctx.builder, known(dim))


def wants(ctx: Context, place: int) -> bool:
    """Whether an output is used."""
    return place < len(ctx.node.outputs) and bool(ctx.node.outputs[place])
