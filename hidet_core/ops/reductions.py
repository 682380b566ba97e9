"""reduce: one operator for all of ONNX's Reduce*; arg_reduce: ArgMax and ArgMin.

reduce attrs: op (a name of REDUCE_OPS; of bools any and all), axes (sorted, >= 0), keepdims. Means
of integers truncate.
arg_reduce attrs: op max | min, axis, keepdims, last (which of equal elements): i64 positions.
16-bit floats are accumulated in f32.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import Dim, dim_expr, product
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import DType, i64
from hidet_core.ir.expr import Buffer, Expr, cast, eq, load, minimum, select, unary
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .arithmetic import truncating_div
from .registry import Attrs, Types, operator

Step = Callable[[Expr], Expr]


def _same(value: Expr) -> Expr:
    return value


def _square(value: Expr) -> Expr:
    return value * value


def _log(value: Expr) -> Expr:
    return unary("log", value)


# name: (reduction, before, after); mean and logsumexp have their own functions
REDUCE_OPS: dict[str, tuple[str, Step, Step]] = {
    "sum": ("sum", _same, _same),
    "mean": ("sum", _same, _same),
    "max": ("max", _same, _same),
    "min": ("min", _same, _same),
    "prod": ("prod", _same, _same),
    "any": ("any", _same, _same),
    "all": ("all", _same, _same),
    "l1": ("sum", lambda v: unary("abs", v), _same),
    "l2": ("sum", _square, lambda v: unary("sqrt", v)),
    "sumsq": ("sum", _square, _same),
    "logsum": ("sum", _same, _log),
    "logsumexp": ("sum", lambda v: unary("exp", v), _log),
}


def reduced_shape(shape: Sequence[Dim], axes: Sequence[int], keepdims: bool) -> tuple[Dim, ...]:
    if keepdims:
        return tuple(1 if k in axes else dim for k, dim in enumerate(shape))
    return tuple(dim for k, dim in enumerate(shape) if k not in axes)


def _infer(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    if attrs["op"] not in REDUCE_OPS:
        raise Unsupported("reduce", f"unknown op {attrs['op']!r}, known: {', '.join(REDUCE_OPS)}")
    if x.dtype.is_bool != (attrs["op"] in ("any", "all")):
        raise Unsupported("reduce", f"{attrs['op']} of {x} is not supported")
    return TensorType(x.dtype, reduced_shape(x.shape, attrs["axes"], attrs["keepdims"]))


def _full_index(
    rank: int, axes: Sequence[int], keepdims: bool, at: Sequence[Expr], inner: Sequence[Expr]
) -> list[Expr]:
    """Index into the input from the output's index and the reduced indices."""
    outer = [at[k] for k in range(rank) if k not in axes] if keepdims else list(at)
    rest, reduced = iter(outer), iter(inner)
    return [next(reduced) if k in axes else next(rest) for k in range(rank)]


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    (x,) = inputs
    axes, keepdims = attrs["axes"], attrs["keepdims"]
    extents = tuple(x.shape[k] for k in axes)
    op, before, after = REDUCE_OPS[attrs["op"]]

    def over(op: str, at: Sequence[Expr], step: Step) -> Expr:
        def term(*inner: Expr) -> Expr:
            return step(wide_load(x, *_full_index(len(x.shape), axes, keepdims, at, inner)))

        return reduce_over(op, extents, term)

    if attrs["op"] == "logsumexp":
        return _log_sum_exp(wide_type(x.dtype), out, over)

    def value(*at: Expr) -> Expr:
        total = after(over(op, at, before))
        if attrs["op"] == "mean":
            total = _mean(total, product(extents))
        return narrowed(total, out.dtype)

    return (compute("reduce", out.dtype, out.shape, value),)


def _mean(total: Expr, count: Dim) -> Expr:
    if total.dtype.is_int:
        return truncating_div(total, cast(dim_expr(count), total.dtype))
    return (
        total * (1.0 / count)
        if isinstance(count, int)
        else total / cast(dim_expr(count), total.dtype)
    )


def _log_sum_exp(
    dtype: DType, out: TensorType, over: Callable[..., Expr]
) -> tuple[Definition, ...]:
    """Shifted by the maximum (where that is finite), so that exp cannot overflow."""

    def shift(*at: Expr) -> Expr:
        top = over("max", at, _same)
        return select(unary("isinf", top), 0, top)

    top = compute("shift", dtype, out.shape, shift)

    def value(*at: Expr) -> Expr:
        offset = load(top.out, *at)
        total = over("sum", at, lambda v: unary("exp", v - offset))
        return narrowed(unary("log", total) + offset, out.dtype)

    return top, compute("reduce", out.dtype, out.shape, value)


operator("reduce", "reduce", _infer, _define)


def _infer_arg(types: Types, attrs: Attrs) -> TensorType:
    return TensorType(i64, reduced_shape(types[0].shape, (attrs["axis"],), attrs["keepdims"]))


def _define_arg(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    """The extreme of each row, then the first (last) position that holds it."""
    (x,) = inputs
    axis, keepdims, rank = attrs["axis"], attrs["keepdims"], len(x.shape)
    extent = dim_expr(x.shape[axis])

    def best(*at: Expr) -> Expr:
        def element(k: Expr) -> Expr:
            return wide_load(x, *_full_index(rank, (axis,), keepdims, at, (k,)))

        return reduce_over(attrs["op"], (x.shape[axis],), element)

    extreme = compute("extreme", wide_type(x.dtype), out.shape, best)

    def value(*at: Expr) -> Expr:
        top = load(extreme.out, *at)

        def position(k: Expr) -> Expr:
            here = wide_load(x, *_full_index(rank, (axis,), keepdims, at, (k,)))
            return select(eq(here, top), k, -1 if attrs["last"] else extent)

        if attrs["last"]:
            return reduce_over("max", (x.shape[axis],), position)
        return minimum(reduce_over("min", (x.shape[axis],), position), extent - 1)

    return extreme, compute("arg_reduce", i64, out.shape, value)


operator("arg_reduce", "reduce", _infer_arg, _define_arg)
