"""Resampling along an axis: where output positions lie in the input, and weighted sums of elements.

coordinates attrs: size, out (dims), scale (float, None: out / size), transform (ONNX's names),
region (start, end; of tf_crop_and_resize): f32[out].  resample(x, p0, w0, p1, w1, ...) attrs: axis:
the sum over k of x at p_k[o] along the axis, times w_k[o]; p_k i64[out] inside x, w_k floats.
resample_long(x, p[K, out], w[K, out]) attrs: axis: the same with many terms. Sums are f32 (f64).
"""

from __future__ import annotations

from typing import Any

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import dim_expr
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Expr, cast, eq, load, maximum, minimum, select
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .registry import Attrs, Types, operator

TRANSFORMS = (
    "asymmetric", "half_pixel", "pytorch_half_pixel", "align_corners", "half_pixel_symmetric",
    "tf_half_pixel_for_nn", "tf_crop_and_resize",
)  # fmt: skip


def original_position(
    transform: str, at: Any, sizes: tuple[Any, Any], ratio: Any, region: tuple[Any, Any]
) -> Any:
    """Where output position `at` lies in the input, more than one output position given (see
    `ONNX, operator Resize`). sizes: of the input and the output; expressions or NumPy's float32.
    """
    size, out = sizes
    match transform:
        case "asymmetric":
            return at / ratio
        case "tf_half_pixel_for_nn":
            return (at + 0.5) / ratio
        case "align_corners":
            return at * (size - 1) / (out - 1)
        case "half_pixel_symmetric":
            offset = size / 2 * (1 - out / (ratio * size))
            return offset + (at + 0.5) / ratio - 0.5
        case "tf_crop_and_resize":
            start, end = region
            return start * (size - 1) + at * (end - start) * (size - 1) / (out - 1)
    return (at + 0.5) / ratio - 0.5


def only_position(transform: str, size: Any, region: tuple[Any, Any]) -> Any:
    """Where the only output position lies, None where it is not special."""
    if transform in ("pytorch_half_pixel", "align_corners"):
        return size * 0
    if transform == "tf_crop_and_resize":
        return (region[0] + region[1]) * 0.5 * (size - 1)
    return None


def _define_coordinates(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    size, count = (cast(dim_expr(attrs[name]), f32) for name in ("size", "out"))
    transform, region = attrs["transform"], attrs["region"]
    ratio = count / size if attrs["scale"] is None else attrs["scale"]
    only = only_position(transform, size, region)
    many = count if only is None else maximum(count, 2.0)

    def value(at: Expr) -> Expr:
        place = original_position(transform, cast(at, f32), (size, many), ratio, region)
        return place if only is None else select(eq(count, 1.0), only, place)

    return (compute("coordinates", f32, out.shape, value),)


operator(
    "coordinates",
    "injective",
    lambda types, attrs: tensor_type(f32, (attrs["out"],)),
    _define_coordinates,
)


def _infer(types: Types, attrs: Attrs) -> TensorType:
    x, axis = types[0], attrs["axis"]
    if not x.dtype.is_float:
        raise Unsupported("resample", f"expected floats, got {x}")
    return tensor_type(x.dtype, (*x.shape[:axis], types[1].shape[-1], *x.shape[axis + 1 :]))


def _clamped(at: Expr, x: Buffer, axis: int) -> Expr:
    return minimum(maximum(at, 0), dim_expr(x.shape[axis]) - 1)


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    x, axis = inputs[0], attrs["axis"]
    wide = wide_type(x.dtype)

    def value(*axes: Expr) -> Expr:
        def term(k: int) -> Expr:
            at = _clamped(load(inputs[k], axes[axis]), x, axis)
            element = wide_load(x, *axes[:axis], at, *axes[axis + 1 :])
            return element * cast(load(inputs[k + 1], axes[axis]), wide)

        total = term(1)
        for k in range(3, len(inputs), 2):
            total = total + term(k)
        return narrowed(total, out.dtype)

    return (compute("resample", out.dtype, out.shape, value),)


operator("resample", "injective", _infer, _define)


def _define_long(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, positions, weights = inputs
    axis, wide = attrs["axis"], wide_type(x.dtype)

    def value(*axes: Expr) -> Expr:
        def term(k: Expr) -> Expr:
            at = _clamped(load(positions, k, axes[axis]), x, axis)
            element = wide_load(x, *axes[:axis], at, *axes[axis + 1 :])
            return element * cast(load(weights, k, axes[axis]), wide)

        return narrowed(reduce_over("sum", positions.shape[:1], term), out.dtype)

    return (compute("resample_long", out.dtype, out.shape, value),)


operator("resample_long", "reduce", _infer, _define_long)
