"""Images read at computed places (GridSample, DeformConv, RoiAlign, ...) and put together (Col2Im,
MaxUnpool)."""

from __future__ import annotations

import numpy as np

from hidet_core.compute.dims import Dim, dim_text, product, same_dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.halves import as_dtype

from .context import Context
from .registry import onnx_op
from .windows import channel_first, channel_last

# GridSample's modes before version 20
OLD_MODES = {"bilinear": "linear", "bicubic": "cubic"}


@onnx_op("GridSample", since=16)
def grid_sample(ctx: Context) -> Value:
    x, grid = ctx.value(0), ctx.value(1)
    mode, padding = ctx.attr("mode", "linear"), ctx.attr("padding_mode", "zeros")
    mode = OLD_MODES.get(mode, mode)
    if mode not in ("nearest", "linear", "cubic"):
        ctx.fail(f"mode {mode!r} is unknown")
    if padding not in ("zeros", "border", "reflection"):
        ctx.fail(f"padding_mode {padding!r} is unknown")
    aligned = bool(ctx.attr("align_corners", 0))
    return ctx.emit("grid_sample", x, grid, mode=mode, padding=padding, align_corners=aligned)


@onnx_op("AffineGrid", since=20)
def affine_grid(ctx: Context) -> Value:
    theta, sizes = ctx.value(0), ctx.dims(1, "size")
    if not same_dim(theta.type.shape[0], sizes[0]):
        ctx.fail(f"size has a batch of {dim_text(sizes[0])}, theta is {theta.type}")
    aligned = bool(ctx.attr("align_corners", 0))
    return ctx.emit("affine_grid", theta, sizes=sizes[2:], align_corners=aligned)


@onnx_op("Col2Im", since=18)
def col2im(ctx: Context) -> Value:
    x, image, kernel = ctx.value(0), ctx.dims(1, "image_shape"), ctx.ints(2, "block_shape")
    count = len(image)
    strides = ctx.int_list("strides", [1] * count)
    dilations = ctx.int_list("dilations", [1] * count)
    pads = ctx.int_list("pads", [0] * (2 * count))
    if {len(kernel), len(strides), len(dilations)} != {count} or len(pads) != 2 * count:
        ctx.fail(f"attributes do not fit {count} axes of an image")
    blocks: list[Dim] = [
        simplify(
            (size + pads[k] + pads[k + count] - (kernel[k] - 1) * dilations[k] - 1) // strides[k]
            + 1
        )
        for k, size in enumerate(image)
    ]
    return ctx.emit(
        "col2im",
        x,
        image=image,
        kernel=kernel,
        strides=tuple(strides),
        pads=tuple(pads),
        dilations=tuple(dilations),
        blocks=tuple(blocks),
    )


@onnx_op("DeformConv", since=19)
def deform_conv(ctx: Context) -> Value:
    """The elements that are read become the rows of a matrix."""
    x, w, offset = (ctx.value(place) for place in range(3))
    if x.type.rank != 4 or not w.type.is_static or not isinstance(x.type.shape[1], int):
        ctx.fail(f"expected an image with known channels and weights, got {x.type}, {w.type}")
    out, per_group, rows, columns = (int(n) for n in w.type.shape)
    groups, parts = int(ctx.attr("group", 1)), int(ctx.attr("offset_group", 1))
    batch, _, *places = offset.type.shape
    taps = (batch, parts, rows, columns)
    inputs = [channel_last(ctx, x), ctx.builder.reshape(offset, (*taps, 2, *places))]
    if ctx.has(4):
        inputs.append(ctx.builder.reshape(ctx.value(4), (*taps, *places)))
    read = ctx.emit(
        "deform_columns",
        *inputs,
        strides=tuple(ctx.int_list("strides", [1, 1])),
        pads=tuple(ctx.int_list("pads", [0] * 4)),
        dilations=tuple(ctx.int_list("dilations", [1, 1])),
    )
    split = (batch, *places, rows * columns, groups, per_group)
    read = ctx.builder.transpose(ctx.builder.reshape(read, split), (4, 0, 1, 2, 3, 5))
    depth = rows * columns * per_group
    matrix = ctx.builder.reshape(read, (groups, product((batch, *places)), depth))
    weights = ctx.builder.reshape(w, (groups, out // groups, per_group, rows * columns))
    weights = ctx.builder.transpose(weights, (0, 3, 2, 1))
    weights = ctx.builder.reshape(weights, (groups, depth, out // groups))
    y = ctx.emit("matmul", matrix, weights)
    y = ctx.builder.reshape(y, (groups, batch, *places, out // groups))
    y = ctx.builder.reshape(ctx.builder.transpose(y, (1, 2, 3, 0, 4)), (batch, *places, out))
    y = ctx.emit("add", y, ctx.value(3)) if ctx.has(3) else y
    return channel_first(ctx, y)


@onnx_op("RoiAlign", since=10)
def roi_align(ctx: Context) -> Value:
    """Before version 16 regions are not shifted by half an element."""
    samples, mode = int(ctx.attr("sampling_ratio", 0)), ctx.attr("mode", "avg")
    if samples < 1:
        ctx.fail("sampling_ratio 0: the number of samples depends on the regions")
    if mode not in ("avg", "max"):
        ctx.fail(f"mode {mode!r} is unknown")
    default = "output_half_pixel" if ctx.version < 16 else "half_pixel"
    half_pixel = ctx.attr("coordinate_transformation_mode", default) == "half_pixel"
    return ctx.emit(
        "roi_align",
        *(ctx.value(place) for place in range(3)),
        mode=mode,
        out=(int(ctx.attr("output_height", 1)), int(ctx.attr("output_width", 1))),
        samples=samples,
        scale=float(ctx.attr("spatial_scale", 1.0)),
        half_pixel=half_pixel,
    )


@onnx_op("MaxRoiPool")
def max_roi_pool(ctx: Context) -> Value:
    return ctx.emit(
        "max_roi_pool",
        ctx.value(0),
        ctx.value(1),
        out=tuple(ctx.int_list("pooled_shape", [])),
        scale=float(ctx.attr("spatial_scale", 1.0)),
    )


@onnx_op("MaxUnpool", since=9)
def max_unpool(ctx: Context) -> Value:
    """Maxima at their positions (of MaxPool) in zeros."""
    x, positions = ctx.value(0), ctx.value(1)
    shape = ctx.dims(2, "output_shape") if ctx.has(2) else _unpooled(ctx, x)
    size, count = product(shape), product(x.type.shape)
    if not same_dim(count, product(positions.type.shape)) or len(shape) != x.type.rank:
        ctx.fail(f"positions of {positions.type} do not fit {x.type}")
    zero = ctx.builder.constant(as_dtype(np.zeros(()), x.type.dtype), "zero")
    flat = [ctx.builder.reshape(value, (count,)) for value in (positions, x)]
    zeros = ctx.builder.broadcast_to(zero, (size,))
    y = ctx.emit("scatter_elements", zeros, *flat, axis=0, op="none")
    return ctx.builder.reshape(y, shape)


def _unpooled(ctx: Context, x: Value) -> tuple[Dim, ...]:
    """The shape of the least image whose pool has the shape of x."""
    batch, channels, *sizes = x.type.shape
    kernel, count = ctx.int_list("kernel_shape", []), len(sizes)
    strides, pads = ctx.int_list("strides", [1] * count), ctx.int_list("pads", [0] * (2 * count))
    if not len(kernel) == len(strides) == count or len(pads) != 2 * count:
        ctx.fail(f"attributes do not fit {x.type}")
    around = [pads[k] + pads[k + count] for k in range(count)]
    grown = [
        simplify((size - 1) * strides[k] + kernel[k] - around[k]) for k, size in enumerate(sizes)
    ]
    return (batch, channels, *grown)
