"""Elementwise operators of several operands: arithmetic, logic, selections; casts."""

from __future__ import annotations

import math

import numpy as np

from ..draft import Draft, Val, Want
from ..dtypes import ALL, FLOATS, INTS, KINDS, UNSIGNED, as_dtype, is_float
from .functions import INF, Bounds
from .table import maker


@maker("PRelu", since=7, dtypes="f32 f16")
def prelu(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    slope = _one_way(g, x)
    bound = x.magnitude * max(slope.magnitude, 1)
    g.node(op, [x, slope], x.dtype, x.shape, (-bound, bound))
    return True


def _one_way(g: Draft, x: Val) -> Val:
    """An operand that broadcasts to x."""
    shape = x.shape[g.draws.integer(0, x.rank) :]
    shape = tuple(g.dim(1) if g.draws.chance(0.3) else dim for dim in shape)
    return g.source(x.dtype, shape, -1.0, 1.0)


ARITHMETIC = {
    7: "f32 f16 f64 i32 i64 u32 u64",
    14: "f32 f16 f64 i32 i64 u32 u64 i8 u8 i16 u16",
}


def _ordered(g: Draft, x: Val, y: Val) -> tuple[Val, Val]:
    return (x, y) if g.draws.chance(0.6) else (y, x)


def _broadcast(g: Draft, x: Val, y: Val) -> tuple:
    """Shape of x op y; a dim of 1 gives way."""
    rank = max(x.rank, y.rank)
    one = g.dim(1)
    first, second = ((one,) * (rank - v.rank) + v.shape for v in (x, y))
    return tuple(b if a == one else a for a, b in zip(first, second, strict=True))


def _in_range(dtype: str, bounds: Bounds) -> bool:
    kind = KINDS[dtype]
    return kind.low <= bounds[0] and bounds[1] <= kind.high


def _emit_binary(g: Draft, op: str, pair: tuple[Val, Val], dtype: str, bounds: Bounds) -> bool:
    shape = _broadcast(g, *pair)
    if not g.fits(shape):
        return False
    g.node(op, list(pair), dtype, shape, bounds)
    return True


@maker("Add", "Sub", "Mul", since=7, dtypes=ARITHMETIC, weight=4)
def arithmetic(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    pair = _ordered(g, x, g.partner(x))
    (a, b), (c, d) = ((v.low, v.high) for v in pair)
    bounds = {
        "Add": (a + c, b + d),
        "Sub": (a - d, b - c),
        "Mul": (min(a * c, a * d, b * c, b * d), max(a * c, a * d, b * c, b * d)),
    }[op]
    return _in_range(x.dtype, bounds) and _emit_binary(g, op, pair, x.dtype, bounds)


@maker("Div", since=7, dtypes=ARITHMETIC, weight=3)
def division(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    least = 0.25 if is_float(x.dtype) else 1
    y = g.partner(x, low=least, high=INF)
    bounds = (-x.magnitude / least, x.magnitude / least)
    if not _in_range(x.dtype, (max(bounds[0], KINDS[x.dtype].low), bounds[1])):
        return False
    bounds = (min(0, x.low) / least, max(0, x.high) / least)
    return _emit_binary(g, op, (x, y), x.dtype, bounds)


@maker("Pow", since=7, dtypes={7: "f32 f16 f64", 12: "f32 f16 f64 i32 i64"})
def power(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Whole exponents of any base, any exponent of positive ones."""
    whole = g.draws.chance(0.6)
    x = g.take(Want(dtypes, -5.0 if whole else 0.1, 5.0))
    if x is None or x.magnitude > 10 or (x.dtype == "f16" and x.magnitude > 5):
        return False
    if whole or not is_float(x.dtype):
        number = as_dtype(np.array(g.draws.pick((0, 1, 2, 3))), x.dtype)
        y = g.given(number, x.dtype, (0, 3))
    else:
        y = g.partner(x, -2.0, 2.0)
    bound = max(x.magnitude, 1, 1 / max(x.low, 0.1) if x.low > 0 and not whole else 1) ** 3
    return _emit_binary(g, op, (x, y), x.dtype, (-bound, bound))


@maker("Mod", since=10, dtypes="f32 f16 f64 i8 i16 i32 i64 u8 u16 u32 u64")
def remainder(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    y = g.partner(x, low=0.5 if is_float(x.dtype) else 1, high=INF)
    shape = _broadcast(g, x, y)
    fmod = 1 if is_float(x.dtype) or g.draws.chance(0.4) else 0
    bound = max(y.magnitude, 1)
    g.node(op, [x, y], x.dtype, shape, (-bound, bound), fmod=fmod)
    return True


EXTREMES = {8: "f32 f16", 12: "f32 f16 f64 i8 u8 i32 i64 u32 u64"}


@maker("Max", "Min", since=8, dtypes=EXTREMES, weight=2)
@maker("Sum", since=8, dtypes="f32 f16 f64")
@maker("Mean", since=8, dtypes="f32 f16")
def variadic(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    operands, shape = [x], x.shape
    for _ in range(g.draws.weighted([(0, 0.5), (1, 4), (2, 2), (3, 0.5)])):
        operands.append(g.partner(x))
        shape = _broadcast(g, Val("", x.dtype, shape, 0, 0), operands[-1])
    bounds = [min(v.low for v in operands), max(v.high for v in operands)]
    if op == "Sum":
        bounds = [sum(v.low for v in operands), sum(v.high for v in operands)]
    if not _in_range(x.dtype, (bounds[0], bounds[1])) or not g.fits(shape):
        return False
    g.node(op, g.draws.shuffled(operands), x.dtype, shape, (bounds[0], bounds[1]))
    return True


@maker("Greater", "Less", since=7, dtypes={7: "f32 f16 f64", 9: "f32 f16 f64 i32 i64 u8 i8"})
@maker("GreaterOrEqual", "LessOrEqual", since=12, dtypes="f32 f16 f64 i32 i64 u8 i8 u32")
@maker("Equal", since=7, dtypes={7: "i32 i64 b", 11: "f32 f16 f64 i32 i64 b u8 i8 u32"})
def comparison(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    return _emit_binary(g, op, _ordered(g, x, g.partner(x)), "b", (0, 1))


@maker("And", "Or", "Xor", since=7, dtypes="b")
@maker("BitwiseAnd", "BitwiseOr", "BitwiseXor", since=18, dtypes=" ".join(INTS), weight=0.5)
def bits(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    y = g.partner(x)
    top = 1 << math.ceil(math.log2(max(x.magnitude, y.magnitude, 1) + 1))
    top = min(top, KINDS[x.dtype].high) if x.dtype != "b" else 1
    bounds = (0 if min(x.low, y.low) >= 0 else -top, top)
    return _emit_binary(g, op, (x, y), x.dtype, bounds)


@maker("Not", dtypes="b")
@maker("BitwiseNot", since=18, dtypes="i8 i32 i64 u8 u16", weight=0.5)
def bitwise_not(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    kind = KINDS[x.dtype]
    top = kind.high
    bounds = (top - x.high, top - x.low) if x.dtype in UNSIGNED else (-x.high - 1, -x.low - 1)
    g.node(op, [x], x.dtype, x.shape, (0, 1) if x.dtype == "b" else bounds)
    return True


@maker("IsNaN", since=9, dtypes={9: "f32 f16", 13: "f32 f16 f64"})
@maker("IsInf", since=10, dtypes={10: "f32 f64", 20: "f32 f16 f64"})
def tests(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    sides = g.draws.subset(("detect_negative", "detect_positive")) if op == "IsInf" else []
    attrs = {side: g.draws.integer(0, 1) for side in sides}
    g.node(op, [x], "b", x.shape, (0, 1), **attrs)
    return True


@maker("BitShift", since=11, dtypes="u8 u32 u64")
def bit_shift(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    direction = g.draws.pick(("LEFT", "RIGHT"))
    x = g.take(Want(dtypes))
    if x is None:
        return False
    y = g.partner(x, 0, 3)
    bounds = (0, x.high * 8) if direction == "LEFT" else (0, x.high)
    shape = _broadcast(g, x, y)
    if not _in_range(x.dtype, bounds) or y.high > 3:
        return False
    g.node(op, [x, y], x.dtype, shape, bounds, direction=direction)
    return True


@maker("Where", since=9, dtypes="f32 f16 f64 u8 i8 i32 i64", weight=3)
def where(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    pair = _ordered(g, x, g.partner(x))
    shape = _broadcast(g, *pair)
    condition = g.partner(Val("", "b", shape, 0, 1))
    shape = _broadcast(g, Val("", x.dtype, shape, 0, 0), condition)
    if not g.fits(shape):
        return False
    bounds = (min(v.low for v in pair), max(v.high for v in pair))
    g.node(op, [condition, *pair], x.dtype, shape, bounds)
    return True


@maker("Clip", since=6, until=10, dtypes="f32 f16")
@maker("Clip", since=12, dtypes="f32 f16 f64 i8 u8 i32 i64 u32 u64", weight=2)
def clip(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    low, high = (float(n) for n in (1, 6))
    if is_float(x.dtype):
        low = round(g.draws.number(-2, 0.5), 2)
        high = round(low + g.draws.number(0, 3), 2)
    sides = g.draws.subset(("min", "max"))
    limits = {"min": low, "max": high}
    bounds = (low if "min" in sides else x.low, high if "max" in sides else x.high)
    bounds = (min(bounds), max(bounds))
    if g.opset < 11:
        g.node(op, [x], x.dtype, x.shape, bounds, **{side: limits[side] for side in sides})
        return True
    given = [_bound(g, x.dtype, limits[s]) if s in sides else None for s in ("min", "max")]
    g.node(op, [x, *given], x.dtype, x.shape, bounds)
    return True


def _bound(g: Draft, dtype: str, number: float) -> Val:
    """A scalar, constant for most."""
    if g.draws.chance(0.8) or dtype == "bf16":
        return g.given(as_dtype(np.array(number), dtype), dtype)
    return g.input(dtype, (), number, number)


CASTS = " ".join(name for name in ALL if name != "bf16")


@maker("Cast", since=9, dtypes=CASTS, weight=2)
def cast(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    to = g.draws.pick([d for d in dtypes if d != "bf16" or g.opset >= 13])
    kind = KINDS[to]
    if to == "b" or (is_float(to) and is_float(x.dtype)):
        bounds = (0.0, 1.0) if to == "b" else (x.low, x.high)
    elif x.low < kind.low or x.high > kind.high:
        return False
    else:
        bounds = (x.low, x.high)
    if not _in_range(to, bounds):
        return False
    g.node(op, [x], to, x.shape, bounds, to=kind.onnx)
    return True


@maker("CastLike", since=15, dtypes=" ".join(FLOATS[:3]), weight=0.5)
def cast_like(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    like = g.take(Want(dtypes))
    if x is None or like is None or not _in_range(like.dtype, (x.low, x.high)):
        return False
    g.node(op, [x, like], like.dtype, x.shape, (x.low, x.high))
    return True
