"""Several nodes as exporters write them: norms, gelu and attention in primitives, residuals.

They are what rewrites and fusions look for; --ops knows them by names like "attention".
"""

from __future__ import annotations

import math

import numpy as np

from ..draft import Draft, Val, Want
from ..dtypes import as_dtype
from .table import maker

FLOAT = "f32 f16"


def scalar(g: Draft, x: Val, number: float) -> Val:
    return g.given(as_dtype(np.array(number), x.dtype), x.dtype)


def same(g: Draft, op: str, inputs: list[Val], bounds: tuple[float, float], **attrs: object) -> Val:
    """A node whose result has the first input's shape."""
    return g.node(op, inputs, inputs[0].dtype, inputs[0].shape, bounds, **attrs)


def _mean(g: Draft, x: Val, bounds: tuple[float, float]) -> Val:
    """Over the last axis, which stays."""
    shape = (*x.shape[:-1], g.dim(1))
    if g.opset >= 18:
        return g.node("ReduceMean", [x, g.ints([-1])], x.dtype, shape, bounds)
    return g.node("ReduceMean", [x], x.dtype, shape, bounds, axes=[-1])


def _rows(g: Draft, dtypes: tuple[str, ...]) -> Val | None:
    return g.take(
        Want(dtypes, -15, 15, (2, 4), filled=True, test=lambda v: v.shape[-1].fixed is not None)
    )


@maker("layer_norm", since=11, dtypes=FLOAT, weight=2)
def layer_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """(x - mean) / sqrt(mean((x - mean) ** 2) + eps) * scale + bias."""
    x = _rows(g, dtypes)
    if x is None:
        return False
    top = 2 * x.magnitude
    centred = same(g, "Sub", [x, _mean(g, x, (x.low, x.high))], (-top, top))
    if g.draws.chance(0.5):
        square = same(g, "Pow", [centred, scalar(g, x, 2.0)], (0, top**2))
    else:
        square = same(g, "Mul", [centred, centred], (0, top**2))
    variance = _mean(g, square, (0, top**2))
    spread = same(g, "Add", [variance, scalar(g, x, 0.01)], (0.01, top**2 + 1))
    root = same(g, "Sqrt", [spread], (0.1, top + 1))
    if g.draws.chance(0.3):
        inverse = same(g, "Reciprocal", [root], (0, 10))
        y = same(g, "Mul", [centred, inverse], (-10 * top, 10 * top))
    else:
        y = same(g, "Div", [centred, root], (-10 * top, 10 * top))
    scale, bias = (g.source(x.dtype, x.shape[-1:]) for _ in range(2))
    y = same(g, "Mul", [y, scale], (-20 * top, 20 * top))
    same(g, "Add", [y, bias], (-20 * top - 2, 20 * top + 2))
    return True


@maker("rms_norm", since=11, dtypes=FLOAT)
def rms_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = _rows(g, dtypes)
    if x is None:
        return False
    square = same(g, "Mul", [x, x], (0, x.magnitude**2))
    mean = _mean(g, square, (0, x.magnitude**2))
    spread = same(g, "Add", [mean, scalar(g, x, 0.01)], (0.01, x.magnitude**2 + 1))
    root = same(g, "Sqrt", [spread], (0.1, x.magnitude + 1))
    y = same(g, "Div", [x, root], (-150, 150))
    same(g, "Mul", [y, g.source(x.dtype, x.shape[-1:])], (-300, 300))
    return True


@maker("gelu", since=9, dtypes=FLOAT)
def gelu(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """x * 0.5 * (1 + erf(x / sqrt 2))."""
    x = g.take(Want(dtypes, -50, 50))
    if x is None:
        return False
    inner = same(g, "Div", [x, scalar(g, x, math.sqrt(2))], (-50, 50))
    erf = same(g, "Erf", [inner], (-1, 1))
    one = same(g, "Add", [erf, scalar(g, x, 1.0)], (0, 2))
    y = same(g, "Mul", [x, one], (-100, 100))
    same(g, "Mul", [y, scalar(g, x, 0.5)], (-50, 50))
    return True


@maker("swish", dtypes=FLOAT)
def swish(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes))
    if x is None:
        return False
    gate = same(g, "Sigmoid", [x], (0, 1))
    same(g, "Mul", [x, gate], (min(x.low, -1), max(x.high, 0)))
    return True


@maker("attention", since=13, dtypes=FLOAT, weight=2)
def attention(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """softmax(q k' * scale + mask) v of [batch, rows, heads * size], heads in a transpose."""
    dtype = g.prefer(dtypes)
    batch = g.draws.pick([g.dim(1), g.dim(2), *sorted(g.symbols.values())])
    rows = g.draws.pick([g.dim(3), g.dim(8), g.dim(17), *sorted(g.symbols.values())])
    keys = rows if g.draws.chance(0.7) else g.dim(g.draws.integer(2, 9))
    heads, size = g.draws.integer(1, 3), g.draws.pick((2, 4, 8, 16))
    width = heads * size
    if not g.fits((batch, g.dim(heads), rows, keys)) or not g.fits((batch, rows, g.dim(width))):
        return False
    if 0 in (*batch, *rows, *keys):
        return False
    x = g.source(dtype, (batch, rows, g.dim(width)), -1.0, 1.0)
    memory = x if keys == rows else g.source(dtype, (batch, keys, g.dim(width)), -1.0, 1.0)
    query = _heads(g, _projected(g, x, width), heads, (0, 2, 1, 3))
    key = _heads(g, _projected(g, memory, width), heads, (0, 2, 3, 1))
    value = _heads(g, _projected(g, memory, width), heads, (0, 2, 1, 3))
    scores = (batch, g.dim(heads), rows, keys)
    y = g.node("MatMul", [query, key], dtype, scores, (-50.0, 50.0))
    factor = scalar(g, y, math.sqrt(size))
    y = same(g, *(("Div", [y, factor]) if g.draws.chance(0.5) else ("Mul", [y, factor])), (-90, 90))
    if g.draws.chance(0.6):
        ones = [g.draws.pick((batch, g.dim(1))), g.dim(1), g.draws.pick((rows, g.dim(1))), keys]
        y = same(g, "Add", [y, g.source(dtype, tuple(ones), -8.0, 0.0)], (-99, 90))
    y = same(g, "Softmax", [y], (0, 1), axis=-1)
    y = g.node("MatMul", [y, value], dtype, (batch, g.dim(heads), rows, g.dim(size)), (-9.0, 9.0))
    y = g.node(
        "Transpose",
        [y],
        dtype,
        (batch, rows, g.dim(heads), g.dim(size)),
        (-9.0, 9.0),
        perm=[0, 2, 1, 3],
    )
    g.node("Reshape", [y, g.ints([0, 0, width])], dtype, (batch, rows, g.dim(width)), (-9.0, 9.0))
    return True


def _projected(g: Draft, x: Val, width: int) -> Val:
    bound = 1.5 / math.sqrt(width)
    w = g.constant(x.dtype, (width, width), -bound, bound)
    y = g.node("MatMul", [x, w], x.dtype, x.shape, (-5.0, 5.0))
    if g.draws.chance(0.5):
        y = same(g, "Add", [y, g.constant(x.dtype, (width,), -1.0, 1.0)], (-6, 6))
    return y


def _heads(g: Draft, x: Val, heads: int, perm: tuple[int, ...]) -> Val:
    size = (x.shape[-1].fixed or 1) // heads
    shape = (*x.shape[:2], *g.dims(heads, size))
    x = g.node("Reshape", [x, g.ints([0, 0, heads, size])], x.dtype, shape, (x.low, x.high))
    moved = tuple(shape[k] for k in perm)
    return g.node("Transpose", [x], x.dtype, moved, (x.low, x.high), perm=list(perm))
