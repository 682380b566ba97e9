"""GraphBuilder makes graphs: emit operators, get values; and rewrite_graph runs a rule over the
operators of one.

Emitting an operator infers its type. What plainly does nothing (a reshape to the same shape, a
transpose in order) is not emitted: the input itself comes back. Small operators of constants are
evaluated at once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from hidet_core.base.errors import CompilerBug, Unsupported
from hidet_core.compute.dims import Dim, Shape, same_shape, simplify
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import from_numpy
from hidet_core.ir.expr import Var, is_const
from hidet_core.ir.halves import as_dtype
from hidet_core.ops import find_op

from .graph import Graph, Operator, Value, freeze_attrs
from .reference import fold_operator

FOLD_NOW_ELEMENTS = 1 << 12
# what copies elements without a look at them
MOVES = (
    "cast",
    "bit_cast",
    "identity",
    "transpose",
    "reshape",
    "broadcast_to",
    "slice",
    "concat",
    "gather",
)
FOLD_LATER = ("dequantize",)  # the pass quantize_contractions wants the integers


class GraphBuilder:
    """Collects operators in order. `fold` evaluates operators whose inputs are all constants and
    small."""

    def __init__(self, name: str, fold: bool = True) -> None:
        self.name = name
        self.fold = fold
        self.source = ""
        self.operators: list[Operator] = []
        self.constants: dict[Value, np.ndarray] = {}
        self.producer: dict[Value, Operator] = {}
        self._names: dict[str, int] = {}

    def reserve(self, name: str) -> None:
        """A name that values of this graph have already."""
        self._names.setdefault(name, 0)

    def unique(self, name: str) -> str:
        """The name, or name.1, name.2, ... where it is taken (x.3 counts on from x)."""
        stem, _, number = name.rpartition(".")
        if name not in self._names:
            self._names[name] = 0
            return name
        base = stem if number.isdigit() else name
        count = self._names.get(base, 0) + 1
        while f"{base}.{count}" in self._names:
            count += 1
        self._names[base] = count
        return self.unique(f"{base}.{count}")

    def input(self, name: str, type_: TensorType) -> Value:
        return Value(self.unique(name), type_)

    def constant(self, array: np.ndarray, name: str = "const") -> Value:
        """A constant value; the array is kept as it is, not copied."""
        array = np.asarray(array)
        dtype = from_numpy(array.dtype)
        if dtype is None:
            raise CompilerBug("graph", f"constant {name} has NumPy dtype {array.dtype}")
        value = Value(self.unique(name), TensorType(dtype, tuple(array.shape)))
        self.constants[value] = array
        return value

    def scalar(self, number: Any, like: Value) -> Value:
        """A constant without dims, of the dtype of another value."""
        return self.constant(as_dtype(np.asarray(number), like.type.dtype), "scalar")

    def emit(self, op: str, /, *inputs: Value, name: str | None = None, **attrs: Any) -> Value:
        """The output of a new operator of one output."""
        opdef, frozen = find_op(op), freeze_attrs(attrs)
        (type_,) = opdef.infer(tuple(value.type for value in inputs), frozen)
        if any(value.type.dtype.is_float8 for value in inputs) and op not in MOVES:
            raise Unsupported(op, "floats of 8 bits are cast and moved, not computed with")
        source = self.source if name is None else name
        operator = Operator(opdef, inputs, frozen, (Value("", type_),), source)
        if self.fold and op not in FOLD_LATER and self._is_small(inputs, type_):
            label = inputs[0].name if len(inputs) == 1 else op
            return self.constant(fold_operator(operator, self.constants), label)
        value = Value(self.unique(op), type_)
        return self.append(Operator(opdef, inputs, frozen, (value,), source))[0]

    def append(self, operator: Operator) -> tuple[Value, ...]:
        """Add an operator as it is."""
        self.operators.append(operator)
        for value in operator.outputs:
            self.producer[value] = operator
        return operator.outputs

    def _is_small(self, inputs: Sequence[Value], type_: TensorType) -> bool:
        if not type_.is_static or any(value not in self.constants for value in inputs):
            return False
        sizes = [value.type.size for value in inputs] + [math.prod(type_.shape)]
        return bool(inputs) and max(sizes) <= FOLD_NOW_ELEMENTS

    # conveniences: no operator where nothing is to be done

    def transpose(self, value: Value, perm: Sequence[int]) -> Value:
        if tuple(perm) == tuple(range(len(perm))):
            return value
        return self.emit("transpose", value, perm=tuple(perm))

    def reshape(self, value: Value, shape: Sequence[Dim]) -> Value:
        target: Shape = tuple(simplify(dim) for dim in shape)
        if same_shape(value.type.shape, target):
            return value
        if value in self.constants:
            return self.constant(self.constants[value].reshape(target), value.name)
        return self.emit("reshape", value, shape=target)

    def broadcast_to(self, value: Value, shape: Sequence[Dim]) -> Value:
        if same_shape(value.type.shape, tuple(shape)):
            return value
        return self.emit("broadcast_to", value, shape=tuple(shape))

    def cast(self, value: Value, to: Any) -> Value:
        return value if value.type.dtype == to else self.emit("cast", value, to=to)

    def permuted(self, value: Value, perm: Sequence[int]) -> Value:
        """transpose(value, perm), a view of a constant or a reshape where either does."""
        if value in self.constants:
            return self.constant(np.transpose(self.constants[value], perm), value.name)
        moving = [axis for axis in perm if not is_const(value.type.shape[axis], 1)]
        if moving == sorted(moving):
            return self.reshape(value, [value.type.shape[axis] for axis in perm])
        return self.transpose(value, perm)

    def build(
        self,
        inputs: Sequence[Value],
        outputs: Sequence[Value],
        names: Sequence[str],
        symbols: Sequence[Var],
    ) -> Graph:
        """The graph; constants that nothing uses are left out."""
        used = {value for operator in self.operators for value in operator.inputs} | set(outputs)
        constants = {value: array for value, array in self.constants.items() if value in used}
        operators = tuple(self.operators)
        return Graph(
            self.name,
            tuple(inputs),
            tuple(outputs),
            operators,
            constants,
            tuple(symbols),
            tuple(names),
        )


Rule = Callable[[GraphBuilder, Operator], Value | None]


def rewrite_graph(graph: Graph, rule: Rule, fold: bool = True) -> Graph:
    """Operators in order, each with the values it now reads: rule gives the value that replaces
    its output, or None.

    The same graph comes back where the rule changed nothing.
    """
    builder, mapping = continued(graph, fold), dict[Value, Value]()
    changed = False
    for operator in graph.operators:
        current = replace_inputs(operator, mapping)
        builder.source = operator.name
        new = rule(builder, current) if len(operator.outputs) == 1 else None
        if new is None:
            builder.append(current)
        else:
            mapping[operator.output] = new
            changed = True
    if not changed:
        return graph
    outputs = [mapping.get(value, value) for value in graph.outputs]
    return builder.build(graph.inputs, outputs, graph.output_names, graph.symbols)


def continued(graph: Graph, fold: bool = True) -> GraphBuilder:
    """A builder that knows a graph's constants and names."""
    builder = GraphBuilder(graph.name, fold)
    builder.constants.update(graph.constants)
    made = (value for operator in graph.operators for value in operator.outputs)
    for value in (*graph.inputs, *graph.constants, *made):
        builder.reserve(value.name)
    return builder


def replace_inputs(operator: Operator, mapping: Mapping[Value, Value]) -> Operator:
    """The operator reading other values; itself where none is replaced."""
    inputs = tuple(mapping.get(value, value) for value in operator.inputs)
    if inputs == operator.inputs:
        return operator
    return Operator(operator.op, inputs, operator.attrs, operator.outputs, operator.name)


def join_names(*names: str) -> str:
    """The ONNX node names an operator came from, each once."""
    parts = [part for name in names for part in name.split("+") if part]
    return "+".join(dict.fromkeys(parts))
