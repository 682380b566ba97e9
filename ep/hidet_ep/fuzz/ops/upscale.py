"""ConvTranspose, LpPool, Upsample."""

from __future__ import annotations

import math

import numpy as np

from ..draft import Draft, Want
from .spatial import PROVIDER_LIMIT, drawn_window, image
from .table import maker


@maker("ConvTranspose", dtypes="f32", weight=2)
def conv_transpose(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 20, (3, 5))
    if x is None:
        return False
    channels, spatial = x.shape[1].fixed or 1, x.shape[2:]
    kernel = [g.draws.pick((1, 2, 3)) for _ in spatial]
    strides = [g.draws.pick((1, 2, 2, 3)) for _ in spatial]
    dilations = [2 if g.draws.chance(0.15) else 1 for _ in spatial]
    reach = [(k - 1) * d + 1 for k, d in zip(kernel, dilations, strict=True)]
    pads = [g.draws.integer(0, r // 2) if g.draws.chance(0.5) else 0 for r in (*reach, *reach)]
    extra = [g.draws.integer(0, s - 1) if g.draws.chance(0.3) else 0 for s in strides]
    groups = g.draws.pick([n for n in (1, 1, 2, channels) if channels % n == 0])
    each = g.draws.pick((1, 2, 3))
    bound = 1.5 / math.sqrt(channels // groups)
    w = g.constant(x.dtype, (channels, each, *kernel), -bound, bound)
    inputs = [x, w] + ([g.source(x.dtype, g.dims(each * groups))] if g.draws.chance(0.5) else [])
    axes = range(len(kernel))
    out = [
        spatial[k]
        .plus(-1)
        .times(strides[k])
        .plus(extra[k] + reach[k] - pads[k] - pads[k + len(kernel)])
        for k in axes
    ]
    top = x.magnitude * w.magnitude * channels * math.prod(kernel) + 2
    shape = (x.shape[0], g.dim(each * groups), *out)
    if not g.fits(shape) or top > PROVIDER_LIMIT or not all(min(dim) > 0 for dim in out):
        return False
    attrs = {"strides": strides, "pads": pads, "group": groups, "dilations": dilations}
    if any(extra):
        attrs["output_padding"] = extra
    kept = {name: attrs[name] for name in attrs if name != "dilations" or max(dilations) > 1}
    g.node(op, inputs, x.dtype, shape, (-top, top), **kept)
    return True


@maker("LpPool", since=11, dtypes="f32", weight=0.7)
def lp_pool(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 30, (3, 5))
    window = None
    if x is not None:
        window = drawn_window(g, x.shape[2:], dilated=g.opset >= 18, ceil=g.opset >= 18)
    if x is None or window is None:
        return False
    attrs = {**window.attrs, "kernel_shape": window.kernel, "p": g.draws.integer(1, 3)}
    shape = (*x.shape[:2], *window.out)
    top = x.magnitude * math.prod(window.kernel)
    if not g.fits(shape) or top > PROVIDER_LIMIT:
        return False
    g.node(op, [x], x.dtype, shape, (0, top), **attrs)
    return True


@maker("Upsample", since=7, until=9, dtypes="f32", weight=2)
def upsample(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, rank=(4, 4), filled=True, static=True))
    if x is None:
        return False
    scales = [1.0, 1.0, *(g.draws.pick((1.0, 1.5, 2.0, 3.0)) for _ in range(2))]
    sizes = [int(np.floor(n * scale)) for n, scale in zip(x.sizes, scales, strict=True)]
    shape, mode = g.dims(*sizes), g.draws.pick(("nearest", "linear"))
    if not g.fits(shape):
        return False
    bounds = (x.low, x.high)
    if g.opset < 9:
        g.node(op, [x], x.dtype, shape, bounds, mode=mode, scales=scales)
    else:
        given = g.given(np.array(scales, np.float32), "f32")
        g.node(op, [x, given], x.dtype, shape, bounds, mode=mode)
    return True
