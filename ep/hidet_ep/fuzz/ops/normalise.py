"""Normalisations over channels, rows and groups."""

from __future__ import annotations

import math

from ..draft import Draft, Val, Want
from .spatial import image
from .table import MICROSOFT, maker

SPREAD = 30.0  # bound of normalised values, about sqrt of a row


def _channels(g: Draft, dtype: str, count: int, low: float = -1.0, high: float = 1.0) -> Val:
    return g.constant(dtype, (count,), low, high)


@maker("BatchNormalization", since=7, dtypes="f32 f16", weight=2)
def batch_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 100, (3, 5))
    if x is None:
        return False
    count = x.shape[1].fixed or 1
    scale, bias, mean = (_channels(g, x.dtype, count) for _ in range(3))
    variance = _channels(g, x.dtype, count, 0.25, 2.0)
    top = 2 * (x.magnitude + 1) + 1
    attrs = {"epsilon": g.draws.pick((1e-5, 1e-3))} if g.draws.chance(0.5) else {}
    g.node(op, [x, scale, bias, mean, variance], x.dtype, x.shape, (-top, top), **attrs)
    return True


def _rows(g: Draft, dtypes: tuple[str, ...], most: int = 4) -> Val | None:
    return g.take(Want(dtypes, -100, 100, (2, most), filled=True, test=has_static_rows))


def has_static_rows(value: Val) -> bool:
    return value.shape[-1].fixed is not None


@maker("LayerNormalization", since=17, dtypes="f32 f16 f64", weight=3)
def layer_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = _rows(g, dtypes)
    if x is None:
        return False
    first = x.rank - 1
    while first > 0 and x.shape[first - 1].fixed is not None and g.draws.chance(0.15):
        first -= 1
    axis = first - x.rank if g.draws.chance(0.7) else first
    shape = x.shape[first:]
    inputs = [x, g.source(x.dtype, shape)]
    if g.draws.chance(0.7):
        inputs.append(g.source(x.dtype, shape))
    attrs: dict[str, object] = {"epsilon": g.draws.pick((1e-5, 1e-2, 0.1))}
    if axis != -1 or g.draws.chance(0.5):
        attrs["axis"] = axis
    g.node(op, inputs, x.dtype, x.shape, (-SPREAD, SPREAD), **attrs)
    return True


@maker("RMSNormalization", since=23, dtypes="f32 f16", weight=1.5)
@maker("SimplifiedLayerNormalization", dtypes="f32", weight=0.7)
def rms_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = _rows(g, dtypes)
    if x is None:
        return False
    scale = g.source(x.dtype, x.shape[-1:])
    g.node(op, [x, scale], x.dtype, x.shape, (-SPREAD, SPREAD), axis=-1, epsilon=1e-2)
    return True


@maker("SkipLayerNormalization", domain=MICROSOFT, dtypes="f32", weight=0.7)
def skip_layer_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(
        Want(dtypes, -50, 50, (3, 3), filled=True, test=lambda v: v.shape[-1].fixed is not None)
    )
    if x is None:
        return False
    skip = g.source(x.dtype, x.shape)
    count = x.shape[-1].fixed or 1
    inputs = [x, skip, *(_channels(g, x.dtype, count) for _ in range(g.draws.integer(1, 3)))]
    row = (x.dtype, x.shape, -SPREAD, SPREAD)
    results = [row] if g.draws.chance(0.6) else [row, None, None, (x.dtype, x.shape, -60.0, 60.0)]
    g.nodes_of(op, inputs, results, MICROSOFT, epsilon=1e-2)
    return True


@maker("InstanceNormalization", since=6, dtypes="f32 f16")
@maker("GroupNormalization", since=21, dtypes="f32 f16")
def instance_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 50, (3, 4))
    if x is None:
        return False
    count = x.shape[1].fixed or 1
    vectors = [_channels(g, x.dtype, count) for _ in range(2)]
    attrs: dict[str, object] = {"epsilon": g.draws.pick((1e-3, 0.1))}
    if op == "GroupNormalization":
        attrs["num_groups"] = g.draws.pick([n for n in range(1, count + 1) if count % n == 0])
    g.node(op, [x, *vectors], x.dtype, x.shape, (-SPREAD, SPREAD), **attrs)
    return True


@maker("MeanVarianceNormalization", since=9, dtypes="f32", weight=0.3)
def mean_variance(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = image(g, dtypes, 50, (4, 4))
    if x is None or math.prod(min(dim) for dim in x.shape[2:]) < 4:
        return False
    attrs = {"axes": g.draws.pick(([0, 2, 3], [0, 1, 2, 3]))} if g.draws.chance(0.5) else {}
    g.node(op, [x], x.dtype, x.shape, (-SPREAD, SPREAD), **attrs)
    return True


@maker("LpNormalization", dtypes="f32 f64", weight=0.7)
def lp_norm(g: Draft, op: str, dtypes: tuple[str, ...]) -> bool:
    x = g.take(Want(dtypes, -50, 50, (1, 4), filled=True))
    if x is None:
        return False
    attrs = {"p": g.draws.integer(1, 2), "axis": g.draws.pick((-1, 0))}
    g.node(op, [x], x.dtype, x.shape, (-1, 1), **attrs)
    return True
