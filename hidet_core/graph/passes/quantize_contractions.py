"""Contractions of dequantised operands become contractions of the integers.

q = dequantize(x, s, z): what (x - z) * s stands for, also between transposes.

    conv2d(q(x, sx, zx), q(w, sw, zw))   ->  cast(conv2d(x, w) - zx * sum w) * (sx * sw)
    matmul(q(x, sx, zx), q(w, sw, zw))   ->  likewise        x: one scale; w: constant, of 8 bits,
                                             one scale, or one for each output channel
    max pool, concat of q(x, s, z)       ->  q(max pool, concat of x, s, z)
    quantize(q(x, s, z), s, z)           ->  x
    quantize(y, s, z of i8)              ->  i8(quantize(y, s, u8(z + 128)) ^ 128)      whose
                                             readers here take the u8: most zero points are 0 then,
                                             and so is what lies around an image
    quantize(y, s, z), quantize(relu(y), s, z)
        ->  quantize(y * (1 / s), 1, z)      y made of such products: fold_affine joins the scales

Bias, Relu, the sum of a residual and the quantisation of the result are then the epilogue of the
contraction. Zero points: graph/integer.py. Runs before constants are folded, or there would be no
integers left.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from hidet_core.compute.dims import Shape, same_dim
from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.graph.integer import SIGN, integer_conv, integer_matmul
from hidet_core.ir.dtypes import f32, i8, u8

FAR = 24  # operators between a product and its quantisation


class Quantized(NamedTuple):
    """(integers - zero) * scale; scale and zero broadcast to the integers."""

    integers: Value
    scale: Value
    zero: Value


def quantize_contractions(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    match operator.op.name:
        case "conv2d" | "matmul":
            return _contraction(builder, operator)
        case "concat":
            return _concat(builder, operator)
        case "pool2d":
            return _max_pool(builder, operator)
        case "quantize":
            return _quantize(builder, operator)
        case "dequantize":
            inner = _unsigned(builder, Quantized(*operator.inputs))
            is_new = inner.integers is not operator.inputs[0]
            return builder.emit("dequantize", *inner) if is_new else None
    return None


def _meaning(builder: GraphBuilder, value: Value) -> Quantized | None:
    """The integers that a value is made of, None if it is not."""
    made = builder.producer.get(value)
    if made is None:
        return None
    if made.op.name == "dequantize":
        return _unsigned(builder, Quantized(*made.inputs))
    inner = _meaning(builder, made.inputs[0]) if made.op.name in ("transpose", "reshape") else None
    if inner is None:
        return None
    whole = inner.scale.type.size == inner.zero.type.size == 1
    if made.op.name == "transpose":
        perm = made.attrs["perm"]
        integers = builder.permuted(inner.integers, perm)
        if whole:
            return Quantized(integers, inner.scale, inner.zero)
        sides = (_permuted(builder, side, perm) for side in (inner.scale, inner.zero))
        return Quantized(integers, *sides)
    shape = made.output.type.shape
    integers, (scale, zero) = builder.reshape(inner.integers, shape), inner[1:]
    if whole:
        return Quantized(integers, scale, zero)
    parts = [_per_channel(builder, side) for side in (scale, zero)]
    if parts[0] is None or parts[1] is None or not _keeps_last(inner.integers.type.shape, shape):
        return None
    return Quantized(integers, *(part for part in parts if part is not None))


def _keeps_last(source: Shape, target: Shape) -> bool:
    return bool(source and target) and same_dim(source[-1], target[-1])


def _unsigned(builder: GraphBuilder, value: Quantized) -> Quantized:
    """Of integers that were turned from u8 to i8, the u8."""
    inner, array = value.integers, builder.constants.get(value.zero)
    for op in ("cast", "xor"):
        made = builder.producer.get(inner)
        if made is None or made.op.name != op or value.integers.type.dtype != i8:
            return value
        inner = made.inputs[0]
    is_turn = inner.type.dtype == u8 and _number(builder, made.inputs[1]) == SIGN
    if not is_turn or array is None:
        return value
    return Quantized(inner, value.scale, _moved(builder, array))


def _moved(builder: GraphBuilder, zero: np.ndarray) -> Value:
    """A zero point of i8 as that of u8."""
    return builder.constant((zero.astype(np.int16) + SIGN).astype(np.uint8), "zero")


def _permuted(builder: GraphBuilder, side: Value, perm: tuple[int, ...]) -> Value:
    missing = len(perm) - side.type.rank
    return builder.permuted(builder.reshape(side, (1,) * missing + side.type.shape), perm)


def _number(builder: GraphBuilder, value: Value) -> float | None:
    """The one number that a constant is, None if it is not."""
    array = builder.constants.get(value)
    return array.reshape(()).item() if array is not None and array.size == 1 else None


def _per_channel(builder: GraphBuilder, side: Value) -> Value | None:
    """A scale or zero point of weights as a number or a vector over the last axis, None if it is
    neither."""
    size, shape = side.type.size, side.type.shape
    if size == 1:
        return builder.reshape(side, ())
    is_last = isinstance(size, int) and shape[-1] == size
    return builder.reshape(side, shape[-1:]) if is_last else None


def _contraction(builder: GraphBuilder, operator: Operator) -> Value | None:
    """conv2d, matmul of integers, in terms of floats."""
    x, w = (_meaning(builder, value) for value in operator.inputs)
    if x is None or w is None or w.integers not in builder.constants:
        return None
    is_byte = all(side.integers.type.dtype.is_byte for side in (x, w))
    w_scale, w_zero = (_per_channel(builder, side) for side in (w.scale, w.zero))
    if not is_byte or w_scale is None or w_zero is None:
        return None
    if x.scale.type.size != 1 or x.zero.type.size != 1:
        return None
    x_scale, x_zero = (builder.reshape(side, ()) for side in (x.scale, x.zero))
    operands = x.integers, x_zero, w.integers, w_zero
    if operator.op.name == "conv2d":
        product = integer_conv(builder, *operands, operator.attrs)
    else:
        product = integer_matmul(builder, *operands)
    scale = builder.emit("mul", builder.cast(x_scale, f32), builder.cast(w_scale, f32))
    real = builder.emit("mul", builder.cast(product, f32), scale)
    return builder.cast(real, operator.output.type.dtype)


def _same_constant(builder: GraphBuilder, a: Value, b: Value) -> bool:
    """Whether both are one number, and the same."""
    left, right = _number(builder, a), _number(builder, b)
    return left is not None and left == right and a.type.dtype == b.type.dtype


def _max_pool(builder: GraphBuilder, operator: Operator) -> Value | None:
    """Larger integers stand for larger numbers, where the scale is not negative."""
    x = _meaning(builder, operator.inputs[0])
    if x is None or operator.attrs["kind"] != "max" or not x.integers.type.dtype.is_byte:
        return None
    scale = _number(builder, x.scale)
    if scale is None or scale <= 0 or _number(builder, x.zero) is None:
        return None
    pooled = builder.emit("pool2d", x.integers, **operator.attrs)
    return builder.emit("dequantize", pooled, *x[1:])


def _concat(builder: GraphBuilder, operator: Operator) -> Value | None:
    parts = [_meaning(builder, value) for value in operator.inputs]
    known = [part for part in parts if part is not None]
    if len(known) < len(parts):
        return None
    first = known[0]
    if not all(_is_alike(builder, part, first) for part in known):
        return None
    whole = builder.emit("concat", *(part.integers for part in known), **operator.attrs)
    return builder.emit("dequantize", whole, *first[1:])


def _is_alike(builder: GraphBuilder, a: Quantized, b: Quantized) -> bool:
    """Whether equal integers stand for equal numbers."""
    sides = zip(a[1:], b[1:], strict=True)
    return all(_same_constant(builder, left, right) for left, right in sides)


def _quantize(builder: GraphBuilder, operator: Operator) -> Value | None:
    x, scale, zero = operator.inputs
    known = _meaning(builder, x)
    if known is not None and _is_alike(builder, known, Quantized(x, scale, zero)):
        return known.integers
    turns = zero.type.dtype == i8 and zero in builder.constants
    if turns:
        zero = _moved(builder, builder.constants[zero])
    if known is not None and _is_alike(builder, known, Quantized(x, scale, zero)):
        whole = known.integers
    else:
        factor = _factor(builder, x, scale)
        if factor is not None:
            scale = builder.constant(np.ones((), np.float32), "one")
            x = _times(builder, x, factor)
        elif not turns:
            return None
        whole = builder.emit("quantize", x, scale, zero)
    if not turns:
        return whole
    return builder.cast(builder.emit("xor", whole, builder.scalar(SIGN, whole)), i8)


def _factor(builder: GraphBuilder, x: Value, scale: Value) -> Value | None:
    """1 / scale, None where x is not to be multiplied by it."""
    step = _number(builder, scale)
    if step is None or step <= 0 or step == 1 or x.type.dtype != f32:
        return None
    with np.errstate(all="ignore"):
        factor = np.asarray(1 / np.float32(step), np.float32)
    if not np.isfinite(factor) or not _is_of_products(builder, x):
        return None
    return builder.constant(factor, "inverse")


def _is_of_products(builder: GraphBuilder, value: Value) -> bool:
    """Whether a contraction of integers is among what elementwise operators made the value of."""
    waiting, seen = [value], set[Value]()
    while waiting and len(seen) < FAR:
        made = builder.producer.get(waiting.pop())
        if made is None or made.output in seen:
            continue
        seen.add(made.output)
        if made.op.name in ("conv2d", "matmul"):
            return not made.output.type.dtype.is_float
        if made.op.elementwise or made.op.name in ("transpose", "reshape"):
            waiting += made.inputs
    return False


def _times(builder: GraphBuilder, value: Value, factor: Value) -> Value:
    """value * factor; before a Relu and a transpose, for fold_affine to find a factor there."""
    made = builder.producer.get(value)
    if made is not None and made.op.name in ("relu", "transpose"):
        inner = _times(builder, made.inputs[0], factor)
        return builder.emit(made.op.name, inner, **made.attrs)
    return builder.emit("mul", value, factor)
