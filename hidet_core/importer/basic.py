"""Elementwise arithmetic, comparison, logic and casts; on shape values also with symbolic sizes."""

from __future__ import annotations

from functools import reduce

import numpy as np

from hidet_core.compute.dims import simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import DType, boolean, from_onnx
from hidet_core.ir.halves import single

from .context import Context, Entry, Known, known
from .dim_arithmetic import TRUTHS, on_dims
from .registry import onnx_op

UNARY = {
    "Neg": "neg", "Abs": "abs", "Exp": "exp", "Log": "log", "Sqrt": "sqrt", "Tanh": "tanh",
    "Erf": "erf", "Sin": "sin", "Cos": "cos", "Tan": "tan", "Asin": "asin", "Acos": "acos",
    "Atan": "atan", "Sinh": "sinh", "Cosh": "cosh", "Asinh": "asinh", "Acosh": "acosh",
    "Atanh": "atanh", "Floor": "floor", "Ceil": "ceil", "Round": "round", "Sign": "sign",
    "Sigmoid": "sigmoid", "Reciprocal": "recip", "Not": "not", "IsNaN": "isnan",
    "BitwiseNot": "not",
}  # fmt: skip
BINARY = {
    "Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div", "Pow": "pow", "And": "and", "Or": "or",
    "Xor": "xor", "Equal": "eq", "Greater": "gt", "Less": "lt", "GreaterOrEqual": "ge",
    "LessOrEqual": "le", "BitwiseAnd": "and", "BitwiseOr": "or", "BitwiseXor": "xor",
}  # fmt: skip
VARIADIC = {"Sum": "add", "Max": "maximum", "Min": "minimum"}


def _on_dims(ctx: Context, op: str) -> Entry | None:
    """The result on shape values, None where it has to be computed at run time."""
    arrays = ctx.all_known()
    result = None if arrays is None else on_dims(op, arrays)
    if result is None:
        return None
    return known(result, boolean) if op in TRUTHS else known(result)


def _binary(ctx: Context, op: str) -> Entry:
    result = _on_dims(ctx, op)
    if result is not None:
        return result
    return ctx.emit(op, ctx.value(0), ctx.value(1))


def _variadic(ctx: Context, op: str) -> Entry:
    result = _on_dims(ctx, op)
    if result is not None:
        return result
    return reduce(lambda a, b: ctx.emit(op, a, b), ctx.values())


def _register() -> None:
    for name, op in UNARY.items():
        onnx_op(name)(lambda ctx, op=op: _on_dims(ctx, op) or ctx.emit(op, ctx.value(0)))
    for name, op in BINARY.items():
        onnx_op(name, since=7)(lambda ctx, op=op: _binary(ctx, op))
    for name, op in VARIADIC.items():
        onnx_op(name)(lambda ctx, op=op: _variadic(ctx, op))


_register()


@onnx_op("Mean")
def mean(ctx: Context) -> Value:
    values = ctx.values()
    total = reduce(lambda a, b: ctx.emit("add", a, b), values)
    return ctx.emit("mul", total, ctx.scalar(1 / len(values), total))


@onnx_op("IsInf", since=10)
def is_inf(ctx: Context) -> Value:
    positive, negative = (bool(ctx.attr(f"detect_{side}", 1)) for side in ("positive", "negative"))
    return ctx.emit("isinf", ctx.value(0), positive=positive, negative=negative)


@onnx_op("Mod", since=10)
def mod(ctx: Context) -> Entry:
    op = "fmod" if ctx.attr("fmod", 0) else "mod"
    return _on_dims(ctx, op) or ctx.emit(op, ctx.value(0), ctx.value(1))


@onnx_op("BitShift", since=11)
def bit_shift(ctx: Context) -> Value:
    op = {"LEFT": "shl", "RIGHT": "shr"}[ctx.attr("direction")]
    return ctx.emit(op, ctx.value(0), ctx.value(1))


@onnx_op("Where", since=9)
def where(ctx: Context) -> Entry:
    return _on_dims(ctx, "where") or ctx.emit("where", ctx.value(0), ctx.value(1), ctx.value(2))


@onnx_op("Cast", since=6)
def cast(ctx: Context) -> Entry:
    to = from_onnx(int(ctx.attr("to")))
    if to is None:
        ctx.fail(f"element type {ctx.attr('to')} (TensorProto) is not supported")
    entry = ctx.entry(0)
    if isinstance(entry, Known) and to.is_int:
        return Known(entry.elements, to)
    return _cast_to(ctx, to)


def _cast_to(ctx: Context, to: DType) -> Value:
    x, saturate = ctx.value(0), bool(ctx.attr("saturate", 1))
    if to.is_float8 and x.type.dtype != to and not saturate:
        return ctx.emit("cast", x, to=to, saturate=False)
    return ctx.builder.cast(x, to)


@onnx_op("BitCast", since=26)
def bit_cast(ctx: Context) -> Value:
    """The same bits as another type. Of 16-bit floats none are taken: they are computed wider."""
    to, x = from_onnx(int(ctx.attr("to"))), ctx.value(0)
    kinds = (x.type.dtype, to) if to is not None else ()
    if not kinds or any(kind.is_bool or kind.is_half for kind in kinds):
        ctx.fail(f"{x.type} as element type {ctx.attr('to')} (TensorProto) is not supported")
    return ctx.emit("bit_cast", x, to=to)


@onnx_op("CastLike", since=15)
def cast_like(ctx: Context) -> Value:
    return _cast_to(ctx, ctx.value(1).type.dtype)


@onnx_op("Clip", since=1)
def clip_1(ctx: Context) -> Value:
    low, high = ctx.attr("min"), ctx.attr("max")
    return _clip(ctx, low, high)


def _clip(ctx: Context, low: float | None, high: float | None) -> Value:
    x = ctx.value(0)
    return x if low is None and high is None else ctx.emit("clip", x, low=low, high=high)


@onnx_op("Clip", since=11)
def clip_11(ctx: Context) -> Value:
    """Constant bounds are attributes; others are operands. A bound that is NaN bounds nothing."""
    bounds = [ctx.array(place) if ctx.has(place) else None for place in (1, 2)]
    if all(bounds[k] is not None or not ctx.has(k + 1) for k in range(2)):
        plain = [None if bound is None else single(bound).item() for bound in bounds]
        low, high = (None if bound != bound else bound for bound in plain)
        return _clip(ctx, low, high)
    x = ctx.value(0)
    for place, op in ((1, "maximum"), (2, "minimum")):
        if ctx.has(place):
            bound = ctx.value(place)
            cut = ctx.emit(op, x, bound)
            if x.type.dtype.is_float:
                cut = ctx.emit("where", ctx.emit("isnan", bound), x, cut)
            x = cut
    return x


@onnx_op("Dropout", since=7)
def dropout(ctx: Context) -> tuple[Value, ...]:
    """Inference: the input, and a mask of all true."""
    if ctx.has(2) and bool(ctx.constant(2, "training_mode").item()):
        ctx.fail("training_mode is true")
    x = ctx.value(0)
    if len(ctx.node.outputs) < 2 or not ctx.node.outputs[1]:
        return (x,)
    full = ctx.builder.constant(np.asarray(True), "true")
    return x, ctx.builder.broadcast_to(full, tuple(simplify(dim) for dim in x.type.shape))
