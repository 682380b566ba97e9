"""Windows over images: convolutions, pools, LRN, Resize."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ..draft import Dim, Draft, Val, Want
from .table import maker

PROVIDER_LIMIT = 400


@dataclass(frozen=True)
class Window:
    """Attributes of a window operator, and the sizes that come out."""

    kernel: list[int]
    attrs: dict[str, object]
    out: tuple[Dim, ...]


def drawn_window(g: Draft, spatial: tuple[Dim, ...], dilated: bool, ceil: bool) -> Window | None:
    """A window that fits into every run's sizes; None where none does."""
    kernel = [g.draws.weighted([(1, 2), (2, 1), (3, 4), (5, 0.5)]) for _ in spatial]
    strides = [g.draws.weighted([(1, 4), (2, 2), (3, 0.5)]) for _ in spatial]
    dilations = [2 if dilated and g.draws.chance(0.2) else 1 for _ in spatial]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    attrs: dict[str, object] = {}
    if any(n != 1 for n in strides) or g.draws.chance(0.3):
        attrs["strides"] = strides
    if any(n != 1 for n in dilations):
        attrs["dilations"] = dilations
    mode = g.draws.weighted([("NOTSET", 8), ("VALID", 0.7), ("SAME_UPPER", 1), ("SAME_LOWER", 0.7)])
    if mode != "NOTSET":
        attrs["auto_pad"] = mode
    if mode in ("SAME_UPPER", "SAME_LOWER"):
        if any(n != 1 for n in dilations) or any(d.fixed is None for d in spatial):
            return None
        out = tuple(d.map(lambda n, s=s: -(-n // s)) for d, s in zip(spatial, strides, strict=True))
        return Window(kernel, attrs, out)
    pads = [0] * (2 * len(kernel))
    if mode == "NOTSET" and g.draws.chance(0.6):
        pads = [g.draws.integer(0, k // 2) for k in (*kernel, *kernel)]
        attrs["pads"] = pads
    up = ceil and mode == "NOTSET" and g.draws.chance(0.3)
    if up:
        attrs["ceil_mode"] = 1
    out = tuple(
        _out_size(dim, pads[k], pads[k + len(kernel)], reach[k], strides[k], up)
        for k, dim in enumerate(spatial)
    )
    return Window(kernel, attrs, out) if all(min(dim) > 0 for dim in out) else None


def _out_size(dim: Dim, before: int, after: int, reach: int, stride: int, up: bool) -> Dim:
    def size(n: int) -> int:
        span = n + before + after - reach
        if span < 0:
            return 0
        if not up:
            return span // stride + 1
        out = -(-span // stride) + 1
        return out - 1 if (out - 1) * stride >= n + before else out

    return dim.map(size)


def image(g: Draft, dtypes: tuple[str, ...], bound: float, ranks: tuple[int, int]) -> Val | None:
    """[N, C, spatial...] of few channels."""
    want = Want(
        dtypes, -bound, bound, ranks, filled=True, test=lambda v: v.shape[1].fixed is not None
    )
    fitting = [v for v in g.values if want.fits(v) and want.holds(v)]
    if fitting and g.draws.chance(0.8):
        return g.draws.pick(fitting[-3:])
    rank = g.draws.weighted([(r, {3: 1, 4: 5, 5: 0.7}[r]) for r in range(ranks[0], ranks[1] + 1)])
    channels = g.draws.weighted(
        [(1, 1), (2, 1), (3, 2), (4, 2), (8, 1), (16, 1), (17, 0.5), (40, 0.3), (64, 0.3)]
    )
    sides = [g.dim(g.draws.integer(3, {3: 20, 4: 9, 5: 5}[rank])) for _ in range(rank - 2)]
    batch = g.dim(g.draws.weighted([(1, 4), (2, 1), (3, 1)]))
    if g.symbols and g.draws.chance(0.6):
        symbol = g.draws.pick(sorted(g.symbols.values()))
        if g.draws.chance(0.6) or min(symbol) < 3:
            batch = symbol
        else:
            sides[-1] = symbol
    shape = (batch, g.dim(channels), *sides)
    if not g.fits(shape) or not all(min(dim) > 0 for dim in shape):
        return None
    return g.source(g.prefer(dtypes), shape)


@maker("Conv", dtypes="f32 f16", weight=6)
def conv(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 20, (3, 5))
    window = None if x is None else drawn_window(g, x.shape[2:], dilated=True, ceil=False)
    if x is None or window is None:
        return False
    channels = x.shape[1].fixed or 1
    groups = g.draws.pick([n for n in (1, 1, 1, 2, channels) if channels % n == 0])
    out = groups * g.draws.weighted([(1, 2), (2, 1), (3, 1), (8 if groups == 1 else 1, 2)])
    depth = channels // groups * math.prod(window.kernel)
    bound = 1.5 / math.sqrt(depth)
    sizes = (out, channels // groups, *window.kernel)
    w = g.constant(x.dtype, sizes, -bound, bound)
    if g.draws.chance(0.1):
        w = g.input(x.dtype, g.dims(*sizes), -bound, bound)
    inputs = [x, w] + ([g.source(x.dtype, g.dims(out))] if g.draws.chance(0.6) else [])
    attrs = dict(window.attrs)
    if groups > 1 or g.draws.chance(0.2):
        attrs["group"] = groups
    if g.draws.chance(0.5):
        attrs["kernel_shape"] = window.kernel
    top = x.magnitude * w.magnitude * depth + 2
    shape = (x.shape[0], g.dim(out), *window.out)
    if not g.fits(shape) or top > PROVIDER_LIMIT:
        return False
    g.node(op, inputs, x.dtype, shape, (-top, top), **attrs)
    return True


@maker("MaxPool", dtypes="f32 f16 f64", weight=2)
@maker("AveragePool", dtypes="f32 f16", weight=2)
def pool(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, math.inf, (3, 5))
    if x is None:
        return False
    dilated = g.opset >= (10 if op == "MaxPool" else 19)
    window = drawn_window(g, x.shape[2:], dilated, ceil=g.opset >= 10)
    if window is None or ("pads" in window.attrs and max(window.kernel) == 1):
        return False
    pads = window.attrs.get("pads", [])
    if any(p >= k for p, k in zip(pads, window.kernel * 2, strict=False)):
        return False
    attrs = {**window.attrs, "kernel_shape": window.kernel}
    if op == "AveragePool" and g.draws.chance(0.5):
        attrs["count_include_pad"] = 1
    shape = (*x.shape[:2], *window.out)
    if not g.fits(shape):
        return False
    g.node(op, [x], x.dtype, shape, (min(x.low, 0), max(x.high, 0)), **attrs)
    return True


@maker("GlobalAveragePool", "GlobalMaxPool", dtypes="f32 f16")
@maker("GlobalLpPool", since=2, until=21, dtypes="f32 f16", weight=0.5)
def global_pool(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 30, (3, 5))
    if x is None:
        return False
    shape = (*x.shape[:2], *((g.dim(1),) * (x.rank - 2)))
    attrs = {"p": g.draws.integer(1, 2)} if op == "GlobalLpPool" else {}
    top = x.magnitude * (x.elements if op == "GlobalLpPool" else 1)
    if top > PROVIDER_LIMIT:
        return False
    g.node(op, [x], x.dtype, shape, (-top, top), **attrs)
    return True


@maker("LRN", dtypes="f32 f16", weight=0.7)
def lrn(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 20, (4, 4))
    if x is None:
        return False
    attrs = {"size": g.draws.pick((1, 3, 5)), "bias": 1.0}
    attrs["alpha"] = g.draws.pick((1e-4, 0.1))
    if g.draws.chance(0.5):
        attrs["beta"] = g.draws.pick((0.5, 0.75))
    g.node(op, [x], x.dtype, x.shape, (x.low, x.high), **attrs)
    return True


TRANSFORMS = ("half_pixel", "asymmetric", "align_corners", "pytorch_half_pixel")


@maker("Resize", since=11, dtypes="f32", weight=1.5)
def resize(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, math.inf, (4, 4))
    if x is None or not all(dim.fixed for dim in x.shape[2:]):
        return False
    mode = g.draws.pick(("nearest", "linear"))
    attrs: dict[str, object] = {"mode": mode}
    attrs["coordinate_transformation_mode"] = g.draws.pick(TRANSFORMS)
    if mode == "nearest":
        rounding = ("round_prefer_floor", "floor", "ceil", "round_prefer_ceil")
        attrs["nearest_mode"] = g.draws.pick(rounding)
    scales = [g.draws.pick((0.5, 1.0, 1.5, 2.0, 2.0, 3.0)) for _ in range(2)]
    sides = [int(np.floor(dim[0] * scale)) for dim, scale in zip(x.shape[2:], scales, strict=True)]
    if min(sides) < 1:
        return False
    empty = g.given(np.zeros(0, np.float32), "f32") if g.opset < 13 else None
    if g.draws.chance(0.6) or x.shape[0].fixed is None:
        inputs = [x, empty, g.given(np.array([1, 1, *scales], np.float32), "f32")]
    else:
        sizes = g.ints([x.shape[0][0], x.shape[1][0], *sides])
        none = g.given(np.zeros(0, np.float32), "f32") if g.opset < 13 else None
        inputs = [x, empty, none, sizes]
    shape = (*x.shape[:2], *g.dims(*sides))
    if not g.fits(shape):
        return False
    g.node(op, inputs, x.dtype, shape, (x.low, x.high), **attrs)
    return True
