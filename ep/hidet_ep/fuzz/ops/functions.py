"""Functions of one operand and activations."""

from __future__ import annotations

import math
from collections.abc import Callable

from ..draft import Draft, Want
from .table import MICROSOFT, maker

Bounds = tuple[float, float]
INF = math.inf


def both(function: Callable[[float], float]) -> Callable[[float, float], Bounds]:
    """Bounds through a rising function."""
    return lambda low, high: (function(low), function(high))


def within(low: float, high: float) -> Callable[[float, float], Bounds]:
    return lambda _low, _high: (low, high)


# op: (least operand, largest operand, bounds of the result)
FUNCTIONS = {
    "Exp": (-INF, 5.0, both(lambda x: math.exp(min(x, 5.0)))),
    "Log": (0.05, INF, both(lambda x: math.log(max(x, 1e-9)))),
    "Sqrt": (0.0, INF, both(lambda x: math.sqrt(max(x, 0.0)))),
    "Tanh": (-INF, INF, within(-1, 1)),
    "Erf": (-INF, INF, within(-1, 1)),
    "Sin": (-20.0, 20.0, within(-1, 1)),
    "Cos": (-20.0, 20.0, within(-1, 1)),
    "Tan": (-1.2, 1.2, within(-2.6, 2.6)),
    "Asin": (-1.0, 1.0, within(-1.6, 1.6)),
    "Acos": (-1.0, 1.0, within(0, 3.2)),
    "Atan": (-INF, INF, within(-1.6, 1.6)),
    "Sinh": (-5.0, 5.0, both(math.sinh)),
    "Cosh": (-5.0, 5.0, within(1, 75)),
    "Asinh": (-INF, INF, both(math.asinh)),
    "Acosh": (1.0, INF, both(lambda x: math.acosh(max(x, 1.0)))),
    "Atanh": (-0.95, 0.95, within(-1.9, 1.9)),
    "Floor": (-INF, INF, both(math.floor)),
    "Ceil": (-INF, INF, both(math.ceil)),
    "Round": (-INF, INF, both(round)),
    "Sigmoid": (-INF, INF, within(0, 1)),
    "Reciprocal": (0.1, INF, within(0, 10)),
}
WITH_F64 = "Exp Log Sqrt Tanh Sin Cos Floor Ceil Sigmoid Reciprocal Round".split()
FROM_9 = "Erf Sinh Cosh Asinh Acosh Atanh Round".split()


def function(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    low, high, bounds = FUNCTIONS[op]
    x = g.take(Want(dtypes, low, high))
    if x is None:
        return False
    g.node(op, [x], x.dtype, x.shape, bounds(x.low, x.high))
    return True


for _op in FUNCTIONS:
    _dtypes = "f32 f16 f64" if _op in WITH_F64 else "f32 f16"
    _since = 11 if _op == "Round" else 9 if _op in FROM_9 else 7
    maker(_op, dtypes=_dtypes, since=_since, weight=0.5)(function)


@maker("Neg", dtypes="f32 f16 f64 i8 i32 i64")
def negative(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, low=-127))
    if x is None:
        return False
    g.node(op, [x], x.dtype, x.shape, (-x.high, -x.low))
    return True


@maker("Abs", dtypes="f32 f16 f64 u8 i8 u16 i16 i32 i64 u32 u64")
@maker("Sign", since=9, dtypes="f32 f16 f64 u8 i8 u16 i16 i32 i64 u32 u64")
def magnitude(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, low=-127))
    if x is None:
        return False
    g.node(op, [x], x.dtype, x.shape, (0, x.magnitude) if op == "Abs" else (-1, 1))
    return True


# op: (first version, attributes with ranges, bounds of the result)
ACTIVATIONS: dict[str, tuple[int, dict[str, Bounds], Callable[[float, float], Bounds]]] = {
    "LeakyRelu": (6, {"alpha": (0.0, 0.9)}, lambda low, high: (low, max(high, 0))),
    "Elu": (6, {"alpha": (0.1, 2.0)}, lambda low, high: (-2, max(high, 0))),
    "Selu": (6, {"alpha": (0.5, 2.0), "gamma": (0.5, 1.5)}, lambda lo, hi: (-3, max(hi, 0) * 1.5)),
    "Celu": (12, {"alpha": (0.3, 2.0)}, lambda low, high: (-2, max(high, 0))),
    "HardSigmoid": (6, {"alpha": (0.1, 0.4), "beta": (0.2, 0.8)}, within(0, 1)),
    "HardSwish": (14, {}, lambda low, high: (-1, max(high, 0))),
    "Mish": (18, {}, lambda low, high: (-1, max(high, 0))),
    "Softplus": (1, {}, lambda low, high: (0, max(high, 0) + 1)),
    "Softsign": (1, {}, within(-1, 1)),
    "ThresholdedRelu": (10, {"alpha": (0.0, 1.5)}, lambda low, high: (0, max(high, 0))),
    "Swish": (24, {"alpha": (0.5, 1.5)}, lambda low, high: (-1, max(high, 0))),
}


def activation(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    _, ranges, bounds = ACTIVATIONS[op]
    x = g.take(Want(dtypes))
    if x is None:
        return False
    kept = g.draws.subset(sorted(ranges))
    attrs = {name: round(g.draws.number(*ranges[name]), 3) for name in kept}
    g.node(op, [x], x.dtype, x.shape, bounds(x.low, x.high), **attrs)
    return True


for _op, (_since, _, _) in ACTIVATIONS.items():
    maker(_op, dtypes="f32" if _op == "Celu" else "f32 f16", since=_since, weight=0.5)(activation)


@maker("Relu", dtypes={6: "f32 f16 f64", 14: "f32 f16 f64 i8 i32"}, weight=3)
def relu(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    g.node(op, [x], x.dtype, x.shape, (0, max(x.high, 0)))
    return True


@maker("Shrink", since=9, dtypes="f32")  # its kernel of doubles computes in float32
def shrink(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    lambd, bias = (round(g.draws.number(0.1, 0.8), 3) for _ in range(2))
    g.node(op, [x], x.dtype, x.shape, (x.low - 1, x.high + 1), lambd=lambd, bias=bias)
    return True


@maker("Gelu", since=20, dtypes="f32 f16", weight=2)
def gelu(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    form = g.draws.pick(("none", "tanh"))
    g.node(op, [x], x.dtype, x.shape, (-1, max(x.high, 0)), approximate=form)
    return True


@maker("Gelu", "QuickGelu", "FastGelu", "BiasGelu", domain=MICROSOFT, dtypes="f32", weight=0.5)
def microsoft_gelu(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -100, 100, rank=(2, 4), filled=True))
    if x is None:
        return False
    inputs = [x]
    if op == "BiasGelu" or (op == "FastGelu" and g.draws.chance(0.5)):
        if x.shape[-1].fixed is None:
            return False
        inputs.append(g.source(x.dtype, x.shape[-1:]))
    g.node(op, inputs, x.dtype, x.shape, (-1, max(x.high, 0) + 2), domain=MICROSOFT)
    return True
