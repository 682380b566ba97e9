"""Rotary position embedding (Su et al., 2021: RoFormer) of the nodes of all domains."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .attending import cut_heads, join_heads
from .context import Context


def rotated(ctx: Context, x: Value, cos: Value, sin: Value) -> Value:
    """The node's input turned; x: [batch, heads, sequence, width] or with heads joined; cos, sin:
    [batch or 1, sequence, n], n the half of what is turned of a head.
    """
    width = int(ctx.attr("rotary_embedding_dim", 0))
    is_flat = x.type.rank == 3
    if is_flat:
        heads = int(ctx.attr("num_heads", 0))
        if heads < 1 and width:
            ctx.fail("num_heads is needed for heads that are turned in part")
        hidden, half = x.type.shape[-1], cos.type.shape[-1]
        heads = heads or hidden // (2 * half)
        x = cut_heads(ctx, x, heads)
    y = turned(ctx, x, cos, sin, bool(ctx.attr("interleaved", 0)))
    return join_heads(ctx, y) if is_flat else y


def turned(ctx: Context, x: Value, cos: Value, sin: Value, interleaved: bool) -> Value:
    """x: [batch, heads, sequence, width]; cos, sin: [batch or 1, sequence, n]."""
    half = cos.type.shape[-1]
    if not isinstance(half, int) or not isinstance(x.type.shape[-1], int):
        ctx.fail(f"widths of {x.type} and {cos.type} are not constant")
    over_heads = [
        ctx.builder.reshape(part, (*part.type.shape[:-2], 1, *part.type.shape[-2:]))
        for part in (cos, sin)
    ]
    return ctx.emit("rotary", x, *over_heads, interleaved=interleaved)
