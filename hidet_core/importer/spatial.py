"""DepthToSpace and SpaceToDepth."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.compute.dims import Dim, simplify
from hidet_core.graph.graph import Value

from .context import Context
from .convolution import count_up
from .registry import onnx_op


def _blocks(ctx: Context, x: Value, split: Sequence[Dim], perm: Sequence[int]) -> Value:
    return ctx.builder.transpose(ctx.builder.reshape(x, [simplify(dim) for dim in split]), perm)


@onnx_op("DepthToSpace")
def depth_to_space(ctx: Context) -> Value:
    x, block = ctx.value(0), int(ctx.attr("blocksize"))
    batch, channels, height, width = x.type.shape
    depth = int(channels) // (block * block)
    if ctx.attr("mode", "DCR") == "DCR":
        split, perm = (batch, block, block, depth, height, width), (0, 3, 4, 1, 5, 2)
    else:
        split, perm = (batch, depth, block, block, height, width), (0, 1, 4, 2, 5, 3)
    shape = (batch, depth, height * block, width * block)
    return ctx.builder.reshape(_blocks(ctx, x, split, perm), shape)


@onnx_op("SpaceToDepth")
def space_to_depth(ctx: Context) -> Value:
    x, block = ctx.value(0), int(ctx.attr("blocksize"))
    batch, channels, height, width = x.type.shape
    rows, columns = simplify(height // block), simplify(width // block)
    for axis, blocks in ((2, rows), (4, columns)):
        x = _split_blocks(ctx, x, axis, blocks, block)
    shape = (batch, channels * block * block, rows, columns)
    order = (0, 1, 3, 5, 2, 4) if ctx.attr("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return ctx.builder.reshape(ctx.builder.transpose(x, order), shape)


def _split_blocks(ctx: Context, x: Value, axis: int, blocks: Dim, block: int) -> Value:
    """[..., blocks * block, ...] -> [..., blocks, block, ...]; a symbolic size is taken to be a
    multiple of the block, as ONNX asks for.
    """
    before, size, after = x.type.shape[:axis], x.type.shape[axis], x.type.shape[axis + 1 :]
    if isinstance(size, int):
        return ctx.builder.reshape(x, (*before, blocks, block, *after))
    first = ctx.builder.reshape(count_up(ctx, blocks, block), (blocks, 1))
    inner = ctx.builder.constant(np.arange(block, dtype=np.int64), "inner")
    return ctx.emit("gather", x, ctx.emit("add", first, inner), axis=axis)
