"""One way to write each elementwise operator with a constant, so that later passes match less.

add(const, x)     ->  add(x, const)               for all commutative operators
op(x[N,H,W,C], const[1,1,1,C])  ->  op(x, const[C])
sub(x, const)     ->  add(x, -const)              floats only, as are those below
div(x, const)     ->  mul(x, 1 / const)           where that is finite (16-bit floats: and exact),
                                                and not if the division is marked as `exact`
pow(x, 2)         ->  mul(x, x)                   also 0.5, 1, -1 and 3
"""

from __future__ import annotations

import numpy as np

from hidet_core.graph.builder import GraphBuilder, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.ir.dtypes import DType
from hidet_core.ir.halves import as_dtype, single

COMMUTATIVE = {"add", "mul", "maximum", "minimum", "and", "or", "xor", "eq", "ne"}


def canonicalize(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    if not operator.op.elementwise or len(operator.inputs) < 2:
        return None
    name, inputs = operator.op.name, list(operator.inputs)
    for k in range(len(inputs)):  # one after the other: the last of the full rank stays
        inputs[k] = _trimmed(builder, inputs, k, operator.output.type.rank)
    left, right = inputs[0], inputs[1]
    if name in COMMUTATIVE and left in builder.constants and right not in builder.constants:
        return builder.emit(name, right, left)
    is_exact = operator.attrs.get("exact", False)  # to the last bit: a scale that decides ties
    if right in builder.constants and left.type.dtype.is_float and not is_exact:
        rewritten = _with_constant(builder, name, left, builder.constants[right])
        if rewritten is not None:
            return rewritten
    if tuple(inputs) == operator.inputs:
        return None
    return builder.emit(name, *inputs, **operator.attrs)


def _trimmed(builder: GraphBuilder, inputs: list[Value], place: int, rank: int) -> Value:
    """A constant without its leading dims of 1, if another operand keeps the result's rank."""
    value = inputs[place]
    others = [v.type.rank for k, v in enumerate(inputs) if k != place]
    shape = value.type.shape
    if value not in builder.constants or not shape or shape[0] != 1:
        return value
    if max(others, default=0) < rank:
        return value
    kept = next((k for k, dim in enumerate(shape) if dim != 1), len(shape))
    return builder.constant(builder.constants[value].reshape(shape[kept:]), value.name)


def _with_constant(builder: GraphBuilder, op: str, x: Value, array: np.ndarray) -> Value | None:
    if op == "sub":
        negated = as_dtype(-single(array), x.type.dtype)
        return builder.emit("add", x, builder.constant(negated, "negated"))
    if op == "div":
        inverse = _inverse(array, x.type.dtype)
        factor = None if inverse is None else builder.constant(inverse, "inverse")
        return None if factor is None else builder.emit("mul", x, factor)
    if op == "pow" and array.size == 1 and array.ndim <= x.type.rank:
        return _power(builder, x, float(single(array).reshape(())))
    return None


def _inverse(array: np.ndarray, dtype: DType) -> np.ndarray | None:
    """1 / array, None where multiplying by it would not do."""
    values = single(array)
    with np.errstate(all="ignore"):
        inverse = as_dtype((1 / values).astype(values.dtype), dtype)
        held = single(inverse)
        usable = np.isfinite(held).all() and (np.abs(held) > np.finfo(held.dtype).tiny).all()
        exact = not dtype.is_half or (held * values == 1).all()
    return inverse if usable and exact else None


def _power(builder: GraphBuilder, x: Value, exponent: float) -> Value | None:
    match exponent:
        case 1.0:
            return x
        case 2.0:
            return builder.emit("mul", x, x)
        case 3.0:
            return builder.emit("mul", builder.emit("mul", x, x), x)
        case 0.5:
            return builder.emit("sqrt", x)
        case -1.0:
            return builder.emit("recip", x)
    return None
