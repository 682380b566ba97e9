"""Resize and Upsample (nearest, linear), DepthToSpace and SpaceToDepth.

Every axis is resized on its own. Nearest picks by a table of positions made here, or repeats each
element where that is the same; linear blends two picks. Coordinates are float32, as in ONNX
Runtime.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.compute.dims import Dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import f32, f64
from hidet_core.ir.halves import as_dtype

from .context import Context
from .registry import onnx_op

# nearest modes for which a whole scale means repeating each element
REPEATING = {
    ("asymmetric", "floor"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}


@onnx_op("Upsample", since=7)
def upsample_7(ctx: Context) -> Value:
    return _resize(ctx, [float(s) for s in ctx.attr("scales")], None, "asymmetric", "floor")


@onnx_op("Upsample", since=9)
@onnx_op("Resize", since=10)
def resize_10(ctx: Context) -> Value:
    scales = ctx.constant(1, "scales").astype(np.float32).tolist()
    return _resize(ctx, scales, None, "asymmetric", "floor")


@onnx_op("Resize", since=11)
def resize_11(ctx: Context) -> Value:
    rank = ctx.value(0).type.rank
    for name in ("antialias", "exclude_outside"):
        if ctx.attr(name, 0):
            ctx.fail(f"attribute {name} is not supported")
    if ctx.attr("keep_aspect_ratio_policy", "stretch") != "stretch":
        ctx.fail("keep_aspect_ratio_policy is not supported")
    axes = [ctx.normal_axis(a, rank) for a in ctx.int_list("axes", range(rank))]
    scales = ctx.constant(2, "scales").tolist() if ctx.has(2) else []
    sizes = list(ctx.ints(3, "sizes")) if ctx.has(3) else []
    full_scales, full_sizes = [1.0] * rank, list(ctx.value(0).type.shape)
    for k, axis in enumerate(axes):
        if len(scales):
            full_scales[axis] = scales[k]
        else:
            full_sizes[axis] = sizes[k]
    transform = ctx.attr("coordinate_transformation_mode", "half_pixel")
    rounding = ctx.attr("nearest_mode", "round_prefer_floor")
    return _resize(
        ctx,
        full_scales if len(scales) else None,
        full_sizes if sizes else None,
        transform,
        rounding,
    )


def _resize(
    ctx: Context,
    scales: Sequence[float] | None,
    sizes: Sequence[Dim] | None,
    transform: str,
    rounding: str,
) -> Value:
    x, mode = ctx.value(0), ctx.attr("mode", "nearest")
    if mode not in ("nearest", "linear"):
        ctx.fail(f"mode {mode!r} is not supported")
    for axis in range(x.type.rank):
        size = x.type.shape[axis]
        if scales is not None and scales[axis] == 1:
            continue
        if (sizes is not None and sizes[axis] is size) or (sizes is None and scales is None):
            continue
        scale = None if scales is None else scales[axis]
        if scale is not None and mode == "nearest" and (transform, rounding) in REPEATING:
            if scale == int(scale):
                factors = [int(scale) if k == axis else 1 for k in range(x.type.rank)]
                x = ctx.emit("upsample", x, scales=tuple(factors))
                continue
        if not isinstance(size, int):
            ctx.fail(f"axis {axis} of {x.type} is symbolic")
        out = int(np.floor(np.float32(size) * np.float32(scale))) if scale else int(sizes[axis])
        at = _coordinates(ctx, size, out, scale, transform)
        pick = _nearest if mode == "nearest" else _linear
        x = pick(ctx, x, axis, at, rounding)
    return x


def _coordinates(
    ctx: Context, size: int, out: int, scale: float | None, transform: str
) -> np.ndarray:
    """Where in the input each output position lies."""
    ratio = np.float32(scale if scale is not None else np.float32(out) / np.float32(size))
    at, half = np.arange(out, dtype=np.float32), np.float32(0.5)
    match transform:
        case "asymmetric":
            return at / ratio
        case "pytorch_half_pixel" if out == 1:
            return np.zeros(1, np.float32)
        case "half_pixel" | "pytorch_half_pixel":
            return (at + half) / ratio - half
        case "align_corners":
            return at * np.float32(size - 1) / np.float32(max(out - 1, 1))
        case "half_pixel_symmetric":
            adjust = np.float32(out) / (ratio * np.float32(size))
            offset = np.float32(size) / 2 * (1 - adjust)
            return offset + (at + half) / ratio - half
    return ctx.fail(f"coordinate_transformation_mode {transform!r} is not supported")


def _nearest(ctx: Context, x: Value, axis: int, at: np.ndarray, rounding: str) -> Value:
    match rounding:
        case "floor":
            picked = np.floor(at)
        case "ceil":
            picked = np.ceil(at)
        case "round_prefer_ceil":
            picked = np.floor(at + np.float32(0.5))
        case _:
            picked = np.ceil(at - np.float32(0.5))
    size = int(x.type.shape[axis])
    table = np.clip(picked.astype(np.int64), 0, size - 1)
    factor = len(table) // size
    if factor * size == len(table) and (table == np.arange(len(table)) // max(factor, 1)).all():
        scales = tuple(factor if k == axis else 1 for k in range(x.type.rank))
        return ctx.emit("upsample", x, scales=scales)
    return ctx.emit("gather", x, ctx.builder.constant(table, "positions"), axis=axis)


def _linear(ctx: Context, x: Value, axis: int, at: np.ndarray, rounding: str) -> Value:
    size = int(x.type.shape[axis])
    at = np.clip(at, 0, size - 1)
    low = np.floor(at).astype(np.int64)
    high = np.minimum(low + 1, size - 1)
    weight = (at - low).astype(f64.numpy if x.type.dtype == f64 else f32.numpy)
    shape = [1] * x.type.rank
    shape[axis] = len(at)
    picks = [
        ctx.emit("gather", x, ctx.builder.constant(table, "positions"), axis=axis)
        for table in (low, high)
    ]
    weights = [
        ctx.builder.constant(as_dtype(w.reshape(shape), x.type.dtype), "weights")
        for w in (1 - weight, weight)
    ]
    parts = [ctx.emit("mul", pick, w) for pick, w in zip(picks, weights, strict=True)]
    return ctx.emit("add", *parts)


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
    if not isinstance(height, int) or not isinstance(width, int):
        ctx.fail(f"{x.type} has symbolic spatial dims")
    rows, columns = height // block, width // block
    split = (batch, channels, rows, block, columns, block)
    shape = (batch, channels * block * block, rows, columns)
    order = (0, 1, 3, 5, 2, 4) if ctx.attr("mode", "DCR") == "CRD" else (0, 3, 5, 1, 2, 4)
    return ctx.builder.reshape(_blocks(ctx, x, split, order), shape)
