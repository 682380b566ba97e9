"""Attention and MultiHeadAttention of com.microsoft, as ONNX Runtime's transformer optimizer writes
them.

A raw mask is added as 0 or mask_filter_value; a mask_index says how many keys there are.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

from hidet_core.compute.dims import Dim, same_dim, simplify
from hidet_core.graph.graph import Value

from .attending import (
    Call,
    attend,
    cut_heads,
    join_heads,
    joined,
    per_batch,
    shorter_than,
    wants,
    with_causal,
)
from .context import Context
from .registry import MICROSOFT, onnx_op


def _part(ctx: Context, x: Value, axis: int, start: Dim, size: Dim) -> Value:
    """Elements [start, start + size) of an axis."""
    starts, sizes = [0] * x.type.rank, list(x.type.shape)
    starts[axis], sizes[axis] = start, size
    steps = (1,) * x.type.rank
    return ctx.emit("slice", x, starts=tuple(starts), steps=steps, sizes=tuple(sizes))


def _pick(ctx: Context, x: Value, axis: int, at: int) -> Value:
    """One element of an axis, which goes."""
    shape = x.type.shape
    return ctx.builder.reshape(_part(ctx, x, axis, at, 1), (*shape[:axis], *shape[axis + 1 :]))


def parts_of(ctx: Context, x: Value, sizes: Sequence[int]) -> list[Value]:
    """The last axis in parts."""
    starts = [sum(sizes[:k]) for k in range(len(sizes))]
    pairs = zip(starts, sizes, strict=True)
    return [_part(ctx, x, x.type.rank - 1, start, size) for start, size in pairs]


@onnx_op("Attention", domain=MICROSOFT)
def attention(ctx: Context) -> tuple[Value | None, ...]:
    """Projections by merged weights, attention, present."""
    if ctx.attr("do_rotary", 0) or ctx.attr("past_present_share_buffer", 0) or ctx.has(6):
        ctx.fail("do_rotary and past_present_share_buffer are not supported")
    heads = int(ctx.attr("num_heads"))
    merged = ctx.emit("matmul", ctx.value(0), ctx.value(1))
    merged = ctx.emit("add", merged, ctx.value(2)) if ctx.has(2) else merged
    hidden = merged.type.shape[-1]
    sizes = ctx.int_list("qkv_hidden_sizes", [hidden // 3] * 3)
    if sum(sizes) != hidden:
        ctx.fail(f"qkv_hidden_sizes {sizes} do not add up to {hidden}")
    q, k, v = (cut_heads(ctx, part, heads) for part in parts_of(ctx, merged, sizes))
    past: Dim = 0
    if ctx.has(4):
        cache = ctx.value(4)
        past = cache.type.shape[3]
        k, v = (joined(ctx, (_pick(ctx, cache, 0, n), x), 2) for n, x in enumerate((k, v)))
    call = _masked(ctx, Call(q, k, v, _scale(ctx, q)), past, 3, 5)
    present = None
    if wants(ctx, 1):
        pair = [ctx.builder.reshape(x, (1, *x.type.shape)) for x in (k, v)]
        present = joined(ctx, pair, 0)
    return join_heads(ctx, attend(ctx, call)), present


@onnx_op("MultiHeadAttention", domain=MICROSOFT)
def multi_head_attention(ctx: Context) -> tuple[Value | None, ...]:
    """Queries, keys and values in one, two or three inputs; present_key and present_value."""
    if ctx.has(8) or ctx.has(9) or wants(ctx, 3):
        ctx.fail("past_sequence_length, cache_indirection and the output qk are not supported")
    q, k, v = _separate(ctx, int(ctx.attr("num_heads")))
    past: Dim = 0
    if ctx.has(6):
        past = ctx.value(6).type.shape[2]
        k, v = (joined(ctx, (ctx.value(n), x), 2) for n, x in ((6, k), (7, v)))
    call = _masked(ctx, Call(q, k, v, _scale(ctx, q)), past, 4, 5)
    return join_heads(ctx, attend(ctx, call)), k, v


def _separate(ctx: Context, heads: int) -> tuple[Value, Value, Value]:
    """q, k, v as heads, with their biases."""
    q = ctx.value(0)
    if q.type.rank == 5:
        parts = [_pick(ctx, q, 3, n) for n in range(3)]
    elif ctx.value(1).type.rank == 5:
        parts = [q, *(_pick(ctx, ctx.value(1), 3, n) for n in range(2))]
    else:
        parts = [q, ctx.value(1), ctx.value(2)]
    if q.type.rank not in (3, 5) or parts[1].type.rank not in (3, 4):
        ctx.fail(f"query {q.type} and key {parts[1].type} have another rank than 3 to 5")
    is_cache = parts[1].type.rank == 4 and not (q.type.rank == 5 or ctx.value(1).type.rank == 5)
    biases = _biases(ctx, parts, heads, is_cache)
    cut = []
    for n, (x, bias) in enumerate(zip(parts, biases, strict=True)):
        if is_cache and n:  # [batch, heads, sequence, width] already
            cut.append(x)
            continue
        if x.type.rank == 4:
            x = ctx.builder.reshape(x, (*x.type.shape[:2], simplify(heads * x.type.shape[-1])))
        x = x if bias is None else ctx.emit("add", x, bias)
        cut.append(cut_heads(ctx, x, heads))
    q, k, v = cut
    return q, k, v


def _biases(
    ctx: Context, parts: Sequence[Value], heads: int, is_cache: bool
) -> Sequence[Value | None]:
    if not ctx.has(3):
        return (None,) * 3
    if is_cache:
        ctx.fail("a bias with keys that are a cache")
    sizes = [x.type.shape[-1] * (heads if x.type.rank == 4 else 1) for x in parts]
    return parts_of(ctx, ctx.value(3), sizes)


def _scale(ctx: Context, q: Value) -> float:
    return float(ctx.attr("scale", 0.0)) or 1 / math.sqrt(q.type.shape[-1])


def _masked(ctx: Context, call: Call, past: Dim, mask: int, bias: int) -> Call:
    """With the node's mask and bias, the inputs of those numbers, and unidirectional."""
    if ctx.has(mask):
        call = replace(call, added=(_filter(ctx, ctx.value(mask), call),))
    if ctx.has(bias):
        call = replace(call, added=(*call.added, ctx.value(bias)))
    if ctx.attr("unidirectional", 0):
        call = with_causal(ctx, call, past)
    return call


def _filter(ctx: Context, mask: Value, call: Call) -> Value:
    """0 or mask_filter_value, [batch, 1, queries or 1, keys]."""
    kept = _kept(ctx, mask, call)
    low = float(ctx.attr("mask_filter_value", -10000.0))
    zero = ctx.scalar(0, call.q)
    return ctx.emit("where", kept, zero, ctx.scalar(low, call.q))


def _kept(ctx: Context, mask: Value, call: Call) -> Value:
    shape, (batch, _, queries, _) = mask.type.shape, call.q.type.shape
    keys = call.sides[1]
    if len(shape) == 1 and same_dim(shape[0], batch):
        return shorter_than(ctx, keys, per_batch(ctx, mask))
    if len(shape) == 1 and same_dim(shape[0], simplify(2 * batch)):
        ends, starts = (per_batch(ctx, _part(ctx, mask, 0, n * batch, batch)) for n in (0, 1))
        after = ctx.emit("not", shorter_than(ctx, keys, starts))
        return ctx.emit("and", shorter_than(ctx, keys, ends), after)
    given = ctx.emit("gt", mask, ctx.scalar(0, mask))
    if len(shape) == 2 and same_dim(shape[0], batch) and same_dim(shape[1], keys):
        return ctx.builder.reshape(given, (batch, 1, 1, keys))
    if len(shape) == 3 and same_dim(shape[1], queries) and same_dim(shape[2], keys):
        return ctx.builder.reshape(given, (shape[0], 1, queries, keys))
    return ctx.fail(f"a mask of {mask.type} for {call.q.type} and {keys} keys")
