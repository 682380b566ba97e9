"""Values of regions of an image, and images put together from blocks.

roi_align(x[N, C, H, W], regions[R, 4], batch[R]) attrs: mode avg | max, out (2), samples (per bin
and axis), scale, half_pixel: [R, C, *out] (He et al., ICCV'17; regions are x1, y1, x2, y2).
max_roi_pool(x[N, C, H, W], regions[R, 5]) attrs: out (2), scale: the same of maxima of whole
elements; a region begins with its batch (Girshick, ICCV'15).  col2im(x[N, C * taps, blocks]) attrs:
image (dims), kernel, strides, pads, dilations, blocks (dims): [N, C, *image], the sum of all blocks
at their places.
"""

from __future__ import annotations

from functools import reduce
from math import prod

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import dim_expr, exact_div, product, same_dim
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Expr,
    binary,
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
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .pool import lowest
from .registry import Attrs, Types, operator
from .sampling import Tap, linear_taps, weighted


def _infer_regions(types: Types, attrs: Attrs) -> TensorType:
    x, regions = types[:2]
    columns = 4 if len(types) > 2 else 5
    if x.rank != 4 or regions.rank != 2 or not same_dim(regions.shape[1], columns):
        raise Unsupported("roi", f"regions of {regions} do not fit an image of {x}")
    if x.dtype != regions.dtype or not x.dtype.is_float:
        raise Unsupported("roi", f"expected floats of one dtype, got {x} and {regions}")
    return tensor_type(x.dtype, (regions.shape[0], x.shape[1], *attrs["out"]))


def _image(index: Expr, x: Buffer) -> Expr:
    """The number of an image, inside."""
    return minimum(maximum(index, 0), dim_expr(x.shape[0]) - 1)


def _define_roi_align(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, regions, batch = inputs
    dtype, samples = wide_type(x.dtype), attrs["samples"]
    shift = 0.5 if attrs["half_pixel"] else 0.0

    def taps(region: Expr, axis: int, bin_: Expr, sample: Expr) -> tuple[list[Tap], Expr]:
        """Along H (0) or W (1): the elements of a sample, and whether it is near the image."""
        start, end = (
            wide_load(regions, region, place) * attrs["scale"] - shift
            for place in (1 - axis, 3 - axis)
        )
        length = end - start if attrs["half_pixel"] else maximum(end - start, 1.0)
        part = length * (1.0 / attrs["out"][axis])
        inner = (cast(sample, dtype) + 0.5) * (1.0 / samples)
        at = start + (cast(bin_, dtype) + inner) * part
        size = cast(dim_expr(x.shape[2 + axis]), dtype)
        near = both(at >= -1.0, at <= size)
        return linear_taps(minimum(maximum(at, 0.0), size - 1.0), x.shape[2 + axis]), near

    def value(region: Expr, c: Expr, oh: Expr, ow: Expr) -> Expr:
        image = _image(cast(load(batch, region), i64), x)

        def term(sy: Expr, sx: Expr) -> Expr:
            (rows, near_row), (columns, near_column) = (
                taps(region, 0, oh, sy), taps(region, 1, ow, sx)
            )  # fmt: skip

            def element(y: Expr, z: Expr) -> Expr:
                return wide_load(x, image, c, y, z)

            if attrs["mode"] == "avg":
                found = weighted((rows, columns), element, dtype)
            else:
                corners = [weighted(([row], [column]), element, dtype)
                           for row in rows for column in columns]  # fmt: skip
                found = reduce(maximum, corners)
            return select(both(near_row, near_column), found, Const(0.0, dtype))

        if attrs["mode"] == "avg":
            total = reduce_over("sum", (samples, samples), term) * (1.0 / samples**2)
        else:
            total = reduce_over("max", (samples, samples), term)
        return narrowed(total, out.dtype)

    return (compute("roi_align", out.dtype, out.shape, value),)


operator("roi_align", "reduce", _infer_regions, _define_roi_align)


def _define_max_roi_pool(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, regions = inputs
    dtype = wide_type(x.dtype)

    def corner(region: Expr, place: int) -> Expr:
        at = wide_load(regions, region, place) * attrs["scale"]
        # half away from zero
        whole = unary("floor", unary("abs", at) + 0.5)
        return select(at < 0.0, -whole, whole)

    def bounds(region: Expr, axis: int, bin_: Expr) -> tuple[Expr, Expr]:
        """First and last + 1 element of a bin along H (0) or W (1)."""
        start, end = corner(region, 2 - axis), corner(region, 4 - axis)
        part = maximum(end - start + 1.0, 1.0) / float(attrs["out"][axis])
        first = unary("floor", cast(bin_, dtype) * part) + start
        last = unary("ceil", cast(bin_ + 1, dtype) * part) + start
        size = cast(dim_expr(x.shape[2 + axis]), dtype)
        first, last = (minimum(maximum(at, 0.0), size) for at in (first, last))
        return cast(first, i64), cast(last, i64)

    def value(region: Expr, c: Expr, oh: Expr, ow: Expr) -> Expr:
        image = _image(cast(wide_load(regions, region, 0), i64), x)
        (top, bottom), (left, right) = bounds(region, 0, oh), bounds(region, 1, ow)

        def term(y: Expr, z: Expr) -> Expr:
            inside = both(both(y >= top, y < bottom), both(z >= left, z < right))
            return select(inside, wide_load(x, image, c, y, z), lowest(dtype))

        total = reduce_over("max", x.shape[2:], term)
        is_empty = binary("or", bottom <= top, right <= left)
        return narrowed(select(is_empty, Const(0.0, dtype), total), out.dtype)

    return (compute("max_roi_pool", out.dtype, out.shape, value),)


operator("max_roi_pool", "reduce", _infer_regions, _define_max_roi_pool)


def _infer_col2im(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    taps, blocks = prod(attrs["kernel"]), product(attrs["blocks"])
    channels = exact_div(x.shape[1], taps) if x.rank == 3 else None
    if channels is None or not same_dim(x.shape[2], blocks):
        raise Unsupported("col2im", f"{x} does not hold {blocks} blocks of {taps} taps")
    return tensor_type(x.dtype, (x.shape[0], channels, *attrs["image"]))


def _define_col2im(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (x,) = inputs
    kernel, blocks = attrs["kernel"], [dim_expr(dim) for dim in attrs["blocks"]]

    def value(n: Expr, c: Expr, *place: Expr) -> Expr:
        def term(*taps: Expr) -> Expr:
            tap, block, covers = wrap(0), wrap(0), wrap(True)
            for axis, (at, k) in enumerate(zip(place, taps, strict=True)):
                stride = attrs["strides"][axis]
                offset = at + attrs["pads"][axis] - k * attrs["dilations"][axis]
                number = offset // stride
                there = both(eq(offset % stride, 0), both(number >= 0, number < blocks[axis]))
                covers = both(covers, there)
                tap = tap * kernel[axis] + k
                inside = minimum(maximum(number, 0), blocks[axis] - 1)
                block = block * blocks[axis] + inside
            element = wide_load(x, n, c * prod(kernel) + tap, block)
            return select(covers, element, 0)

        return narrowed(reduce_over("sum", tuple(kernel), term), out.dtype)

    return (compute("col2im", out.dtype, out.shape, value),)


operator("col2im", "reduce", _infer_col2im, _define_col2im)
