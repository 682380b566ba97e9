"""Normalisation over the last axis: softmax, log_softmax, layer_norm(x, scale?, bias?),
rms_norm(x, scale?).

attrs of the norms: eps. Scale and bias are vectors of the last axis, of the same dtype or another
float. Each has statistics as definitions of their own (shape without the last axis; of 16-bit
floats in f32), then the output, rounded once.
"""

from __future__ import annotations

from collections.abc import Callable

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import dim_expr, same_dim
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import DType, f64
from hidet_core.ir.expr import Buffer, Expr, cast, load, unary
from hidet_core.ir.widen import narrowed, wide_load, wide_type

from .registry import Attrs, DefineOne, Types, operator


def _row(
    op: str, name: str, x: Buffer, term: Callable[..., Expr], post: Callable[[Expr], Expr]
) -> Definition:
    """A statistic of each row: post(op over the last axis of term(k, row index...))."""

    def value(*axes: Expr) -> Expr:
        return post(reduce_over(op, (x.shape[-1],), lambda k: term(k, *axes)))

    return compute(name, wide_type(x.dtype), x.shape[:-1], value)


def _same(value: Expr) -> Expr:
    return value


def _infer_softmax(types: Types, attrs: Attrs) -> TensorType:
    if types[0].rank < 1 or not types[0].dtype.is_float:
        raise Unsupported("softmax", f"expected floats with at least one dim, got {types[0]}")
    return types[0]


def _softmax(is_log: bool) -> DefineOne:
    def define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
        (x,) = inputs
        top = _row("max", "row_max", x, lambda k, *row: wide_load(x, *row, k), _same)

        def shifted(*axes: Expr) -> Expr:
            return wide_load(x, *axes) - load(top.out, *axes[:-1])

        total = _row("sum", "row_sum", x, lambda k, *row: unary("exp", shifted(*row, k)), _same)

        def value(*axes: Expr) -> Expr:
            scale = load(total.out, *axes[:-1])
            result = (
                shifted(*axes) - unary("log", scale)
                if is_log
                else unary("exp", shifted(*axes)) / scale
            )
            return narrowed(result, out.dtype)

        return (
            top,
            total,
            compute("log_softmax" if is_log else "softmax", out.dtype, out.shape, value),
        )

    return define


operator("softmax", "anchor", _infer_softmax, _softmax(is_log=False))
operator("log_softmax", "anchor", _infer_softmax, _softmax(is_log=True))


def _infer_norm(types: Types, attrs: Attrs) -> TensorType:
    x = types[0]
    for vector in types[1:]:
        fits = vector.rank == 1 and same_dim(vector.shape[0], x.shape[-1])
        if not fits or not vector.dtype.is_float or (vector.dtype == f64) != (x.dtype == f64):
            raise Unsupported(
                "layer_norm", f"expected vectors over the last axis of {x}, got {vector}"
            )
    return _infer_softmax(types[:1], attrs)


def _define_layer_norm(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x = inputs[0]
    count = cast(dim_expr(x.shape[-1]), wide_type(x.dtype))

    def element(k: Expr, *row: Expr) -> Expr:
        return wide_load(x, *row, k)

    mean = _row("sum", "row_mean", x, element, lambda total: total / count)

    def centred(*axes: Expr) -> Expr:
        return wide_load(x, *axes) - load(mean.out, *axes[:-1])

    def square(k: Expr, *row: Expr) -> Expr:
        return centred(*row, k) * centred(*row, k)

    variance = _row("sum", "row_variance", x, square, lambda total: total / count)
    normal = _normalised(variance, centred, inputs[1:], attrs["eps"], out.dtype)
    return mean, variance, compute("layer_norm", out.dtype, out.shape, normal)


def _define_rms_norm(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x = inputs[0]
    count = cast(dim_expr(x.shape[-1]), wide_type(x.dtype))

    def element(*axes: Expr) -> Expr:
        return wide_load(x, *axes)

    def square(k: Expr, *row: Expr) -> Expr:
        return element(*row, k) * element(*row, k)

    mean_square = _row("sum", "row_mean_square", x, square, lambda total: total / count)
    normal = _normalised(mean_square, element, inputs[1:], attrs["eps"], out.dtype)
    return mean_square, compute("rms_norm", out.dtype, out.shape, normal)


def _normalised(
    spread: Definition,
    element: Callable[..., Expr],
    vectors: tuple[Buffer, ...],
    eps: float,
    dtype: DType,
) -> Callable[..., Expr]:
    """element / sqrt(spread + eps) [* scale [+ bias]], as dtype."""

    def value(*axes: Expr) -> Expr:
        result = element(*axes) * (1.0 / unary("sqrt", load(spread.out, *axes[:-1]) + eps))
        if vectors:
            result = result * wide_load(vectors[0], axes[-1])
        if len(vectors) > 1:
            result = result + wide_load(vectors[1], axes[-1])
        return narrowed(result, dtype)

    return value


operator("layer_norm", "anchor", _infer_norm, _define_layer_norm)
operator("rms_norm", "anchor", _infer_norm, _define_rms_norm)
