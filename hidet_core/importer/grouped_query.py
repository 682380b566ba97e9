"""GroupQueryAttention and RotaryEmbedding of com.microsoft, as ONNX Runtime GenAI writes decoders.

Each batch has a length of its own: seqlens_k + 1 keys with the new ones, which are written behind
the old ones; query i of batch b stands at past[b] + i.
"""

from __future__ import annotations

import math
from dataclasses import replace

from hidet_core.compute.dims import Dim, dim_expr, same_dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import maximum

from .attending import (
    Call,
    attend,
    counted,
    cut_heads,
    join_heads,
    number_of,
    shorter_than,
    with_causal,
    with_left,
)
from .context import Context
from .registry import MICROSOFT, onnx_op
from .rotary import rotated, turned
from .transformers import parts_of

REFUSED = {11: "head_sink", 12: "k_scale", 13: "v_scale",
           14: "q_norm_weight", 15: "k_norm_weight", 16: "query_seqlens"}  # fmt: skip
REFUSED_ATTRS = ("smooth_softmax", "sliding_window_cache", "kv_cache_bit_width", "qk_output")


@onnx_op("GroupQueryAttention", domain=MICROSOFT)
def group_query_attention(ctx: Context) -> tuple[Value | None, ...]:
    """output, present_key, present_value."""
    _refuse(ctx)
    q, k, v = _heads(ctx)
    batch, _, sequence, width = q.type.shape
    lengths = ctx.builder.cast(ctx.builder.reshape(ctx.value(5), (batch,)), i64)
    past = ctx.emit("sub", lengths, number_of(ctx, simplify(sequence - 1)))
    past = ctx.emit("maximum", past, ctx.scalar(0, past))
    if ctx.attr("do_rotary", 0):
        q, k = _turn(ctx, past, q, k)
    k, v = _with_past(ctx, past, k, v)
    scale = float(ctx.attr("scale", 0.0)) or 1 / math.sqrt(width)
    call = Call(q, k, v, scale, softcap=float(ctx.attr("softcap", 0.0)))
    if ctx.has(10):
        call = replace(call, added=(_bias(ctx, call.sides[1]),))
    shift = ctx.builder.reshape(past, (batch, 1, 1, 1))
    if int(ctx.attr("causal", 1)):
        call = with_causal(ctx, call, shift)
    else:
        ends = ctx.emit("add", lengths, ctx.scalar(1, lengths))
        ends = ctx.builder.reshape(ends, (batch, 1, 1, 1))
        call = replace(call, kept=(*call.kept, shorter_than(ctx, call.sides[1], ends)))
    window = int(ctx.attr("local_window_size", -1))
    if window > 0:
        call = with_left(ctx, call, shift, window - 1)
    return join_heads(ctx, attend(ctx, call)), k, v


def _bias(ctx: Context, keys: Dim) -> Value:
    """attention_bias, which has to be as long as the cache."""
    bias = ctx.value(10)
    if not same_dim(bias.type.shape[-1], keys):
        ctx.fail(f"attention_bias of {bias.type} for a cache of {keys} keys")
    return bias


def _refuse(ctx: Context) -> None:
    for place, what in REFUSED.items():
        if ctx.has(place):
            ctx.fail(f"{what} is not supported")
    for name in REFUSED_ATTRS:
        if int(ctx.attr(name, 0)) > 0:
            ctx.fail(f"{name} is not supported")
    quantised = {ctx.attr(f"{side}_quant_type", "NONE") for side in "kv"}
    if quantised != {"NONE"}:
        ctx.fail(f"quantised caches {sorted(quantised)} are not supported")


def _heads(ctx: Context) -> tuple[Value, Value, Value]:
    heads, groups = int(ctx.attr("num_heads")), int(ctx.attr("kv_num_heads"))
    q = ctx.value(0)
    if q.type.rank != 3:
        ctx.fail(f"expected a query of three dims, got {q.type}")
    if ctx.has(1):
        k, v = ctx.value(1), ctx.value(2)
    else:
        width = q.type.shape[-1] // (heads + 2 * groups)
        q, k, v = parts_of(ctx, q, [heads * width, groups * width, groups * width])
    return cut_heads(ctx, q, heads), cut_heads(ctx, k, groups), cut_heads(ctx, v, groups)


def _turn(ctx: Context, past: Value, q: Value, k: Value) -> tuple[Value, Value]:
    """Both turned by their positions."""
    batch, _, sequence, _ = q.type.shape
    positions = ctx.optional(9)
    if positions is None:
        row = ctx.builder.reshape(past, (batch, 1))
        positions = ctx.emit("add", row, counted(ctx, sequence))
    cos, sin = (ctx.emit("gather", ctx.value(n), positions, axis=0) for n in (7, 8))
    interleaved = bool(ctx.attr("rotary_interleaved", 0))
    return turned(ctx, q, cos, sin, interleaved), turned(ctx, k, cos, sin, interleaved)


def _with_past(ctx: Context, past: Value, k: Value, v: Value) -> tuple[Value, Value]:
    """present_key and present_value: as many rows as the cache has, or as there are keys in all."""
    known, sequence = ctx.known(6), k.type.shape[2]
    if known is None:
        ctx.fail("total_sequence_length is not known in terms of the inputs' sizes")
    (total,) = known.flat
    if not ctx.has(3):
        if not same_dim(total, sequence):
            ctx.fail(f"{total} keys in all, without a past and {sequence} new ones")
        return k, v
    old = ctx.value(3).type.shape[2]
    size = simplify(_larger(old, total))
    pairs = ((3, k), (4, v))
    k, v = (ctx.emit("append_rows", ctx.value(n), x, past, size=size) for n, x in pairs)
    return k, v


def _larger(a: Dim, b: Dim) -> Dim:
    if isinstance(a, int) and isinstance(b, int):
        return max(a, b)
    return maximum(dim_expr(a), dim_expr(b))


@onnx_op("RotaryEmbedding", domain=MICROSOFT)
def rotary_embedding(ctx: Context) -> Value:
    """position_ids: of all tokens, or the first one's, from which they count."""
    if ctx.attr("is_packed_batching", 0) or float(ctx.attr("scale", 1.0)) != 1:
        ctx.fail("is_packed_batching and scale are not supported")
    x, positions = ctx.value(0), ctx.value(1)
    if positions.type.rank == 1:
        sequence = x.type.shape[-2]
        positions = ctx.emit("add", counted(ctx, sequence), ctx.builder.cast(positions, i64))
        positions = ctx.builder.reshape(positions, (1, sequence))
    cos, sin = (ctx.emit("gather", ctx.value(n), positions, axis=0) for n in (2, 3))
    return rotated(ctx, x, cos, sin)
