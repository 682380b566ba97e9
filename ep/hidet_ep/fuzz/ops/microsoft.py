"""Operators of ONNX Runtime's own domain that its optimizers write; GridSample."""

from __future__ import annotations

import math

from ..draft import Draft, Shape, Val, Want
from ..dtypes import KINDS
from .normalise import SPREAD, has_static_rows
from .quant import BYTES, matrices, scale, zero
from .spatial import PROVIDER_LIMIT, drawn_window, image
from .table import MICROSOFT, maker


def _ends(g: Draft, dtype: str) -> list[Val]:
    return [scale(g), zero(g, dtype)]


def _bytes(g: Draft, op: str, inputs: list[Val], dtype: str, shape: Shape, **attrs: object) -> bool:
    kind = KINDS[dtype]
    g.node(op, inputs, dtype, shape, (kind.low, kind.high), domain=MICROSOFT, **attrs)
    return True


@maker("QLinearAdd", "QLinearMul", domain=MICROSOFT, dtypes="u8 i8", weight=0.6)
def qlinear_binary(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    a = g.take(Want(BYTES, rank=(1, 4), filled=True))
    if a is None:
        return False
    b = g.partner(a)
    inputs = [a, *_ends(g, a.dtype), b, *_ends(g, a.dtype), *_ends(g, a.dtype)]
    return _bytes(g, op, inputs, a.dtype, a.shape)


@maker("QLinearSigmoid", "QLinearLeakyRelu", domain=MICROSOFT, dtypes="u8 i8", weight=0.5)
def qlinear_unary(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(BYTES, rank=(1, 4), filled=True))
    if x is None:
        return False
    inputs = [x, *_ends(g, x.dtype), *_ends(g, x.dtype)]
    attrs = {"alpha": 0.2} if op == "QLinearLeakyRelu" and g.draws.chance(0.6) else {}
    return _bytes(g, op, inputs, x.dtype, x.shape, **attrs)


@maker("QLinearConcat", domain=MICROSOFT, dtypes="u8 i8", weight=0.5)
def qlinear_concat(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(BYTES, rank=(1, 4), filled=True))
    if x is None:
        return False
    axis = g.draws.integer(0, x.rank - 1)
    shape = (*x.shape[:axis], g.dim(g.draws.integer(1, 4)), *x.shape[axis + 1 :])
    other = g.source(x.dtype, shape)
    total = x.shape[axis].plus(other.shape[axis])
    result = (*x.shape[:axis], total, *x.shape[axis + 1 :])
    parts = [v for part in (x, other) for v in (part, *_ends(g, x.dtype))]
    return _bytes(g, op, [*_ends(g, x.dtype), *parts], x.dtype, result, axis=axis)


@maker("QLinearGlobalAveragePool", domain=MICROSOFT, dtypes="u8 i8", weight=0.5)
def qlinear_pool(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, BYTES, 1e9, (4, 4))
    if x is None:
        return False
    shape = (*x.shape[:2], *g.dims(1, 1))
    inputs = [x, *_ends(g, x.dtype), *_ends(g, x.dtype)]
    return _bytes(g, op, inputs, x.dtype, shape)


@maker("MatMulIntegerToFloat", domain=MICROSOFT, dtypes="u8 i8", weight=0.6)
def matmul_integer_to_float(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    found = matrices(g)
    if found is None:
        return False
    a, b, columns = found
    shape = (*a.shape[:-1], columns)
    if not g.fits(shape):
        return False
    per = (columns[0],) if g.draws.chance(0.4) else ()
    inputs: list[Val | None] = [a, b, scale(g), scale(g, per)]
    if g.draws.chance(0.6):
        inputs += [zero(g, a.dtype), zero(g, b.dtype, per)]
    if g.draws.chance(0.4):
        inputs += [None] * (6 - len(inputs)) + [g.constant("f32", (columns[0],))]
    top = 64.0 * 255 * 255 * 0.0025
    g.node(op, inputs, "f32", shape, (-top, top), domain=MICROSOFT)
    return True


@maker("FusedConv", domain=MICROSOFT, dtypes="f32")
def fused_conv(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 20, (4, 4))
    window = None if x is None else drawn_window(g, x.shape[2:], dilated=True, ceil=False)
    if x is None or window is None:
        return False
    channels, out = x.shape[1].fixed or 1, g.draws.integer(1, 9)
    depth = channels * math.prod(window.kernel)
    bound = 1.5 / math.sqrt(depth)
    w = g.constant("f32", (out, channels, *window.kernel), -bound, bound)
    shape = (x.shape[0], g.dim(out), *window.out)
    top = x.magnitude * w.magnitude * depth + 6
    if not g.fits(shape) or top > PROVIDER_LIMIT:
        return False
    attrs = {**window.attrs, "activation": g.draws.pick(("Relu", "Sigmoid", "Tanh", "LeakyRelu"))}
    if attrs["activation"] == "LeakyRelu":
        attrs["activation_params"] = [0.2]
    inputs = [x, w] + ([g.constant("f32", (out,))] if g.draws.chance(0.6) else [])
    g.node(op, inputs, "f32", shape, (-top, top), domain=MICROSOFT, **attrs)
    return True


@maker("SkipSimplifiedLayerNormalization", domain=MICROSOFT, dtypes="f32", weight=0.6)
def skip_rms_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -50, 50, (3, 3), filled=True, test=has_static_rows))
    if x is None:
        return False
    count = x.shape[-1].fixed or 1
    inputs = [x, g.source("f32", x.shape), g.constant("f32", (count,))]
    if g.draws.chance(0.4):
        inputs.append(g.constant("f32", (count,)))
    row = ("f32", x.shape, -SPREAD, SPREAD)
    results = [row] if g.draws.chance(0.6) else [row, None, None, ("f32", x.shape, -60.0, 60.0)]
    g.nodes_of(op, inputs, results, MICROSOFT, epsilon=1e-2)
    return True


@maker("GridSample", since=16, dtypes="f32", weight=0.8)
def grid_sample(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    """Grids of another range than [-1, 1] come to the padding."""
    x = image(g, dtypes, 1e4, (4, 4))
    if x is None:
        return False
    rows, columns = (g.dim(g.draws.integer(1, 5)) for _ in range(2))
    grid = g.source("f32", (x.shape[0], rows, columns, g.dim(2)), -1.3, 1.3)
    names = ("bilinear", "nearest", "bicubic") if g.opset < 20 else ("linear", "nearest", "cubic")
    attrs: dict[str, object] = {"mode": g.draws.pick(names)}
    attrs["padding_mode"] = g.draws.pick(("zeros", "border", "reflection"))
    attrs["align_corners"] = g.draws.integer(0, 1)
    shape = (*x.shape[:2], rows, columns)
    if not g.fits(shape):
        return False
    top = 3 * x.magnitude
    g.node(op, [x, grid], "f32", shape, (-top, top), **attrs)
    return True
