"""Normalisation of sums: SkipLayerNormalization and its kin, EmbedLayerNormalization."""

from __future__ import annotations

from hidet_core.compute.dims import Dim
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import f32, i32, i64

from .attending import wants
from .context import Context
from .normalisation import normalise_rows
from .registry import MICROSOFT, onnx_op


def _sum(ctx: Context, bias: int) -> Value:
    """x + skip [+ bias], not rounded where x is 16 bits wide."""
    total = ctx.emit("add", ctx.wide(ctx.value(0)), ctx.wide(ctx.value(1)))
    return ctx.emit("add", total, ctx.wide(ctx.value(bias))) if ctx.has(bias) else total


def _statistics(ctx: Context, total: Value, centred: bool) -> tuple[Value | None, Value | None]:
    """The mean of each row and 1 over its deviation, f32 [.., 1], where they are used."""
    if not wants(ctx, 1) and not wants(ctx, 2):
        return None, None
    axes = (total.type.rank - 1,)
    mean = ctx.emit("reduce", total, op="mean", axes=axes, keepdims=True)
    apart = ctx.emit("sub", total, mean) if centred else total
    square = ctx.emit("mul", apart, apart)
    spread = ctx.emit("reduce", square, op="mean", axes=axes, keepdims=True)
    spread = ctx.emit("add", spread, ctx.scalar(float(ctx.attr("epsilon", 1e-12)), spread))
    inverse = ctx.emit("recip", ctx.emit("sqrt", spread))
    return ctx.builder.cast(mean, f32), ctx.builder.cast(inverse, f32)


@onnx_op("SkipLayerNormalization", domain=MICROSOFT)
def skip_layer_normalization(ctx: Context) -> tuple[Value | None, ...]:
    """layer_norm(x + skip [+ bias]), its statistics, the sum."""
    total = _sum(ctx, 4)
    statistics = _statistics(ctx, total, centred=True)
    total = ctx.builder.cast(total, ctx.value(0).type.dtype)
    vectors = [ctx.value(2)] + ([ctx.value(3)] if ctx.has(3) else [])
    y = normalise_rows(ctx, "layer_norm", total, vectors, total.type.rank - 1, 1e-12)
    return y, *statistics, total


@onnx_op("SkipSimplifiedLayerNormalization", domain=MICROSOFT)
def skip_simplified_layer_normalization(ctx: Context) -> tuple[Value | None, ...]:
    """rms_norm(x + skip [+ bias]), 1 over the root of the mean square, the sum; there is no mean
    (ONNX Runtime gives zeros).
    """
    total = _sum(ctx, 3)
    _, inverse = _statistics(ctx, total, centred=False)
    total = ctx.builder.cast(total, ctx.value(0).type.dtype)
    y = normalise_rows(ctx, "rms_norm", total, [ctx.value(2)], total.type.rank - 1, 1e-12)
    return y, None, inverse, total


@onnx_op("EmbedLayerNormalization", domain=MICROSOFT)
def embed_layer_normalization(ctx: Context) -> tuple[Value | None, ...]:
    """layer_norm of words + positions [+ segments]; how many tokens the mask has; that sum."""
    ids = ctx.value(0)
    batch, sequence = ids.type.shape
    positions = ctx.optional(8)
    total = ctx.emit("gather", ctx.value(2), ids, axis=0)
    total = ctx.emit("add", total, _positions(ctx, positions, sequence))
    if ctx.has(1) and ctx.has(4):
        total = ctx.emit("add", total, ctx.emit("gather", ctx.value(4), ctx.value(1), axis=0))
    y = normalise_rows(ctx, "layer_norm", total, [ctx.value(5), ctx.value(6)], 2, 1e-12)
    count = _tokens(ctx, batch) if wants(ctx, 1) else None
    return y, count, total


def _positions(ctx: Context, positions: Value | None, sequence: Dim) -> Value:
    """Rows of the table by position: the first ones where no positions are given."""
    table = ctx.value(3)
    if positions is not None:
        return ctx.emit("gather", table, positions, axis=0)
    sizes = (sequence, table.type.shape[1])
    return ctx.emit("slice", table, starts=(0, 0), steps=(1, 1), sizes=sizes)


def _tokens(ctx: Context, batch: Dim) -> Value:
    """mask_index: the number of tokens in each row of the mask."""
    if not ctx.has(7):
        zero = ctx.emit("range", start=0, step=0, size=1, dtype=i64)
        return ctx.builder.cast(ctx.builder.broadcast_to(zero, (batch,)), i32)
    mask = ctx.value(7)
    ones = ctx.builder.cast(ctx.emit("eq", mask, ctx.scalar(1, mask)), i32)
    return ctx.emit("reduce", ones, op="sum", axes=(1,), keepdims=False)
