"""Attention and RotaryEmbedding of ai.onnx."""

from __future__ import annotations

import math
from dataclasses import replace

from hidet_core.compute.dims import Dim, is_cut_of, same_dim
from hidet_core.graph.graph import Value

from .attending import (
    Call,
    Stages,
    attend,
    cut_heads,
    join_heads,
    joined,
    number_of,
    per_batch,
    shorter_than,
    spell_out,
    wants,
    with_causal,
    with_left,
)
from .context import Context
from .registry import onnx_op
from .rotary import rotated

QK_MODES = ("raw", "capped", "masked", "weights")


@onnx_op("Attention", since=23)
def attention(ctx: Context) -> tuple[Value | None, ...]:
    """Y, present_key, present_value and the scores after one of four steps."""
    q, k, v = (ctx.value(place) for place in range(3))
    is_flat = q.type.rank == 3
    if is_flat:
        heads, groups = int(ctx.attr("q_num_heads", 0)), int(ctx.attr("kv_num_heads", 0))
        q, k, v = cut_heads(ctx, q, heads), cut_heads(ctx, k, groups), cut_heads(ctx, v, groups)
    if any(x.type.rank != 4 for x in (q, k, v)):
        ctx.fail(f"expected 3 or 4 dims, got {q.type}, {k.type} and {v.type}")
    past: Dim | Value = 0
    if ctx.has(4):
        past = ctx.value(4).type.shape[2]
        k, v = (joined(ctx, (ctx.value(n), x), 2) for n, x in ((4, k), (5, v)))
    width = q.type.shape[-1]
    scale = float(ctx.attr("scale") or 1 / math.sqrt(width))
    call = Call(q, k, v, scale, softcap=float(ctx.attr("softcap", 0.0)))
    call = _with_mask(ctx, call) if ctx.has(3) else call
    if ctx.has(6):
        lengths = per_batch(ctx, ctx.value(6))
        call = replace(call, kept=(*call.kept, shorter_than(ctx, call.sides[1], lengths)))
        if not ctx.has(4):
            past = ctx.emit("sub", lengths, number_of(ctx, call.sides[0]))
    call = _with_order(ctx, call, past)
    scores = None
    if wants(ctx, 3):
        stages = spell_out(ctx, call)
        y, scores = stages.result, _scores(ctx, stages)
    else:
        y = attend(ctx, call)
    return join_heads(ctx, y) if is_flat else y, k, v, scores


def _scores(ctx: Context, stages: Stages) -> Value:
    mode = int(ctx.attr("qk_matmul_output_mode", 0))
    if mode not in range(len(QK_MODES)):
        ctx.fail(f"qk_matmul_output_mode is {mode}, expected 0 to 3")
    return getattr(stages, QK_MODES[mode])


def _with_order(ctx: Context, call: Call, past: Dim | Value) -> Call:
    """is_causal, and the windows of version 25."""
    if ctx.attr("is_causal", 0):
        call = with_causal(ctx, call, past)
    left, right = (int(ctx.attr(f"{side}_window_size", -1)) for side in ("left", "right"))
    if right >= 0 and not (right == 0 and ctx.attr("is_causal", 0)):
        call = with_causal(ctx, call, past, right)
    return with_left(ctx, call, past, left) if left >= 0 else call


def _with_mask(ctx: Context, call: Call) -> Call:
    """attn_mask; keys beyond its end are not seen."""
    mask, keys = ctx.value(3), call.sides[1]
    size = mask.type.shape[-1]
    if isinstance(size, int) and isinstance(keys, int) and 1 < size < keys:
        after = (*(0,) * (mask.type.rank - 1), keys - size)
        value = False if mask.type.dtype.is_bool else -math.inf
        before = (0,) * mask.type.rank
        mask = ctx.emit("pad", mask, before=before, after=after, mode="constant", value=value)
    elif size != 1 and not same_dim(size, keys) and not is_cut_of(size, keys):
        ctx.fail(f"a mask of {mask.type} for {keys} keys")
    if mask.type.dtype.is_bool:
        return replace(call, kept=(mask,))
    return replace(call, added=(mask,))


@onnx_op("RotaryEmbedding", since=23)
def rotary_embedding(ctx: Context) -> Value:
    """Rows of the caches by position, or as they are, [batch, sequence, width / 2]."""
    positions = ctx.optional(3)
    caches = [ctx.value(place) for place in (1, 2)]
    if positions is not None:
        caches = [ctx.emit("gather", cache, positions, axis=0) for cache in caches]
    return rotated(ctx, ctx.value(0), caches[0], caches[1])
