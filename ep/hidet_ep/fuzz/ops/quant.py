"""Quantised operators: QuantizeLinear and its inverse, integer products, QLinear*, QDQ models."""

from __future__ import annotations

import numpy as np

from ..draft import Dim, Draft, Val, Want
from ..dtypes import KINDS, as_dtype
from .normalise import has_static_rows
from .spatial import drawn_window, image
from .table import maker

BYTES = ("u8", "i8")


def scale(g: Draft, sizes: tuple[int, ...] = (), low: float = 0.01, high: float = 0.05) -> Val:
    return g.given(as_dtype(g.draws.floats(sizes, low, high), "f32"), "f32")


def zero(g: Draft, dtype: str, sizes: tuple[int, ...] = ()) -> Val:
    low, high = (100, 150) if dtype == "u8" else (-10, 10)
    return g.given(as_dtype(g.draws.integers(sizes, low, high), dtype), dtype)


def quantized(g: Draft, x: Val, dtype: str) -> tuple[Val, list[Val]]:
    """QuantizeLinear of a tensor as a whole; its scale and zero point."""
    pair = [scale(g), zero(g, dtype)]
    kind = KINDS[dtype]
    y = g.node("QuantizeLinear", [x, *pair], dtype, x.shape, (kind.low, kind.high))
    return y, pair


def dequantized(g: Draft, x: Val, pair: list[Val]) -> Val:
    return g.node("DequantizeLinear", [x, *pair], "f32", x.shape, (-14.0, 14.0))


@maker("QuantizeLinear", since=10, dtypes="f32")
def quantize(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -50, 50, rank=(0, 4)))
    if x is None:
        return False
    dtype = g.draws.pick((*BYTES, "i16", "u16") if g.opset >= 21 else BYTES)
    kind, attrs, sizes = KINDS[dtype], {}, ()
    axes = [k for k, dim in enumerate(x.shape) if dim.fixed]
    if axes and g.opset >= 13 and g.draws.chance(0.4):
        attrs["axis"] = g.draws.pick(axes)
        sizes = (x.shape[attrs["axis"]].fixed or 1,)
    inputs = [x, scale(g, sizes)]
    if dtype != "u8" or g.draws.chance(0.7):
        inputs.append(zero(g, dtype, sizes))
    g.node(op, inputs, dtype, x.shape, (kind.low, kind.high), **attrs)
    return True


@maker("DequantizeLinear", since=10, dtypes="u8 i8 i32")
def dequantize(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -(1 << 12), 1 << 12, rank=(0, 4)))
    if x is None:
        return False
    attrs, sizes = {}, ()
    axes = [k for k, dim in enumerate(x.shape) if dim.fixed]
    if axes and g.opset >= 13 and g.draws.chance(0.4):
        attrs["axis"] = g.draws.pick(axes)
        sizes = (x.shape[attrs["axis"]].fixed or 1,)
    inputs = [x, scale(g, sizes)]
    if x.dtype != "i32" and g.draws.chance(0.7):
        inputs.append(zero(g, x.dtype, sizes))
    top = (x.magnitude + 150) * 0.05
    g.node(op, inputs, "f32", x.shape, (-top, top), **attrs)
    return True


@maker("DynamicQuantizeLinear", since=11, dtypes="f32", weight=0.7)
def dynamic_quantize(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -100, 100, rank=(1, 4), filled=True))
    if x is None:
        return False
    results = [("u8", x.shape, 0, 255), ("f32", (), 0.0, 1.0), ("u8", (), 0, 255)]
    g.nodes_of(op, [x], results)
    return True


def matrices(g: Draft) -> tuple[Val, Val, Dim] | None:
    """Bytes [..., rows, depth] and [depth, columns]."""
    a = g.take(Want(BYTES, rank=(2, 4), filled=True))
    if a is None or max(a.shape[-1]) > 64:
        return None
    columns = g.dim(g.draws.integer(1, 17))
    static = a.shape[-1].fixed is not None
    dtype = g.draws.pick(BYTES) if a.dtype == "u8" else "i8"
    kind = KINDS[dtype]
    if static and g.draws.chance(0.8):
        sizes = (a.shape[-1][0], columns[0])
        return a, g.constant(dtype, sizes, kind.low, kind.high), columns
    return a, g.input(dtype, (a.shape[-1], columns), kind.low, kind.high), columns


@maker("MatMulInteger", since=10, dtypes="u8 i8")
def matmul_integer(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    found = matrices(g)
    if found is None:
        return False
    a, b, columns = found
    inputs = [a, b]
    if g.draws.chance(0.6):
        inputs.append(zero(g, a.dtype))
        if g.draws.chance(0.7):
            inputs.append(zero(g, b.dtype, (columns[0],) if g.draws.chance(0.3) else ()))
    shape = (*a.shape[:-1], columns)
    if not g.fits(shape):
        return False
    g.node(op, inputs, "i32", shape, (-(1 << 23), 1 << 23))
    return True


@maker("QLinearMatMul", since=10, dtypes="u8 i8")
def qlinear_matmul(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    found = matrices(g)
    if found is None:
        return False
    a, b, columns = found
    shape = (*a.shape[:-1], columns)
    if not g.fits(shape):
        return False
    ends = [scale(g), zero(g, a.dtype), scale(g), zero(g, b.dtype)]
    inputs = [a, *ends[:2], b, *ends[2:], scale(g, (), 0.1, 0.4), zero(g, a.dtype)]
    kind = KINDS[a.dtype]
    g.node(op, inputs, a.dtype, shape, (kind.low, kind.high))
    return True


@maker("ConvInteger", "QLinearConv", since=10, dtypes="u8 i8", weight=1.5)
def integer_conv(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, ("u8",) if op == "ConvInteger" else BYTES, 1e9, (3, 4))
    window = None if x is None else drawn_window(g, x.shape[2:], dilated=True, ceil=False)
    if x is None or window is None:
        return False
    channels = x.shape[1].fixed or 1
    groups = g.draws.pick([n for n in (1, 1, channels) if channels % n == 0])
    out = groups * g.draws.integer(1, 3)
    dtype = "u8" if op == "ConvInteger" else g.draws.pick(BYTES) if x.dtype == "u8" else "i8"
    kind = KINDS[dtype]
    w = g.constant(dtype, (out, channels // groups, *window.kernel), kind.low, kind.high)
    attrs = {**window.attrs, "group": groups}
    shape = (x.shape[0], g.dim(out), *window.out)
    if not g.fits(shape):
        return False
    if op == "ConvInteger":
        inputs = [x, w, zero(g, x.dtype)] if g.draws.chance(0.6) else [x, w]
        g.node(op, inputs, "i32", shape, (-(1 << 23), 1 << 23), **attrs)
        return True
    per = (out,) if g.draws.chance(0.5) else ()
    zeros = np.zeros(per, np.int64) if per else g.draws.integers((), -3, 3) + (dtype == "u8") * 128
    ends = [scale(g), zero(g, x.dtype), w, scale(g, per), g.given(as_dtype(zeros, dtype), dtype)]
    inputs = [x, *ends, scale(g, (), 0.1, 0.4), zero(g, x.dtype)]
    if g.draws.chance(0.5):
        inputs.append(g.constant("i32", (out,), -2000, 2000))
    bounds = (KINDS[x.dtype].low, KINDS[x.dtype].high)
    g.node(op, inputs, x.dtype, shape, bounds, **attrs)
    return True


@maker("qdq_matmul", since=13, dtypes="f32", weight=1.5)
def qdq_matmul(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Q, DQ, MatMul with DQ weights, Add, Q, DQ."""
    x = g.take(Want(dtypes, -20, 20, (2, 3), filled=True, test=has_static_rows))
    if x is None:
        return False
    depth, columns = x.shape[-1].fixed or 1, g.draws.integer(1, 16)
    dtype = g.draws.pick(BYTES)
    x = dequantized(g, *quantized(g, x, dtype))
    w = g.constant("i8", (depth, columns), -127, 127)
    weights = dequantized(g, w, [scale(g, (), 0.002, 0.01), g.given(np.zeros((), np.int8), "i8")])
    shape = (*x.shape[:-1], g.dim(columns))
    if not g.fits(shape):
        return False
    y = g.node("MatMul", [x, weights], "f32", shape, (-99.0, 99.0))
    if g.draws.chance(0.6):
        y = g.node("Add", [y, g.constant("f32", (columns,))], "f32", shape, (-99.0, 99.0))
    if g.draws.chance(0.7):
        dequantized(g, *quantized(g, y, dtype))
    return True


@maker("qdq_conv", since=13, dtypes="f32", weight=1.5)
def qdq_conv(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Q, DQ, Conv with DQ weights, per channel or not, and a DQ bias, Relu, Q, DQ."""
    x = image(g, dtypes, 20, (4, 4))
    window = None if x is None else drawn_window(g, x.shape[2:], dilated=False, ceil=False)
    if x is None or window is None:
        return False
    channels, out = x.shape[1].fixed or 1, g.draws.integer(1, 6)
    dtype = g.draws.pick(BYTES)
    x, pair = quantized(g, x, dtype)
    x = dequantized(g, x, pair)
    w = g.constant("i8", (out, channels, *window.kernel), -127, 127)
    per = (out,) if g.draws.chance(0.6) else ()
    w_scale = scale(g, per, 0.002, 0.01)
    none = g.given(np.zeros(per, np.int8), "i8")
    axis = {"axis": 0} if per else {}
    weights = g.node("DequantizeLinear", [w, w_scale, none], "f32", w.shape, (-2.0, 2.0), **axis)
    inputs = [x, weights]
    shape = (x.shape[0], g.dim(out), *window.out)
    if not g.fits(shape):
        return False
    if g.draws.chance(0.6):
        assert pair[0].array is not None and w_scale.array is not None, "constants"
        product = g.given(np.asarray(pair[0].array * w_scale.array), "f32")
        bias = g.constant("i32", (out,), -500, 500)
        zeros = g.given(np.zeros(per, np.int32), "i32")
        row = [bias, product, zeros]
        inputs.append(g.node("DequantizeLinear", row, "f32", bias.shape, (-2.0, 2.0), **axis))
    y = g.node("Conv", inputs, "f32", shape, (-99.0, 99.0), **window.attrs)
    if g.draws.chance(0.5):
        y = g.node("Relu", [y], "f32", shape, (0.0, 99.0))
    if g.draws.chance(0.7):
        dequantized(g, *quantized(g, y, dtype))
    return True
