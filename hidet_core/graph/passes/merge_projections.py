"""Products of one value with several constant matrices, as queries, keys and values are made.

    q = add(matmul(x, a), p); k = add(matmul(x, b), r); attention(.. q .., .. k .., ..)
        ->  y = add(matmul(x, [a b]), [p r]); q = slice(y); k = slice(y)

One product of three times the columns fills a machine better than three. The slices become index
maps of the attention that reads them, so this is done only where all of a product goes, by way of
views, rotations and caches that it is appended to, into one attention. Where some have a bias and
others none (Whisper's keys), that is 0.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

import numpy as np

from hidet_core.compute.dims import same_shape
from hidet_core.graph.builder import GraphBuilder, continued, join_names, replace_inputs
from hidet_core.graph.graph import Graph, Operator, Value, consumers, producers

VIEWS = ("reshape", "transpose", "broadcast_to", "rotary", "add", "mul")  # sums with constants
CACHES = ("append", "append_rows")  # their second inputs are what is new


@dataclass(frozen=True, eq=False)
class _Branch:
    """result = matmul(x, weights) [+ bias]."""

    product: Operator
    weights: np.ndarray
    shift: Operator | None = None
    bias: np.ndarray | None = None

    @property
    def result(self) -> Value:
        return self.product.output if self.shift is None else self.shift.output


def merge_projections(graph: Graph) -> Graph:
    readers, made = consumers(graph), producers(graph)
    finder = _Finder(graph, readers)
    merged: dict[Operator, list[_Branch]] = {}  # by the first product of each group
    dropped: set[Operator] = set()
    for operator in graph.operators:
        if operator.op.name != "attention" or operator in merged:
            continue
        branches = finder.branches(operator, made)
        for group in _by_input(branches):
            group.sort(key=lambda branch: graph.operators.index(branch.product))
            if len(group) > 1 and not any(branch.product in dropped for branch in group):
                merged[group[0].product] = group
                for branch in group:
                    dropped.update(op for op in (branch.product, branch.shift) if op is not None)
    return _rebuilt(graph, merged, dropped) if merged else graph


def _by_input(branches: Iterable[_Branch]) -> list[list[_Branch]]:
    """Branches that can be one product: of the same input."""
    groups: dict[tuple, dict[Value, _Branch]] = {}
    for branch in branches:
        key = (branch.product.inputs[0], branch.weights.dtype.str)
        groups.setdefault(key, {})[branch.result] = branch
    return [list(group.values()) for group in groups.values()]


@dataclass(frozen=True, eq=False)
class _Finder:
    graph: Graph
    readers: dict[Value, list[Operator]]

    def branches(self, attention: Operator, made: dict[Value, Operator]) -> list[_Branch]:
        """The products behind the attention's queries, keys and values."""
        found = (self._branch(value, attention, made) for value in attention.inputs[:3])
        return [branch for branch in found if branch is not None]

    def _branch(
        self, value: Value, reader: Operator, made: dict[Value, Operator]
    ) -> _Branch | None:
        shift: tuple[Operator, np.ndarray] | None = None
        while True:
            operator = made.get(value)
            if operator is None:
                return None
            if operator.op.name in CACHES:  # others may read a cache
                value, reader = operator.inputs[1], operator
                continue
            if not self._is_only(value, reader):
                return None
            if operator.op.name == "matmul":
                return self._product(operator, shift)
            if operator.op.name not in VIEWS:
                return None
            bias = self._bias(operator)
            if operator.op.name in ("add", "mul") and not self._is_constant(operator.inputs[1]):
                return None
            shift = None if bias is None else (operator, bias)
            value, reader = operator.inputs[0], operator

    def _is_only(self, value: Value, reader: Operator) -> bool:
        return self.readers.get(value) == [reader] and value not in self.graph.outputs

    def _is_constant(self, value: Value) -> bool:
        return value in self.graph.constants

    def _bias(self, operator: Operator) -> np.ndarray | None:
        """The vector that is added to all rows of a product."""
        if operator.op.name != "add" or not self._is_constant(operator.inputs[1]):
            return None
        array = self.graph.constants[operator.inputs[1]]
        columns = operator.output.type.shape[-1]
        return array.reshape(-1) if array.shape[-1:] == (array.size,) == (columns,) else None

    def _product(
        self, product: Operator, shift: tuple[Operator, np.ndarray] | None
    ) -> _Branch | None:
        weights = self.graph.constants.get(product.inputs[1])
        if weights is None or weights.ndim != 2 or product.inputs[0] in self.graph.constants:
            return None
        if shift is not None and same_shape(shift[0].output.type.shape, product.output.type.shape):
            return _Branch(product, weights, *shift)
        return _Branch(product, weights)


def _rebuilt(graph: Graph, merged: dict[Operator, list[_Branch]], dropped: set[Operator]) -> Graph:
    builder, mapping = continued(graph), dict[Value, Value]()
    for operator in graph.operators:
        if operator in merged:
            mapping.update(_merge(builder, merged[operator], mapping))
        elif operator not in dropped:
            builder.append(replace_inputs(operator, mapping))
    outputs = [mapping.get(value, value) for value in graph.outputs]
    return builder.build(graph.inputs, outputs, graph.output_names, graph.symbols)


def _merge(
    builder: GraphBuilder, group: list[_Branch], mapping: dict[Value, Value]
) -> dict[Value, Value]:
    """One product for all branches; the part of it that each result is."""
    builder.source = join_names(*(branch.product.name for branch in group))
    weights = builder.constant(np.concatenate([b.weights for b in group], axis=1), "merged")
    x = group[0].product.inputs[0]
    whole = builder.emit("matmul", mapping.get(x, x), weights)
    if any(branch.bias is not None for branch in group):
        zeros = [np.zeros(b.weights.shape[1], b.weights.dtype) for b in group]
        biases = (
            b.bias if b.bias is not None else zero for b, zero in zip(group, zeros, strict=True)
        )
        bias = np.concatenate(list(biases))
        whole = builder.emit("add", whole, builder.constant(bias, "merged_bias"))
    parts, first = {}, 0
    for branch in group:
        shape = branch.result.type.shape
        starts = (*(0,) * (len(shape) - 1), first)
        steps = (1,) * len(shape)
        parts[branch.result] = builder.emit("slice", whole, starts=starts, steps=steps, sizes=shape)
        first += branch.weights.shape[1]
    return parts
