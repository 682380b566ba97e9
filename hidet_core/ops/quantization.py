"""Affine quantisation, element by element: integers q stand for (q - zero) * scale.

quantize(x, scale, zero): round half to even, saturate; the dtype of `zero` is the result's.
dequantize(q, scale, zero): the dtype of `scale` is the result's. Scales and zero points broadcast
as any operand does (ONNX, QuantizeLinear and DequantizeLinear; an axis or blocks are made dims by
the importer). Computed in f32, integers in i32.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.ir.dtypes import DType, f32, i32
from hidet_core.ir.expr import Expr, cast, select, unary
from hidet_core.ir.widen import narrowed

from .elementwise import elementwise
from .registry import Attrs, Types

QUANTIZED = ("u8", "i8", "u16", "i16", "i32")
WIDEST = 16  # bits of what can be quantised to: f32 holds all of its values


def limits(dtype: DType) -> tuple[int, int]:
    """The least and the greatest value of an integer dtype."""
    if dtype.kind == "u":
        return 0, (1 << dtype.bits) - 1
    return -(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1


def _quantize(attrs: Attrs, x: Expr, scale: Expr, zero: Expr) -> Expr:
    """Saturated before it is rounded, so that the float fits an integer; NaN becomes the least."""
    low, high = limits(zero.dtype)
    origin = cast(zero, i32)
    least, most = cast(low - origin, f32), cast(high - origin, f32)
    ratio = cast(x, f32) / cast(scale, f32)
    kept = select(ratio > least, ratio, least)
    kept = select(kept < most, kept, most)
    return cast(cast(unary("round", kept), i32) + origin, zero.dtype)


def _quantize_dtype(types: Types, attrs: Attrs) -> DType:
    x, scale, zero = types
    is_target = zero.dtype.name in QUANTIZED and zero.dtype.bits <= WIDEST
    if not (x.dtype.is_float or x.dtype == i32) or not scale.dtype.is_float or not is_target:
        raise Unsupported(
            "quantize",
            f"expected floats and a zero point of 8 or 16 bits, got {x}, {scale}, {zero}",
        )
    return zero.dtype


def _dequantize(attrs: Attrs, q: Expr, scale: Expr, zero: Expr) -> Expr:
    whole = cast(q, i32) - cast(zero, i32)
    return narrowed(cast(whole, f32) * cast(scale, f32), scale.dtype)


def _dequantize_dtype(types: Types, attrs: Attrs) -> DType:
    q, scale, zero = types
    if q.dtype.name not in QUANTIZED or zero.dtype != q.dtype or not scale.dtype.is_float:
        raise Unsupported(
            "dequantize", f"expected integers, a float scale and a zero point of the integers' "
            f"dtype, got {q}, {scale} and {zero}"
        )  # fmt: skip
    return scale.dtype


elementwise("quantize", _quantize, _quantize_dtype)
elementwise("dequantize", _dequantize, _dequantize_dtype)
