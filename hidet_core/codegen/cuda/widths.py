"""Which i64 values fit 32 bits: GPUs compute addresses in two halves where they do not.

An expression is narrow if it and all that it is computed from lie within an `int`, by the bounds of
the variables in it. Kernels of static shapes are narrow throughout.
"""

from __future__ import annotations

import math

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Binary, Broadcast, Cast, Const, Expr, Load, Ramp, Select, Unary, Var
from hidet_core.ir.ranges import xor_interval

INT_MIN, INT_MAX = -(1 << 31), (1 << 31) - 1
MAX_GRID = INT_MAX  # blocks of a launch
Interval = tuple[float, float]
UNKNOWN: Interval = (-math.inf, math.inf)
SIZE: Interval = (1, math.inf)  # of symbolic dims; a kernel with one of 0 has nothing to do


class Widths:
    """Intervals of i64 expressions; `bind` tells those of variables."""

    def __init__(self) -> None:
        self.bounds: dict[Var, Interval] = {}
        self.narrow_vars: set[Var] = set()
        self.known: dict[int, tuple[Expr, Interval, bool]] = {}

    def bind(self, var: Var, interval: Interval, is_narrow: bool) -> None:
        """is_narrow: whether the variable is an `int`."""
        self.bounds[var] = interval
        if is_narrow:
            self.narrow_vars.add(var)

    def interval(self, node: Expr) -> Interval:
        return self._facts(node)[1]

    def narrow(self, node: Expr) -> bool:
        """Whether the value may be computed as an int."""
        return self._facts(node)[2]

    def is_index(self, node: Expr) -> bool:
        """Whether it is an i64, in any number of lanes."""
        return node.dtype.scalar == i64

    def _facts(self, node: Expr) -> tuple[Expr, Interval, bool]:
        facts = self.known.get(id(node))
        if facts is None:
            interval = self._interval(node)
            fits = INT_MIN <= interval[0] and interval[1] <= INT_MAX
            facts = self.known[id(node)] = (node, interval, fits and self._parts_narrow(node))
        return facts

    def _parts_narrow(self, node: Expr) -> bool:
        match node:
            case Var():
                return node in self.narrow_vars
            case Binary(_, a, b, _):
                return self.narrow(a) and self.narrow(b)
            case Select(_, a, b, _):
                return self.narrow(a) and self.narrow(b)
            case Ramp(base, stride, _):
                return self.narrow(base) and self.narrow(stride)
            case Unary(_, a, _) | Broadcast(a, _):
                return self.narrow(a)
        return True  # constants, casts

    def _interval(self, node: Expr) -> Interval:
        match node:
            case Const(value, _):
                return value, value
            case Var():
                return self.bounds.get(node, UNKNOWN)
            case Binary(op, a, b, dtype) if dtype.scalar == i64:
                return _binary(op, self.interval(a), self.interval(b))
            case Unary("neg", a, dtype) if dtype.scalar == i64:
                low, high = self.interval(a)
                return -high, -low
            case Select(_, a, b, _):
                (la, ha), (lb, hb) = self.interval(a), self.interval(b)
                return min(la, lb), max(ha, hb)
            case Broadcast(a, _):
                return self.interval(a)
            case Ramp(base, stride, dtype):
                steps = _binary("mul", self.interval(stride), (0, dtype.lanes - 1))
                return _binary("add", self.interval(base), steps)
            case Cast(a, _) if a.dtype.scalar == i64:
                return self.interval(a)
            case Cast(a, _):
                return _held(a)
            case Load():
                return _held(node)
        return UNKNOWN


def _held(node: Expr) -> Interval:
    """What a value of its type can be."""
    dtype = node.dtype
    if dtype.is_bool:
        return 0, 1
    if not dtype.is_int or dtype.bits == 64:
        return UNKNOWN
    signed = dtype.kind == "i"
    return (-(1 << dtype.bits - 1) if signed else 0), (1 << dtype.bits - signed) - 1


def _binary(op: str, a: Interval, b: Interval) -> Interval:
    match op:
        case "add":
            return a[0] + b[0], a[1] + b[1]
        case "sub":
            return a[0] - b[1], a[1] - b[0]
        case "mul":
            ends = [_times(x, y) for x in a for y in b]
            return min(ends), max(ends)
        case "xor":
            return xor_interval(a, b)
        case "min":
            return min(a[0], b[0]), min(a[1], b[1])
        case "max":
            return max(a[0], b[0]), max(a[1], b[1])
        case "floordiv" if b[0] >= 1:
            ends = [_floordiv(x, y) for x in a for y in b]
            return min(ends), max(ends)
        case "mod" if b[0] >= 1:
            return (0, min(a[1], b[1] - 1)) if a[0] >= 0 else (0, b[1] - 1)
    return UNKNOWN


def _times(a: float, b: float) -> float:
    return 0 if a == 0 or b == 0 else a * b


def _floordiv(a: float, b: float) -> float:
    if math.isinf(b):
        return 0 if a >= 0 else -1
    return a if math.isinf(a) else a // b
