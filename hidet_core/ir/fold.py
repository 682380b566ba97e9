"""The binary operations, and their values on Python numbers."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from .dtypes import DType

ARITHMETIC = (
    "add", "sub", "mul", "div", "floordiv", "mod", "min", "max", "pow", "and", "or", "xor",
    "shl", "shr",
)  # fmt: skip
COMPARISONS = ("lt", "le", "gt", "ge", "eq", "ne")
_FOLDS: dict[str, Callable[[Any, Any], Any]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": operator.truediv,
    "floordiv": operator.floordiv, "mod": operator.mod, "min": min, "max": max,
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne,
    "and": operator.and_, "or": operator.or_, "xor": operator.xor,
}  # fmt: skip


def fold_binary(op: str, a: Any, b: Any, dtype: DType) -> Any:
    """The value of a op b on Python numbers of the given operand dtype, or None where it is not
    defined.
    """
    if op in ("floordiv", "mod", "div") and b == 0:
        return None
    if (
        dtype.is_float
        and op not in COMPARISONS
        and op not in ("min", "max", "add", "sub", "mul", "div")
    ):
        return None
    if op not in _FOLDS or (op == "div" and not dtype.is_float):
        return None
    value = _FOLDS[op](a, b)
    if dtype.is_int and op not in COMPARISONS:
        low, high = (
            (-(1 << dtype.bits - 1), (1 << dtype.bits - 1) - 1)
            if dtype.kind == "i"
            else (0, (1 << dtype.bits) - 1)
        )
        return value if low <= value <= high else None
    return value
