"""Arithmetic, comparison, logic and rounding, element by element, with ONNX's meaning.

Integer division truncates; divisors of zero (undefined in ONNX) are replaced so that speculative
evaluation cannot trap. IR max and min propagate NaN, as Max and Min should. `mod` follows the sign
of the divisor, `fmod` that of the dividend.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.float8 import decoded, encoded
from hidet_core.ir.dtypes import BITS, DType, boolean, f32, f64
from hidet_core.ir.expr import Expr, binary, both, cast, eq, maximum, minimum, ne, select, unary

from .elementwise import bool_dtype, elementwise, first_dtype
from .registry import Attrs, Types

UNARY_NAMES = (
    "neg", "abs", "exp", "log", "sqrt", "tanh", "erf", "sin", "cos", "tan", "asin", "acos", "atan",
    "sinh", "cosh", "asinh", "acosh", "atanh", "floor", "ceil", "round", "sign", "sigmoid", "recip",
)  # fmt: skip
_ONLY_FLOAT = {"floor", "ceil", "round"}  # the identity on integers


def _safe_divisor(b: Expr) -> Expr:
    """b, or 1 where an integer division by b could trap (0; -1 with the least integer)."""
    bad = eq(b, 0)
    if b.dtype.kind == "i":
        bad = binary("or", bad, eq(b, -1))
    return select(bad, 1, b)


def truncating_div(a: Expr, b: Expr) -> Expr:
    """The integer quotient rounded towards zero."""
    divisor = _safe_divisor(b)
    floor = a // divisor
    if a.dtype.kind == "u":
        return floor
    inexact = ne(a % divisor, 0)
    differ = ne(a < 0, divisor < 0)
    quotient = select(both(inexact, differ), floor + 1, floor)
    return select(eq(b, -1), -a, quotient)


def _div(attrs: Attrs, a: Expr, b: Expr) -> Expr:
    return truncating_div(a, b) if a.dtype.is_int else a / b


def _mod(attrs: Attrs, a: Expr, b: Expr) -> Expr:
    """The remainder of floor division: it has the divisor's sign."""
    if a.dtype.is_int:
        return a % _safe_divisor(b)
    rest, divisor = _float_remainder(a, b), cast(b, f64)
    differs = both(ne(rest, 0), ne(rest < 0, divisor < 0))
    return cast(select(differs, rest + divisor, rest), a.dtype)


def _fmod(attrs: Attrs, a: Expr, b: Expr) -> Expr:
    """The remainder of truncating division: it has the dividend's sign."""
    if a.dtype.is_int:
        return a - truncating_div(a, b) * b
    return cast(_float_remainder(a, b), a.dtype)


def _float_remainder(a: Expr, b: Expr) -> Expr:
    """fmod in f64; exact while the quotient is below 2 ** 29 (f32) or the product is exact."""
    wide_a, wide_b = cast(a, f64), cast(b, f64)
    rest = wide_a - unary("trunc", wide_a / wide_b) * wide_b
    over = rest * wide_a < 0  # the quotient was rounded up to a whole number
    size = unary("abs", wide_b)
    rest = select(over, rest + select(wide_a < 0, -size, size), rest)
    keeps = both(unary("isinf", b), unary("not", unary("isinf", a)))
    return select(keeps, wide_a, rest)


def _pow(attrs: Attrs, a: Expr, b: Expr) -> Expr:
    if a.dtype.is_float and b.dtype.is_float:
        return binary("pow", a, cast(b, a.dtype))
    if a.dtype.is_float:
        return binary("pow", a, cast(b, a.dtype))
    power = binary("pow", cast(a, f64), cast(b, f64))
    nearest = unary("round", power)  # 9 ** 3 may come out as 728.9999999999999
    is_whole = unary("abs", power - nearest) <= unary("abs", power) * 2.0**-40
    return cast(select(is_whole, nearest, power), a.dtype)


def _where(attrs: Attrs, cond: Expr, a: Expr, b: Expr) -> Expr:
    return select(cond, a, b)


def _where_dtype(types: Types, attrs: Attrs) -> DType:
    if types[0].dtype != boolean or types[1].dtype != types[2].dtype:
        raise Unsupported(
            "where", "expected a bool and two of one dtype, got " + ", ".join(map(str, types))
        )
    return types[1].dtype


def _cast(attrs: Attrs, a: Expr) -> Expr:
    """attrs: to, and of floats of 8 bits saturate (true where it is absent)."""
    to = attrs["to"]
    if a.dtype == to:
        return a
    value = decoded(a) if a.dtype.is_float8 else a
    if to.is_float8:
        return encoded(cast(value, f32), to, attrs.get("saturate", True))
    return cast(value, to)


def _cast_dtype(types: Types, attrs: Attrs) -> DType:
    return attrs["to"]


def _bit_cast(attrs: Attrs, a: Expr) -> Expr:
    return a if a.dtype == attrs["to"] else unary(f"bits_{attrs['to'].name}", a)


def _bit_cast_dtype(types: Types, attrs: Attrs) -> DType:
    to = attrs["to"]
    if types[0].dtype != to and (f"bits_{to.name}" not in BITS or types[0].dtype.bits != to.bits):
        raise Unsupported("bit_cast", f"{types[0]} as {to}")
    return to


def _shift(op: str, a: Expr, b: Expr) -> Expr:
    """Shifts by the width of the type or more, or by a negative number, push all bits out: what is
    left is 0, or the sign of a signed number that is shifted right.
    """
    width = a.dtype.bits
    inside = both(b >= 0, b < width)
    if op == "shr" and a.dtype.kind == "i":
        return binary(op, a, select(inside, b, width - 1))
    return select(inside, binary(op, a, select(inside, b, 0)), 0)


def _isinf(attrs: Attrs, a: Expr) -> Expr:
    value = unary("isinf", a)
    if not attrs.get("positive", True):
        value = both(value, a < 0)
    if not attrs.get("negative", True):
        value = both(value, a > 0)
    return value


def _register() -> None:
    elementwise("identity", lambda attrs, a: a)
    for name in UNARY_NAMES:
        elementwise(
            name,
            lambda attrs, a, op=name: a if op in _ONLY_FLOAT and a.dtype.is_int else unary(op, a),
        )
    elementwise("not", lambda attrs, a: unary("not", a))
    elementwise("isnan", lambda attrs, a: unary("isnan", a), bool_dtype)
    elementwise("isinf", _isinf, bool_dtype)
    elementwise("add", lambda attrs, a, b: a + b)
    elementwise("sub", lambda attrs, a, b: a - b)
    elementwise("mul", lambda attrs, a, b: a * b)
    elementwise("div", _div)
    elementwise("mod", _mod)
    elementwise("fmod", _fmod)
    elementwise("pow", _pow, first_dtype)
    elementwise("maximum", lambda attrs, a, b: maximum(a, b))
    elementwise("minimum", lambda attrs, a, b: minimum(a, b))
    for name in ("and", "or", "xor"):
        elementwise(name, lambda attrs, a, b, op=name: binary(op, a, b))
    for name in ("shl", "shr"):
        elementwise(name, lambda attrs, a, b, op=name: _shift(op, a, b))
    for name in ("lt", "le", "gt", "ge", "eq", "ne"):
        elementwise(name, lambda attrs, a, b, op=name: binary(op, a, b), bool_dtype)
    elementwise("where", _where, _where_dtype)
    elementwise("cast", _cast, _cast_dtype)
    elementwise("bit_cast", _bit_cast, _bit_cast_dtype)
    elementwise("clip", _clip)


def _clip(attrs: Attrs, a: Expr) -> Expr:
    """attrs low, high: numbers or None."""
    low, high = attrs.get("low"), attrs.get("high")
    value = a if low is None else maximum(low, a)
    return value if high is None else minimum(high, value)


_register()
