"""Images read at computed places, between their elements.

grid_sample(x[N, C, *sizes], grid[N, *out, D]) attrs: mode nearest | linear | cubic, padding zeros |
border | reflection, align_corners: x at the places that the grid names, from -1 to 1 along each of
the D axes, the last axis first (Jaderberg et al., NIPS'15).  affine_grid(theta[N, D, D + 1]) attrs:
sizes, align_corners: such a grid [N, *sizes, D] of an affine map.  deform_columns(x[N, H, W, C],
offset[N, G, R, S, 2, OH, OW], mask?[N, G, R, S, OH, OW]) attrs: strides, pads, dilations: the
elements [N, OH, OW, R, S, C] that a deformable convolution multiplies (Dai et al., ICCV'17).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce
from itertools import product
from math import prod

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import Dim, dim_expr
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import DType, i64
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Expr,
    binary,
    both,
    cast,
    load,
    maximum,
    minimum,
    ne,
    select,
    unary,
)
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .registry import Attrs, Types, operator

CUBIC_A = -0.75


@dataclass(frozen=True, eq=False)
class Tap:
    """An element that takes part along one axis: where (inside), with which weight, whether it
    exists (None: always).
    """

    at: Expr
    weight: Expr
    exists: Expr | None = None


def cubic_weights(rest: Expr, a: float = CUBIC_A) -> list[Expr]:
    """Of the elements at -1, 0, 1 and 2, for a place in [0, 1) (Keys, 1981)."""

    def near(t: Expr) -> Expr:
        return (t * (a + 2) - (a + 3)) * t * t + 1.0

    def far(t: Expr) -> Expr:
        return ((t * a - 5 * a) * t + 8 * a) * t - 4 * a

    return [far(rest + 1.0), near(rest), near(1.0 - rest), far(2.0 - rest)]


def linear_taps(place: Expr, size: Dim) -> list[Tap]:
    """The two elements around a place; outside there are none."""
    near = _limited(place, size)
    low = unary("floor", near)
    rest = near - low
    first = cast(low, i64)
    pairs = ((first, 1.0 - rest), (first + 1, rest))
    return [Tap(_clamped(at, size), weight, _inside(at, size)) for at, weight in pairs]


def weighted(taps: Sequence[Sequence[Tap]], element: Callable[..., Expr], dtype: DType) -> Expr:
    """The sum over all combinations of taps of the axes; element(*at) is of `dtype`."""
    total = None
    for chosen in product(*taps):
        value = element(*(tap.at for tap in chosen))
        conditions = [tap.exists for tap in chosen if tap.exists is not None]
        if conditions:
            value = select(reduce(both, conditions), value, Const(0.0, dtype))
        term = value * prod((cast(tap.weight, dtype) for tap in chosen[1:]),
                            start=cast(chosen[0].weight, dtype))  # fmt: skip
        total = term if total is None else total + term
    assert total is not None, "every axis has taps"
    return total


def _limited(place: Expr, size: Dim) -> Expr:
    """A place at most a few elements outside, so that it can be an integer; NaN is far outside."""
    kept = select(place > -4.0, place, -4.0)
    return minimum(kept, cast(dim_expr(size) + 3, place.dtype))


def _clamped(at: Expr, size: Dim) -> Expr:
    return minimum(maximum(at, 0), dim_expr(size) - 1)


def _inside(at: Expr, size: Dim) -> Expr:
    return both(at >= 0, at < dim_expr(size))


def _infer_grid_sample(types: Types, attrs: Attrs) -> TensorType:
    x, grid = types
    if x.rank != grid.rank or grid.shape[-1] != x.rank - 2 or not grid.dtype.is_float:
        raise Unsupported("grid_sample", f"a grid of {grid} does not fit an image of {x}")
    if not x.dtype.is_float or (attrs["mode"] == "cubic" and x.rank != 4):
        raise Unsupported("grid_sample", f"mode {attrs['mode']} of {x}")
    return tensor_type(x.dtype, (*x.shape[:2], *grid.shape[1:-1]))


class _GridAxis:
    """One axis of the image: its size, and between which places it is reflected."""

    def __init__(self, size: Dim, attrs: Attrs, dtype: DType) -> None:
        self.size, self.attrs = size, attrs
        self.count = cast(dim_expr(size), dtype)
        border = 0.0 if attrs["align_corners"] else 0.5
        self.low, self.high = Const(-border, dtype), self.count - (1.0 - border)

    def place(self, at: Expr) -> Expr:
        """The place that the grid's -1 to 1 stands for."""
        if self.attrs["align_corners"]:
            at = (at + 1.0) * 0.5 * (self.count - 1.0)
        else:
            at = ((at + 1.0) * self.count - 1.0) * 0.5
        return unary("round", at) if self.attrs["mode"] == "nearest" else at

    def outside(self, place: Expr) -> Expr:
        return binary("or", place < self.low, place > self.high)

    def moved(self, place: Expr) -> Expr:
        """Where a place is read if any of its coordinates is outside."""
        if self.attrs["padding"] == "border":
            return minimum(maximum(place, 0.0), self.count - 1.0)
        return self.reflected(place) if self.attrs["padding"] == "reflection" else place

    def reflected(self, place: Expr) -> Expr:
        """Folded back at the borders until it is between them."""
        span = self.high - self.low
        beyond = maximum(self.low - place, place - self.high)
        times = unary("floor", beyond / span)
        rest = beyond - times * span
        odd = ne(times, unary("floor", times * 0.5) * 2.0)
        from_low = ne(place < self.low, odd)
        return select(beyond > 0.0, select(from_low, self.low + rest, self.high - rest), place)

    def taps(self, place: Expr) -> list[Tap]:
        low = place if self.attrs["mode"] == "nearest" else unary("floor", place)
        rest = place - low
        match self.attrs["mode"]:
            case "nearest":
                weights, first = [Const(1.0, place.dtype)], 0
            case "linear":
                weights, first = [1.0 - rest, rest], 0
            case _:
                weights, first = cubic_weights(rest), -1
        return [self.tap(low + float(first + k), weight) for k, weight in enumerate(weights)]

    def tap(self, at: Expr, weight: Expr) -> Tap:
        if self.attrs["padding"] == "reflection":
            at = self.reflected(at)
        near = cast(_limited(at, self.size), i64)
        exists = _inside(near, self.size) if self.attrs["padding"] == "zeros" else None
        return Tap(_clamped(near, self.size), weight, exists)


def _define_grid_sample(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, grid = inputs
    count, dtype = len(x.shape) - 2, wide_type(x.dtype)
    axes = [_GridAxis(size, attrs, wide_type(grid.dtype)) for size in x.shape[2:]]
    # at a border a cubic sum reads the edge several times instead
    moves = attrs["padding"] == "reflection" or (
        attrs["padding"] == "border" and attrs["mode"] != "cubic"
    )

    def value(n: Expr, c: Expr, *at: Expr) -> Expr:
        places = [axis.place(wide_load(grid, n, *at, count - 1 - k)) for k, axis in enumerate(axes)]
        if moves:
            pairs = list(zip(axes, places, strict=True))
            is_outside = reduce(
                lambda a, b: binary("or", a, b), (axis.outside(place) for axis, place in pairs)
            )
            places = [select(is_outside, axis.moved(place), place) for axis, place in pairs]
        # the taps of a place far outside have no weights that count
        places = [_limited(place, axis.size) for axis, place in zip(axes, places, strict=True)]
        taps = [axis.taps(place) for axis, place in zip(axes, places, strict=True)]
        total = weighted(taps, lambda *index: wide_load(x, n, c, *index), dtype)
        return narrowed(total, out.dtype)

    return (compute("grid_sample", out.dtype, out.shape, value),)


operator("grid_sample", "injective", _infer_grid_sample, _define_grid_sample)


def _infer_affine_grid(types: Types, attrs: Attrs) -> TensorType:
    (theta,) = types
    count = len(attrs["sizes"])
    if theta.rank != 3 or theta.shape[1:] != (count, count + 1) or not theta.dtype.is_float:
        raise Unsupported("affine_grid", f"{theta} is no affine map of {count} axes")
    return tensor_type(theta.dtype, (theta.shape[0], *attrs["sizes"], count))


def _define_affine_grid(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (theta,) = inputs
    dtype = wide_type(theta.dtype)
    sizes = [cast(dim_expr(size), dtype) for size in attrs["sizes"]]

    def value(n: Expr, *rest: Expr) -> Expr:
        *at, row = rest
        total = wide_load(theta, n, row, len(sizes))
        for k, (place, size) in enumerate(zip(reversed(at), reversed(sizes), strict=True)):
            if attrs["align_corners"]:
                base = cast(place, dtype) * (2.0 / maximum(size - 1.0, 1.0)) - 1.0
            else:
                base = (cast(place, dtype) * 2.0 + 1.0) / size - 1.0
            total = total + wide_load(theta, n, row, k) * base
        return narrowed(total, out.dtype)

    return (compute("affine_grid", out.dtype, out.shape, value),)


operator("affine_grid", "injective", _infer_affine_grid, _define_affine_grid)


def _infer_deform(types: Types, attrs: Attrs) -> TensorType:
    x, offset = types[:2]
    if x.rank != 4 or offset.rank != 7 or not isinstance(x.shape[3], int):
        raise Unsupported("deform_columns", f"offsets of {offset} do not fit an image of {x}")
    groups, rows, columns, _, *out = offset.shape[1:]
    if x.shape[3] % groups:
        raise Unsupported("deform_columns", f"channels of {x} do not fit {groups} groups")
    return tensor_type(x.dtype, (x.shape[0], *out, rows, columns, x.shape[3]))


def _define_deform(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, offset = inputs[:2]
    per_group = int(x.shape[3]) // int(offset.shape[1])
    dtype = wide_type(x.dtype)

    def value(n: Expr, oh: Expr, ow: Expr, r: Expr, s: Expr, c: Expr) -> Expr:
        group, taps = c // per_group, []
        for axis, (at, tap) in enumerate(((oh, r), (ow, s))):
            stride, dilation = attrs["strides"][axis], attrs["dilations"][axis]
            start = cast(at * stride + tap * dilation - attrs["pads"][axis], dtype)
            moved = start + cast(load(offset, n, group, r, s, axis, oh, ow), dtype)
            taps.append(linear_taps(moved, x.shape[1 + axis]))
        total = weighted(taps, lambda y, z: wide_load(x, n, y, z, c), dtype)
        if len(inputs) > 2:
            total = total * cast(load(inputs[2], n, group, r, s, oh, ow), dtype)
        return narrowed(total, out.dtype)

    return (compute("deform_columns", out.dtype, out.shape, value),)


operator("deform_columns", "injective", _infer_deform, _define_deform)
