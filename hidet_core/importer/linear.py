"""Gemm and MatMul (and their kin): everything is the operator matmul, with transposes and scalings
around it."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .context import Context
from .registry import MICROSOFT, onnx_op


def swap_last(ctx: Context, value: Value) -> Value:
    """The matrix transposed."""
    rank = value.type.rank
    return ctx.builder.transpose(value, (*range(rank - 2), rank - 1, rank - 2))


def scaled(ctx: Context, value: Value, factor: float) -> Value:
    return value if factor == 1 else ctx.emit("mul", value, ctx.scalar(factor, value))


@onnx_op("Gemm")
def gemm(ctx: Context) -> Value:
    a, b = ctx.value(0), ctx.value(1)
    a = swap_last(ctx, a) if ctx.attr("transA", 0) else a
    b = swap_last(ctx, b) if ctx.attr("transB", 0) else b
    y = scaled(ctx, ctx.emit("matmul", a, b), float(ctx.attr("alpha", 1.0)))
    beta = float(ctx.attr("beta", 1.0))
    if ctx.has(2) and beta != 0:
        y = ctx.emit("add", y, scaled(ctx, ctx.value(2), beta))
    return y


def matmul_any_rank(ctx: Context, a: Value, b: Value) -> Value:
    """NumPy's rule: a vector becomes a row (left) or column (right), that dim goes again."""
    if a.type.rank == 0 or b.type.rank == 0:
        ctx.fail(f"operands {a.type} and {b.type} need at least one dim each")
    left, right = a.type.rank == 1, b.type.rank == 1
    if left:
        a = ctx.builder.reshape(a, (1, *a.type.shape))
    if right:
        b = ctx.builder.reshape(b, (*b.type.shape, 1))
    y = ctx.emit("matmul", a, b)
    shape = list(y.type.shape)
    if right:
        del shape[-1]
    if left:
        del shape[-1 if right else -2]
    return ctx.builder.reshape(y, shape)


@onnx_op("MatMul")
def matmul(ctx: Context) -> Value:
    return matmul_any_rank(ctx, ctx.value(0), ctx.value(1))


@onnx_op("FusedMatMul", domain=MICROSOFT)
def fused_matmul(ctx: Context) -> Value:
    a, b = (_turned(ctx, ctx.value(place), side) for place, side in enumerate("AB"))
    return scaled(ctx, matmul_any_rank(ctx, a, b), float(ctx.attr("alpha", 1.0)))


def _turned(ctx: Context, value: Value, side: str) -> Value:
    """An operand as it is multiplied: transBatch says that the rows stand before the batch dims."""
    rank = value.type.rank
    if ctx.attr(f"transBatch{side}", 0) and rank > 2:
        value = ctx.builder.transpose(value, (*range(1, rank - 1), 0, rank - 1))
    return swap_last(ctx, value) if ctx.attr(f"trans{side}", 0) and rank > 1 else value


@onnx_op("Det", since=11)
def det(ctx: Context) -> Value:
    return ctx.emit("det", ctx.value(0))
