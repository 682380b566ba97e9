"""Move transposes towards the outputs until they cancel, so that convolutions stay channel-last.

    op(transpose(x, p), transpose(y, p))  ->  transpose(op(x, y), p)     elementwise, concat, pad,
                                              slice, reduce, softmax over the same last axis, ...
    transpose(transpose(x, p), q)         ->  transpose(x, p of q)       nothing where that is plain
    reshape(transpose(x, p))              ->  transpose(reshape(x), q)   where segments allow it
    matmul(reshape(transpose(x, p)), w)   ->  matmul(reshape(x), w')     w' = w with permuted rows

Every value is held in the order of axes in which it is easiest to have (transposed.py); whoever
cannot take it so gets a transpose. Constants are transposed at once, as views.
"""

from __future__ import annotations

from collections.abc import Callable
from math import prod

import numpy as np

from hidet_core.compute.dims import same_shape
from hidet_core.graph.builder import continued
from hidet_core.graph.graph import Graph, Operator, Value, attr_text, consumers
from hidet_core.graph.transposed import (
    Held,
    Perm,
    ReshapePlan,
    TransposedValues,
    inverse,
    permute,
    plan_reshape,
)
from hidet_core.ir.expr import is_const

# attributes with one entry per axis
PER_AXIS = {
    "slice": ("starts", "steps", "sizes"),
    "pad": ("before", "after"),
    "tile": ("repeats",),
    "upsample": ("scales",),
    "roll": ("shifts",),
}
LAST_AXIS = ("softmax", "log_softmax", "layer_norm", "rms_norm", "lrn")


def sink_transposes(graph: Graph) -> Graph:
    sinker = _Sinker(graph)
    for operator in graph.operators:
        sinker.take(operator)
    outputs = [sinker.values.value(value) for value in graph.outputs]
    built = sinker.builder.build(graph.inputs, outputs, graph.output_names, graph.symbols)
    return graph if _shape_of(built) == _shape_of(graph) else built


def _shape_of(graph: Graph) -> list[tuple]:
    """Operators and attributes in order: equal if a pass changed nothing."""
    return [
        (op.op.name, [attr_text(value) for value in op.attrs.values()]) for op in graph.operators
    ]


class _Sinker:
    """Takes the old operators in order; rules by operator name, `keep` for the others."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph
        self.builder = continued(graph)
        self.values = TransposedValues(self.builder)
        self.readers = consumers(graph)
        # flattened values whose last axis is in base order: (new value, sizes, order of the sizes)
        self.flattened: dict[Value, tuple[Value, tuple[int, ...], Perm]] = {}
        self.rules: dict[str, Callable[[Operator], bool]] = {
            "transpose": self.transpose,
            "concat": self.concat,
            "reduce": self.reduce,
            "arg_reduce": self.arg_reduce,
            "gather": self.gather,
            "resample": self.resample,
            "resample_long": self.resample,
            "reshape": self.reshape,
            "matmul": self.matmul,
            **{name: self.per_axis for name in PER_AXIS},
            **{name: self.last_axis for name in LAST_AXIS},
        }

    def take(self, operator: Operator) -> None:
        rule = self.elementwise if operator.op.elementwise else self.rules.get(operator.op.name)
        self.builder.source = operator.name
        if rule is None or not rule(operator):
            self.values.keep(operator)

    def held(self, operator: Operator) -> Held | None:
        """How the first input is held, if that is not as it is."""
        held = self.values.of(operator.inputs[0])
        return None if held.is_plain else held

    def emit(self, operator: Operator, inputs: list[Value], perm: Perm, **changed: object) -> bool:
        """The operator on bases, its output held with perm."""
        attrs = {**operator.attrs, **changed}
        base = self.builder.emit(operator.op.name, *inputs, **attrs)
        self.values.hold(operator.output, base, perm)
        return True

    # rules: True if the operator was taken care of

    def transpose(self, operator: Operator) -> bool:
        held = self.values.of(operator.inputs[0])
        self.values.hold(operator.output, held.base, permute(held.perm, operator.attrs["perm"]))
        return True

    def elementwise(self, operator: Operator) -> bool:
        perm = self._common_order(operator)
        if perm is None:
            return False
        inputs = [self._operand(value, operator, perm) for value in operator.inputs]
        return self.emit(operator, inputs, perm)

    def _common_order(self, operator: Operator) -> Perm | None:
        """The order of a full-sized operand that is held in another one, None to stay plain."""
        shape = operator.output.type.shape
        for value in operator.inputs:
            held = self.values.of(value)
            if not held.is_plain and same_shape(value.type.shape, shape):
                return held.perm
        return None

    def _operand(self, value: Value, operator: Operator, perm: Perm) -> Value:
        """An operand in the common order; one of lower rank gets leading dims of 1 first."""
        missing = len(perm) - value.type.rank
        if missing == 0:
            return self.values.in_order(value, perm)
        own = self.values.value(value)
        if all(is_const(dim, 1) for dim in own.type.shape):
            return own
        full = self.builder.reshape(own, (1,) * missing + own.type.shape)
        return self.values.ordered(full, inverse(perm))

    def concat(self, operator: Operator) -> bool:
        orders = [self.values.of(value) for value in operator.inputs]
        perm = next((held.perm for held in orders if not held.is_plain), None)
        if perm is None:
            return False
        inputs = [self.values.in_order(value, perm) for value in operator.inputs]
        return self.emit(operator, inputs, perm, axis=perm[operator.attrs["axis"]])

    def per_axis(self, operator: Operator) -> bool:
        held = self.held(operator)
        if held is None:
            return False
        back = inverse(held.perm)
        names = PER_AXIS[operator.op.name]
        changed = {name: permute(operator.attrs[name], back) for name in names}
        return self.emit(operator, [held.base], held.perm, **changed)

    def last_axis(self, operator: Operator) -> bool:
        held = self.held(operator)
        if held is None or held.perm[-1] != len(held.perm) - 1:
            return False
        vectors = [self.values.value(value) for value in operator.inputs[1:]]
        return self.emit(operator, [held.base, *vectors], held.perm)

    def reduce(self, operator: Operator) -> bool:
        held = self.held(operator)
        if held is None:
            return False
        axes = operator.attrs["axes"]
        perm = _perm_after_reduce(held.perm, axes, operator.attrs["keepdims"])
        reduced = tuple(sorted(held.perm[axis] for axis in axes))
        return self.emit(operator, [held.base], perm, axes=reduced)

    def arg_reduce(self, operator: Operator) -> bool:
        held = self.held(operator)
        if held is None:
            return False
        axis = operator.attrs["axis"]
        perm = _perm_after_reduce(held.perm, (axis,), operator.attrs["keepdims"])
        return self.emit(operator, [held.base], perm, axis=held.perm[axis])

    def gather(self, operator: Operator) -> bool:
        held, indices = self.held(operator), operator.inputs[1]
        if held is None or indices.type.rank != 1:
            return False
        inputs = [held.base, self.values.value(indices)]
        return self.emit(operator, inputs, held.perm, axis=held.perm[operator.attrs["axis"]])

    def resample(self, operator: Operator) -> bool:
        held = self.held(operator)
        if held is None:
            return False
        inputs = [held.base, *(self.values.value(value) for value in operator.inputs[1:])]
        return self.emit(operator, inputs, held.perm, axis=held.perm[operator.attrs["axis"]])

    def reshape(self, operator: Operator) -> bool:
        held = self.held(operator)
        if held is None:
            return False
        plan = plan_reshape(held, operator.output.type.shape)
        if plan is None:
            return False
        if not plan.is_free and self._flatten(operator, held, plan):
            return True
        shape = held.base.type.shape
        base = held.base if plan.is_free else self.values.ordered(held.base, plan.order)
        if not plan.is_free or not same_shape(shape, plan.shape):
            base = self.builder.reshape(base, plan.shape)
        self.values.hold(operator.output, base, plan.perm)
        return True

    def _flatten(self, operator: Operator, held: Held, plan: ReshapePlan) -> bool:
        """Flatten in base order if all readers are matmuls with constant weights."""
        result, last = operator.output, plan.parts[-1]
        axes = tuple(held.perm[k] for k in last[0])
        sizes = tuple(held.base.type.shape[axis] for axis in axes)
        order = tuple(held.perm[k] for ours, _ in plan.parts[:-1] for k in ours) + tuple(
            sorted(axes)
        )
        moving = [axis for axis in order if not is_const(held.base.type.shape[axis], 1)]
        if moving != sorted(moving) or plan.perm != tuple(range(result.type.rank)):
            return False
        if len(last[1]) != 1 or not all(isinstance(size, int) for size in sizes):
            return False
        if result in self.graph.outputs or not all(
            self._weights_of(reader, result) is not None for reader in self.readers[result]
        ):
            return False
        flat = self.builder.reshape(held.base, plan.shape)
        by_base = tuple(sorted(range(len(axes)), key=lambda k: axes[k]))
        self.flattened[result] = (flat, tuple(int(size) for size in sizes), by_base)
        return True

    def _weights_of(self, reader: Operator, x: Value) -> np.ndarray | None:
        """The constant 2-D weights with which a matmul multiplies x from the right."""
        if reader.op.name != "matmul" or reader.inputs[0] is not x:
            return None
        weights = self.values.value(reader.inputs[1])
        array = self.builder.constants.get(weights)
        return array if array is not None and array.ndim == 2 else None

    def matmul(self, operator: Operator) -> bool:
        x, weights = operator.inputs
        if x not in self.flattened:
            return False
        flat, sizes, order = self.flattened[x]
        array = self.builder.constants[self.values.value(weights)]
        rows = self.builder.constant(_permute_rows(array, sizes, order), weights.name)
        base = self.builder.emit("matmul", flat, rows)
        self.values.hold(operator.output, base, range(base.type.rank))
        return True


def _perm_after_reduce(perm: Perm, axes: tuple[int, ...], keepdims: bool) -> Perm:
    if keepdims:
        return perm
    left = [perm[k] for k in range(len(perm)) if k not in axes]
    return tuple(sorted(left).index(axis) for axis in left)


def _permute_rows(weights: np.ndarray, sizes: tuple[int, ...], order: Perm) -> np.ndarray:
    """Rows, numbered row-major over sizes, renumbered row-major over the sizes in `order`.

    Works on the memory order the weights have: a transposed view stays one.
    """
    rows, columns = weights.shape
    assert prod(sizes) == rows, f"{rows} rows do not come apart as {sizes}"
    if weights.strides[0] < weights.strides[1]:
        cut = weights.T.reshape(columns, *sizes)
        return cut.transpose(0, *(k + 1 for k in order)).reshape(columns, rows).T
    cut = weights.reshape(*sizes, columns)
    return cut.transpose(*order, len(sizes)).reshape(rows, columns)
