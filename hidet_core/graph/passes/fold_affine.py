"""Fold chains of multiplications and additions of constants into one of each, and into weights.

    mul(mul(x, a), b)         ->  mul(x, a * b)
    add(add(x, a), b)         ->  add(x, a + b)
    mul(add(x, a), b)         ->  add(mul(x, b), a * b)
    mul(conv2d(x, w), s[C])   ->  conv2d(x, w * s)         also matmul(x, w), and s a scalar

Batch normalisation arrives as mul and add of vectors over the last axis, so all of it ends in the
weights and one bias; before a Relu (DenseNet) one mul and one add remain. Only values that are read
once are folded.
"""

from __future__ import annotations

import numpy as np

from hidet_core.base.errors import Unsupported
from hidet_core.compute.dims import same_shape
from hidet_core.graph.builder import GraphBuilder, join_names, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value, use_counts
from hidet_core.ir.dtypes import DType
from hidet_core.ir.halves import as_dtype, single
from hidet_core.ops.elementwise import broadcast_shapes

WEIGHTED = ("conv2d", "matmul")


def fold_affine(graph: Graph) -> Graph:
    uses = use_counts(graph)

    def rule(builder: GraphBuilder, operator: Operator) -> Value | None:
        folded = _Folder(builder, uses, operator).fold()
        if folded is not None:
            uses[folded] = uses.get(operator.output, 0)
        return folded

    return rewrite_graph(graph, rule)


class _Folder:
    """One operator being looked at; `uses` counts readers of values old and new."""

    def __init__(self, builder: GraphBuilder, uses: dict[Value, int], operator: Operator) -> None:
        self.builder = builder
        self.uses = uses
        self.operator = operator

    def fold(self) -> Value | None:
        name, inputs = self.operator.op.name, self.operator.inputs
        if name not in ("mul", "add") or not inputs[0].type.dtype.is_float:
            return None
        x, constant = inputs
        array = self.builder.constants.get(constant)
        if array is None or x in self.builder.constants or not _fits(x, array):
            return None
        return self.multiply(x, array) if name == "mul" else self.add(x, array)

    def earlier(self, x: Value, *names: str) -> tuple[Operator, np.ndarray] | None:
        """The operator that makes x and its constant operand, if it may be folded."""
        made = self.builder.producer.get(x)
        if made is None or made.op.name not in names or self.uses.get(x, 1) != 1:
            return None
        array = self.builder.constants.get(made.inputs[1])
        if array is None or made.inputs[0] in self.builder.constants:
            return None
        return made, array

    def multiply(self, x: Value, factor: np.ndarray) -> Value | None:
        """x * factor folded, None if nothing was there to fold with."""
        if found := self.earlier(x, "add"):
            made, array = found
            if _fits(made.inputs[0], array):
                shift = _times(array, factor, x.type.dtype)
                if shift is not None:
                    return self.emit("add", self.times(made.inputs[0], factor), shift, made)
        if found := self.earlier(x, "mul"):
            made, array = found
            if _fits(made.inputs[0], array):
                both = _times(array, factor, x.type.dtype)
                return None if both is None else self.times(made.inputs[0], both, made)
        found = self.earlier(x, *WEIGHTED)
        if found and _is_per_channel(factor, x):
            made, weights = found
            scaled = _times(weights, factor.reshape(-1), x.type.dtype)
            if scaled is None:
                return None
            constant = self.builder.constant(scaled, made.inputs[1].name)
            name = join_names(made.name, self.operator.name)
            inputs = (made.inputs[0], constant)
            return self.builder.emit(made.op.name, *inputs, name=name, **made.attrs)
        return None

    def times(self, x: Value, factor: np.ndarray, made: Operator | None = None) -> Value:
        folded = self.multiply(x, factor)
        return self.emit("mul", x, factor, made) if folded is None else folded

    def add(self, x: Value, shift: np.ndarray) -> Value | None:
        found = self.earlier(x, "add")
        if not found or not _fits(found[0].inputs[0], found[1]):
            return None
        made, array = found
        total = as_dtype(single(array) + single(shift), x.type.dtype)
        return self.emit("add", made.inputs[0], total, made)

    def emit(self, op: str, x: Value, array: np.ndarray, made: Operator | None) -> Value:
        name = join_names(made.name if made else "", self.operator.name)
        constant = self.builder.constant(array, "scale" if op == "mul" else "shift")
        return self.builder.emit(op, x, constant, name=name)


def _times(a: np.ndarray, b: np.ndarray, dtype: DType) -> np.ndarray | None:
    """a * b, None where it is beyond what the type holds: step by step the result may be within."""
    with np.errstate(all="ignore"):
        product = single(a) * single(b)
        held = as_dtype(product, dtype)
        is_held = np.isfinite(product) & (np.abs(single(held) - product) <= 0.01 * np.abs(product))
    return held if is_held.all() else None


def _fits(x: Value, array: np.ndarray) -> bool:
    """Whether broadcasting with the array leaves x's shape as it is."""
    try:
        shape = broadcast_shapes("fold_affine", x.type.shape, tuple(array.shape))
    except Unsupported:
        return False
    return same_shape(shape, x.type.shape)


def _is_per_channel(factor: np.ndarray, x: Value) -> bool:
    """A scalar, or a vector over the last axis (of all of it)."""
    last = x.type.shape[-1]
    return factor.size == 1 or (factor.shape[-1:] == (last,) and factor.size == last)
