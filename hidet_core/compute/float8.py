"""Floats of 8 bits: what their bits mean in f32, and the nearest of them to a f32.

The four formats of "FP8 Formats for Deep Learning" (Micikevicius et al., 2022) and "8-bit Numerical
Formats for Deep Neural Networks" (Noune et al., 2022), with ONNX's rules for Cast. They are types
of storage: nothing is computed in them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from hidet_core.ir.dtypes import DType, f32, u8, u32
from hidet_core.ir.expr import Const, Expr, binary, cast, eq, select, unary

F32_MANTISSA, F32_BIAS = 23, 127
SIGN = 0x80


@dataclass(frozen=True)
class Format:
    """mantissa: bits; largest: the bits of the largest number; infinity, nan: bits, None where
    there is no infinity. unsigned_zero: the bits of -0 are those of NaN.
    """

    mantissa: int
    bias: int
    largest: int
    infinity: int | None
    nan: int
    unsigned_zero: bool = False


FORMATS = {
    "f8e4m3fn": Format(3, 7, 0x7E, None, 0x7F),
    "f8e4m3fnuz": Format(3, 8, 0x7F, None, 0x80, True),
    "f8e5m2": Format(2, 15, 0x7B, 0x7C, 0x7F),
    "f8e5m2fnuz": Format(2, 16, 0x7F, None, 0x80, True),
}


def _number(value: int) -> Const:
    return Const(value, u32)


def decoded(a: Expr) -> Expr:
    """A float of 8 bits as f32, exactly."""
    form = FORMATS[a.dtype.scalar.name]
    byte = cast(unary("bits_u8", a), u32)
    size = binary("and", byte, _number(SIGN - 1))
    shift = F32_MANTISSA - form.mantissa
    rebias = (F32_BIAS - form.bias) << F32_MANTISSA
    normal = unary("bits_f32", binary("shl", size, _number(shift)) + _number(rebias))
    tiny = cast(size, f32) * 2.0 ** (1 - form.bias - form.mantissa)
    value = select(size < 1 << form.mantissa, tiny, normal)
    if form.infinity is not None:
        value = select(eq(size, form.infinity), Const(math.inf, f32), value)
    value = select(byte >= SIGN, -value, value)
    is_nan = eq(byte, form.nan) if form.unsigned_zero else size > (form.infinity or form.largest)
    return select(is_nan, Const(math.nan, f32), value)


def encoded(a: Expr, to: DType, saturate: bool) -> Expr:
    """A f32 as the nearest float of 8 bits, ties to even. What is beyond the largest number becomes
    it (saturate), or infinity or NaN.
    """
    form = FORMATS[to.scalar.name]
    bits = unary("bits_u32", a)
    size = binary("and", bits, _number(0x7FFFFFFF))
    code = _rounded(a, size, form)
    beyond = form.nan if form.infinity is None else form.infinity
    code = select(code > form.largest, _number(form.largest if saturate else beyond), code)
    sign = binary("and", binary("shr", bits, _number(24)), _number(SIGN))
    if form.unsigned_zero:
        sign = select(eq(code, 0), _number(0), sign)
    code = select(unary("isnan", a), _number(form.nan), code)
    return unary(f"bits_{to.scalar.name}", cast(binary("or", code, sign), u8))


def _rounded(a: Expr, size: Expr, form: Format) -> Expr:
    """The bits of |a| without regard to the largest number, as u32."""
    shift = F32_MANTISSA - form.mantissa
    odd = binary("and", binary("shr", size, _number(shift)), _number(1))
    nearest = binary("shr", size + _number((1 << shift - 1) - 1) + odd, _number(shift))
    normal = nearest - _number((F32_BIAS - form.bias) << form.mantissa)
    # below the least normal number steps are equal; the largest tiny one rounds up to it
    steps = unary("round", unary("abs", a) * 2.0 ** (form.bias - 1 + form.mantissa))
    is_tiny = size < (F32_BIAS + 1 - form.bias) << F32_MANTISSA
    return select(is_tiny, cast(select(is_tiny, steps, 0.0), u32), normal)
