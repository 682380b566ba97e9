"""Resize and Upsample: every axis is resized on its own.

Nearest picks by positions, or repeats each element where that is the same; linear and cubic are
weighted sums of 2 and 4 neighbours, of more with antialias. Coordinates are float32, as in ONNX
Runtime; they are constants of the compiler where sizes are known, else computed by the kernel.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np

from hidet_core.compute.dims import Dim, same_dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import f64, i64
from hidet_core.ops.resample import TRANSFORMS, only_position, original_position

from .context import Context
from .registry import onnx_op

# nearest modes for which a whole scale means repeating each element
REPEATING = {
    ("asymmetric", "floor"),
    ("asymmetric", "simple"),
    ("half_pixel", "round_prefer_floor"),
    ("half_pixel", "round_prefer_ceil"),
}
MODES = ("nearest", "linear", "cubic")
POLICIES = {"not_larger": min, "not_smaller": max}
TIE = 1e-6  # as ONNX Runtime has it: coordinates this near to a half count as one
EXACT_DENOMINATOR = 1 << 8  # of scales of symbolic sizes


@dataclass(frozen=True)
class Method:
    """mode: one of MODES; rounding: of nearest ("simple" is that before version 11)."""

    mode: str
    transform: str
    rounding: str = "simple"
    cubic_a: float = -0.75
    exclude_outside: bool = False
    antialias: bool = False


@dataclass(frozen=True, eq=False)
class Axis:
    """scale: None where it is out / size. region: start and end, of tf_crop_and_resize."""

    index: int
    size: Dim
    out: Dim
    scale: float | None
    region: tuple[float, float] = (0.0, 1.0)

    @property
    def is_static(self) -> bool:
        return isinstance(self.size, int) and isinstance(self.out, int)

    @property
    def ratio(self) -> np.float32:
        """Of a static axis."""
        if self.scale is not None:
            return np.float32(self.scale)
        return np.float32(self.out) / np.float32(self.size)


@onnx_op("Upsample", since=7)
def upsample_7(ctx: Context) -> Value:
    return _upsample(ctx, [float(s) for s in ctx.attr("scales")])


@onnx_op("Upsample", since=9)
@onnx_op("Resize", since=10)
def resize_10(ctx: Context) -> Value:
    return _upsample(ctx, ctx.constant(1, "scales").astype(np.float32).tolist())


def _upsample(ctx: Context, scales: list[float]) -> Value:
    method = Method(_mode(ctx), "asymmetric")
    return _resize(ctx, _scaled_axes(ctx, range(len(scales)), scales), method)


def _mode(ctx: Context) -> str:
    mode = ctx.attr("mode", "nearest")
    if mode not in MODES:
        ctx.fail(f"mode {mode!r} is unknown")
    return mode


@onnx_op("Resize", since=11)
def resize_11(ctx: Context) -> Value:
    rank = ctx.value(0).type.rank
    indices = [ctx.normal_axis(a, rank) for a in ctx.int_list("axes", range(rank))]
    transform = ctx.attr("coordinate_transformation_mode", "half_pixel")
    if transform not in TRANSFORMS:
        ctx.fail(f"coordinate_transformation_mode {transform!r} is unknown")
    method = Method(
        _mode(ctx),
        transform,
        ctx.attr("nearest_mode", "round_prefer_floor"),
        float(ctx.attr("cubic_coeff_a", -0.75)),
        bool(ctx.attr("exclude_outside", 0)),
        bool(ctx.attr("antialias", 0)),
    )
    scales = ctx.constant(2, "scales").tolist() if ctx.has(2) else []
    if scales and transform == "tf_crop_and_resize":
        ctx.fail("tf_crop_and_resize with scales")
    if scales:
        axes = _scaled_axes(ctx, indices, scales)
    else:
        axes = _sized_axes(ctx, indices)
    return _resize(ctx, axes, method)


def _scaled_axes(ctx: Context, indices: Sequence[int], scales: Sequence[float]) -> list[Axis]:
    shape = ctx.value(0).type.shape
    if len(scales) != len(indices) or min(scales) <= 0:
        ctx.fail(f"scales {list(scales)} do not fit {len(indices)} axes")
    return [
        Axis(index, shape[index], _scaled(ctx, shape[index], scale), float(np.float32(scale)))
        for index, scale in zip(indices, scales, strict=True)
    ]


def _scaled(ctx: Context, size: Dim, scale: float) -> Dim:
    """floor(size * scale), as float32 has it."""
    if isinstance(size, int):
        return int(np.floor(np.float32(size) * np.float32(scale)))
    exact = Fraction(float(np.float32(scale)))
    if exact.denominator > EXACT_DENOMINATOR:
        ctx.fail(f"a scale of {scale} on a symbolic size")
    return simplify(size * exact.numerator // exact.denominator)


def _sized_axes(ctx: Context, indices: Sequence[int]) -> list[Axis]:
    shape, sizes = ctx.value(0).type.shape, list(ctx.dims(3, "sizes"))
    if len(sizes) != len(indices):
        ctx.fail(f"sizes {sizes} do not fit {len(indices)} axes")
    policy, scale = ctx.attr("keep_aspect_ratio_policy", "stretch"), None
    if policy != "stretch":
        pairs = [(sizes[k], shape[index]) for k, index in enumerate(indices)]
        if policy not in POLICIES or not all(isinstance(n, int) for pair in pairs for n in pair):
            ctx.fail(f"keep_aspect_ratio_policy {policy!r} of symbolic sizes")
        ratios = [np.float32(out) / np.float32(size) for out, size in pairs]
        scale = float(POLICIES[policy](ratios))
        sizes = [int(np.floor(np.float32(scale) * np.float32(n) + 0.5)) for _, n in pairs]
    region = _region(ctx, len(indices))
    return [
        Axis(index, shape[index], sizes[k], scale, region[k]) for k, index in enumerate(indices)
    ]


def _region(ctx: Context, count: int) -> list[tuple[float, float]]:
    """Start and end of each axis, relative to its size."""
    if ctx.attr("coordinate_transformation_mode", "half_pixel") != "tf_crop_and_resize":
        return [(0.0, 1.0)] * count
    roi = ctx.constant(1, "roi").astype(np.float32).tolist()
    if len(roi) != 2 * count:
        ctx.fail(f"roi {roi} does not fit {count} axes")
    return list(zip(roi[:count], roi[count:], strict=True))


def _resize(ctx: Context, axes: Sequence[Axis], method: Method) -> Value:
    x = ctx.value(0)
    if method.mode != "nearest" and not x.type.dtype.is_float:
        ctx.fail(f"mode {method.mode} of {x.type}")
    outside: list[Value] = []
    for axis in axes:
        if axis.scale == 1 or (axis.scale is None and same_dim(axis.size, axis.out)):
            continue
        if not axis.is_static and method.antialias and method.mode != "nearest":
            ctx.fail(f"antialias along axis {axis.index} of {x.type}, which is symbolic")
        if method.antialias and method.mode != "nearest":
            x = _antialiased(ctx, x, axis, method)
        elif method.mode == "nearest":
            x = _nearest(ctx, x, axis, method)
        else:
            x = _interpolated(ctx, x, axis, method)
        if method.transform == "tf_crop_and_resize":
            outside.append(_outside(ctx, x.type.rank, axis, method))
    fill = ctx.scalar(float(ctx.attr("extrapolation_value", 0.0)), x)
    for mask in outside:
        x = ctx.emit("where", mask, fill, x)
    return x


def _coordinates(ctx: Context, axis: Axis, method: Method) -> Value:
    """f32[out]: where in the input each output position lies."""
    if axis.is_static:
        return ctx.builder.constant(_static_coordinates(axis, method.transform), "coordinates")
    return ctx.emit(
        "coordinates",
        size=axis.size,
        out=axis.out,
        scale=axis.scale,
        transform=method.transform,
        region=axis.region,
    )


def _static_coordinates(axis: Axis, transform: str) -> np.ndarray:
    region = (np.float32(axis.region[0]), np.float32(axis.region[1]))
    size, out = np.float32(axis.size), np.float32(axis.out)
    only = only_position(transform, size, region) if axis.out == 1 else None
    if only is not None:
        return np.full(1, only, np.float32)
    at = np.arange(axis.out, dtype=np.float32)
    return original_position(transform, at, (size, out), axis.ratio, region)


def _outside(ctx: Context, rank: int, axis: Axis, method: Method) -> Value:
    """Which outputs lie outside of the input along an axis."""
    at = _coordinates(ctx, axis, method)
    last = ctx.builder.cast(_sizes(ctx, axis.size - 1), at.type.dtype)
    mask = ctx.emit("or", ctx.emit("lt", at, ctx.scalar(0, at)), ctx.emit("gt", at, last))
    return ctx.builder.reshape(mask, [axis.out if k == axis.index else 1 for k in range(rank)])


def _sizes(ctx: Context, dim: Dim) -> Value:
    """A dim as an i64 tensor of one element."""
    if isinstance(dim, int):
        return ctx.builder.constant(np.array([dim], np.int64), "size")
    return ctx.emit("dims", dims=(simplify(dim),), shape=(1,))


def _inside(ctx: Context, at: Value, size: Dim) -> Value:
    """Positions as i64 in [0, size)."""
    at = ctx.emit("maximum", ctx.builder.cast(at, i64), _sizes(ctx, 0))
    return ctx.emit("minimum", at, _sizes(ctx, size - 1))


def _nearest(ctx: Context, x: Value, axis: Axis, method: Method) -> Value:
    rank, scale = x.type.rank, axis.scale
    if scale is not None and (method.transform, method.rounding) in REPEATING:
        if scale == int(scale):
            factors = [int(scale) if k == axis.index else 1 for k in range(rank)]
            return ctx.emit("upsample", x, scales=tuple(factors))
    at = _coordinates(ctx, axis, method)
    positions = _inside(ctx, _rounded(ctx, at, axis, method.rounding), axis.size)
    table = ctx.builder.constants.get(positions)
    if table is not None:
        factor = len(table) // max(int(axis.size), 1)
        repeats = np.arange(len(table)) // max(factor, 1)
        if factor * int(axis.size) == len(table) and (table == repeats).all():
            scales = tuple(factor if k == axis.index else 1 for k in range(rank))
            return ctx.emit("upsample", x, scales=scales)
    return ctx.emit("gather", x, positions, axis=axis.index)


def _rounded(ctx: Context, at: Value, axis: Axis, rounding: str) -> Value:
    half = ctx.scalar(0.5 + TIE, at)
    match rounding:
        case "floor":
            return ctx.emit("floor", at)
        case "ceil":
            return ctx.emit("ceil", at)
        case "round_prefer_ceil":
            return ctx.emit("floor", ctx.emit("add", at, half))
        case "round_prefer_floor":
            return ctx.emit("ceil", ctx.emit("sub", at, half))
        case "simple":
            shrinks = axis.scale is not None and axis.scale < 1
            return ctx.emit("ceil" if shrinks else "floor", at)
    return ctx.fail(f"nearest_mode {rounding!r} is unknown")


def _interpolated(ctx: Context, x: Value, axis: Axis, method: Method) -> Value:
    """Weighted sums of the 2 or 4 nearest elements."""
    at = _coordinates(ctx, axis, method)
    if method.mode == "linear":
        last = ctx.builder.cast(_sizes(ctx, axis.size - 1), at.type.dtype)
        at = ctx.emit("minimum", ctx.emit("maximum", at, ctx.scalar(0, at)), last)
    low = ctx.emit("floor", at)
    rest = ctx.emit("sub", at, low)
    rest = ctx.builder.cast(rest, f64) if x.type.dtype == f64 else rest
    first = ctx.builder.cast(low, i64)
    if method.mode == "linear":
        one = ctx.scalar(1, rest)
        weights, offset = [ctx.emit("sub", one, rest), rest], 0
    else:
        weights, offset = _cubic_weights(ctx, rest, method.cubic_a), -1
    steps = [ctx.scalar(k + offset, first) for k in range(len(weights))]
    places = [ctx.emit("add", first, step) for step in steps]
    inside = [_inside(ctx, place, axis.size) for place in places]
    if method.exclude_outside and method.mode == "cubic":
        weights = _without_outside(ctx, weights, places, inside)
    pairs = [value for pair in zip(inside, weights, strict=True) for value in pair]
    return ctx.emit("resample", x, *pairs, axis=axis.index)


def _cubic_weights(ctx: Context, rest: Value, a: float) -> list[Value]:
    """Of the elements at -1, 0, 1 and 2, for a position in [0, 1) (Keys, 1981)."""

    def polynomial(t: Value, *coefficients: float) -> Value:
        total = ctx.scalar(coefficients[0], t)
        for number in coefficients[1:]:
            total = ctx.emit("add", ctx.emit("mul", total, t), ctx.scalar(number, t))
        return total

    def shifted(by: float, sign: str = "add") -> Value:
        number = ctx.scalar(by, rest)
        return ctx.emit("add", rest, number) if sign == "add" else ctx.emit("sub", number, rest)

    near, far = (a + 2, -(a + 3), 0.0, 1.0), (a, -5 * a, 8 * a, -4 * a)
    return [
        polynomial(shifted(1), *far),
        polynomial(rest, *near),
        polynomial(shifted(1, "sub"), *near),
        polynomial(shifted(2, "sub"), *far),
    ]


def _without_outside(
    ctx: Context, weights: list[Value], places: list[Value], inside: list[Value]
) -> list[Value]:
    """Weights of elements that exist, scaled to a sum of 1."""
    zero = ctx.scalar(0, weights[0])
    kept = [
        ctx.emit("where", ctx.emit("eq", place, within), weight, zero)
        for place, within, weight in zip(places, inside, weights, strict=True)
    ]
    total = kept[0]
    for weight in kept[1:]:
        total = ctx.emit("add", total, weight)
    return [ctx.emit("div", weight, total) for weight in kept]


def _antialiased(ctx: Context, x: Value, axis: Axis, method: Method) -> Value:
    """Weighted sums over a window that grows as the image shrinks."""
    positions, weights = antialias_taps(axis, method)
    dtype = np.float64 if x.type.dtype == f64 else np.float32
    return ctx.emit(
        "resample_long",
        x,
        ctx.builder.constant(np.ascontiguousarray(positions.T), "positions"),
        ctx.builder.constant(np.ascontiguousarray(weights.T.astype(dtype)), "weights"),
        axis=axis.index,
    )


def antialias_taps(axis: Axis, method: Method) -> tuple[np.ndarray, np.ndarray]:
    """Positions and weights [out, taps]; what lies outside counts as the edge or, with
    exclude_outside, not at all.
    """
    size, shrink = int(axis.size), max(1.0, 1.0 / float(axis.ratio))
    support = (1.0 if method.mode == "linear" else 2.0) * shrink
    centre = _static_coordinates(axis, method.transform).astype(np.float64) + 0.5
    first = np.floor(centre - support + 0.5).astype(np.int64)
    last = np.floor(centre + support + 0.5).astype(np.int64)
    positions = first[:, None] + np.arange(max(int((last - first).max()), 1))
    distance = np.abs(positions + 0.5 - centre[:, None]) / shrink
    weights = _filter(distance, method) * (positions < last[:, None])
    if method.exclude_outside:
        weights = weights * ((positions >= 0) & (positions < size))
    weights /= weights.sum(1, keepdims=True)
    return np.clip(positions, 0, size - 1), weights


def _filter(distance: np.ndarray, method: Method) -> np.ndarray:
    if method.mode == "linear":
        return np.maximum(1 - distance, 0)
    a, t = method.cubic_a, distance
    near = ((a + 2) * t - (a + 3)) * t * t + 1
    far = (((t - 5) * t + 8) * t - 4) * a
    return np.where(t < 1, near, np.where(t < 2, far, 0))
