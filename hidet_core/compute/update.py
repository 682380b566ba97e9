"""What an update of a scatter does to the element that is there; shared by definitions and
schedules.
"""

from __future__ import annotations

import math

from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Const, Expr, binary, select

REDUCTIONS = ("none", "add", "mul", "max", "min")


def updated(op: str, old: Expr, new: Expr) -> Expr:
    """The element `old` after an update `new`. For max and min a NaN gives way to the next update,
    as in ONNX Runtime's CPU provider.
    """
    if op == "none":
        return new
    if op in ("add", "mul"):
        return binary(op, old, new)
    return select(binary("gt" if op == "max" else "lt", old, new), old, new)


def neutral(op: str, dtype: DType) -> Const:
    """The update (not of op "none") that changes no element."""
    if op in ("add", "mul"):
        number = int(op == "mul")
        return Const(float(number) if dtype.is_float else number, dtype)
    if dtype.is_float:
        return Const(-math.inf if op == "max" else math.inf, dtype)
    signed = dtype.kind == "i"
    low = -(1 << dtype.bits - 1) if signed else 0
    high = (1 << dtype.bits - signed) - 1
    return Const(low if op == "max" else high, dtype)
