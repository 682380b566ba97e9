"""The binary operations, and their values on Python numbers.

A folded value is what the program would compute at run time: operands and results are rounded to
their dtype, and whatever would overflow, trap or depend on NaN is left to the program.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from .dtypes import BITS, DType, boolean

ARITHMETIC = (
    "add", "sub", "mul", "div", "floordiv", "mod", "min", "max", "pow", "and", "or", "xor",
    "shl", "shr",
)  # fmt: skip
PACKED = ("dot4",)  # of i32 words of four bytes: u8 of the left, i8 of the right
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_FOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "min": min, "max": max,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor,
}  # fmt: skip
_OF_INTS = frozenset(_FOLDS) - {"div"}
_OF_FLOATS = frozenset(("add", "sub", "mul", "div", "min", "max", *COMPARISONS))
_OF_BOOLS = frozenset(("and", "or", "xor", "eq", "ne", "min", "max"))


def fold_binary(op: str, a: Any, b: Any, dtype: DType) -> Any:
    """The value of a op b on Python numbers of the given operand dtype, or None where it is left to
    the program.
    """
    if dtype.is_float:
        return _fold_floats(op, a, b, dtype)
    if op not in (_OF_INTS if dtype.is_int else _OF_BOOLS):
        return None
    if op in ("floordiv", "mod") and b == 0:
        return None
    value = _FOLDS[op](a, b)
    return value if op in COMPARISONS or fits(value, dtype) else None


def _fold_floats(op: str, a: float, b: float, dtype: DType) -> Any:
    if op not in _OF_FLOATS or math.isnan(a) or math.isnan(b) or (op == "div" and b == 0):
        return None
    value = _FOLDS[op](held(a, dtype), held(b, dtype))
    if op in COMPARISONS:
        return value
    value = held(value, dtype)
    return value if math.isfinite(value) else None


def fold_cast(value: Any, source: DType, target: DType) -> Any:
    """A literal of one dtype as that of another, None where it has no such value (NaN, infinite,
    out of range). Floats are cut to ints, anything but zero is true.
    """
    if not math.isfinite(value):
        return None
    if target.is_bool:
        return value != 0
    exact = held(value, source) if source.is_float else value
    if target.is_float:
        return float(exact)
    return int(exact) if fits(int(exact), target) else None


# Float x*0, x+0 and x//1 are no neutral cases: NaN, infinities, signed zeros and fractions keep
# their meaning.


def neutral_right(op: str, value: Any, dtype: DType) -> str | None:
    """What x op value is whatever x: "other" (x itself), "known" (value), "zero", None for none."""
    if dtype.is_bool:
        return _logic(op, value)
    if value == 1 and (op in ("mul", "div") or (op == "floordiv" and dtype.is_int)):
        return "other"
    if not dtype.is_int:
        return None
    if value == 0 and op in ("add", "sub", "shl", "shr", "or", "xor"):
        return "other"
    if value == 0 and op in ("mul", "and"):
        return "known"
    return "zero" if value == 1 and op == "mod" else None


def neutral_left(op: str, value: Any, dtype: DType) -> str | None:
    """What value op x is whatever x, as in `neutral_right`."""
    if dtype.is_bool:
        return _logic(op, value)
    if value == 1 and op == "mul":
        return "other"
    if not dtype.is_int or value != 0:
        return None
    if op in ("add", "or", "xor"):
        return "other"
    return "known" if op in ("mul", "and", "floordiv", "mod") else None


def _logic(op: str, value: bool) -> str | None:
    match op:
        case "and":
            return "other" if value else "known"
        case "or":
            return "known" if value else "other"
    return None


def literal(plain: bool | int | float, dtype: DType) -> bool | int | float:
    """A number as the Python value that a Const of dtype holds. Raises TypeError for one that the
    dtype has not.
    """
    if dtype.is_float:
        return float(plain)
    if isinstance(plain, float) and not plain.is_integer():
        raise TypeError(f"{plain!r} is no value of {dtype}: cast the other operand, or round it")
    whole = int(plain)
    if not fits(whole, dtype):
        raise TypeError(f"{plain!r} is no value of {dtype}: out of range")
    return bool(whole) if dtype.is_bool else whole


def unary_type(op: str, dtype: DType) -> DType:
    """The dtype of op(a), `dtype` being that of a."""
    if op in ("isnan", "isinf"):
        return boolean.vector(dtype.lanes)
    return BITS[op].vector(dtype.lanes) if op in BITS else dtype


def fits(value: int, dtype: DType) -> bool:
    """Whether an int or bool is a value of this integer or bool dtype."""
    if dtype.is_bool:
        return value in (0, 1)
    if dtype.kind == "u":
        return 0 <= value < 1 << dtype.bits
    half = 1 << dtype.bits - 1
    return -half <= value < half


def held(value: float, dtype: DType) -> float:
    """The float nearest to value that a float dtype holds (infinite where it is too large)."""
    if dtype.bits == 64 or not math.isfinite(value):
        return value
    with np.errstate(over="ignore"):
        if dtype.name != "bf16":
            return float(dtype.numpy.type(value))
        bits = int(np.float32(value).view(np.uint32))
    # round to even on the upper half of the bits
    upper = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16
    return float(np.uint32(upper).view(np.float32))
