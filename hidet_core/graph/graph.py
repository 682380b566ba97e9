"""The graph: values, operators in topological order, constants, symbols.

Everything is immutable; a pass makes a new Graph that shares what it did not touch. Values are
compared by identity and belong to no graph: the same Value may be produced by different operators
in graphs before and after a pass. Inputs and outputs keep the ONNX names (`input.name`,
`output_names`); `outputs[k]` may have another name.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any

import numpy as np

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.dims import dim_text
from hidet_core.compute.types import TensorType, same_type
from hidet_core.ir.dtypes import DType, from_numpy
from hidet_core.ir.expr import Expr, Var
from hidet_core.ops.registry import Attrs, OpDef


@dataclass(frozen=True, eq=False)
class Value:
    """A tensor that flows through the graph. The name (unique within a graph) is for people."""

    name: str
    type: TensorType

    def __repr__(self) -> str:
        return f"%{self.name}: {self.type}"


@dataclass(frozen=True, eq=False)
class Operator:
    """outputs = op(inputs, attrs). `name` is the name of the ONNX node (or nodes) it came from."""

    op: OpDef
    inputs: tuple[Value, ...]
    attrs: Attrs
    outputs: tuple[Value, ...]
    name: str = ""

    @property
    def output(self) -> Value:
        """The only output."""
        if len(self.outputs) != 1:
            raise CompilerBug(
                "graph", f"{self.op.name} has {len(self.outputs)} outputs, expected one"
            )
        return self.outputs[0]


@dataclass(frozen=True, eq=False)
class Graph:
    """constants: the arrays of constant values (may be views of any strides); symbols: the
    symbolic dims."""

    name: str
    inputs: tuple[Value, ...]
    outputs: tuple[Value, ...]
    operators: tuple[Operator, ...]
    constants: Mapping[Value, np.ndarray]
    symbols: tuple[Var, ...] = ()
    output_names: tuple[str, ...] = field(default=())

    def __str__(self) -> str:
        return graph_text(self)


def freeze_attrs(attrs: Mapping[str, Any]) -> Attrs:
    """A read-only copy; lists become tuples."""
    return MappingProxyType(
        {key: tuple(v) if isinstance(v, list) else v for key, v in attrs.items()}
    )


def producers(graph: Graph) -> dict[Value, Operator]:
    """Which operator makes a value (inputs and constants have none)."""
    return {value: operator for operator in graph.operators for value in operator.outputs}


def consumers(graph: Graph) -> dict[Value, list[Operator]]:
    """Which operators read a value, in order, each once (graph outputs are not listed)."""
    result: dict[Value, list[Operator]] = {}
    for operator in graph.operators:
        for value in dict.fromkeys(operator.inputs):
            result.setdefault(value, []).append(operator)
    return result


def use_counts(graph: Graph) -> dict[Value, int]:
    """How often a value is read: by operators (each input counts) and as graph output."""
    counts: dict[Value, int] = {}
    for value in (*(v for operator in graph.operators for v in operator.inputs), *graph.outputs):
        counts[value] = counts.get(value, 0) + 1
    return counts


def count_ops(graph: Graph) -> dict[str, int]:
    """How many operators there are of each name."""
    counts: dict[str, int] = {}
    for operator in graph.operators:
        counts[operator.op.name] = counts.get(operator.op.name, 0) + 1
    return dict(sorted(counts.items()))


def verify_graph(graph: Graph) -> None:
    """Raise CompilerBug unless values are defined once, before use, with the types inferred."""
    known: set[Value] = set()
    for value in (*graph.inputs, *graph.constants):
        if value in known:
            raise CompilerBug("graph", f"{value} is defined twice")
        known.add(value)
    for value, array in graph.constants.items():
        if array.shape != value.type.shape or from_numpy(array.dtype) != value.type.dtype:
            raise CompilerBug("graph", f"constant {value} holds {array.dtype}{list(array.shape)}")
    for operator in graph.operators:
        _verify_operator(operator, known)
        known.update(operator.outputs)
    for value in graph.outputs:
        if value not in known:
            raise CompilerBug("graph", f"output {value} is not defined")
    if len(graph.output_names) != len(graph.outputs):
        raise CompilerBug(
            "graph", f"{len(graph.outputs)} outputs but {len(graph.output_names)} output names"
        )


def _verify_operator(operator: Operator, known: set[Value]) -> None:
    for value in operator.inputs:
        if value not in known:
            raise CompilerBug(
                "graph", f"{operator_text(operator)}: {value} is used before it is defined"
            )
    inferred = operator.op.infer(tuple(value.type for value in operator.inputs), operator.attrs)
    if len(inferred) != len(operator.outputs):
        raise CompilerBug("graph", f"{operator_text(operator)}: expected {len(inferred)} outputs")
    for value, expected in zip(operator.outputs, inferred, strict=True):
        if value in known or not same_type(value.type, expected):
            raise CompilerBug(
                "graph", f"{operator_text(operator)}: expected a new value of type {expected}"
            )


def attr_text(value: Any) -> str:
    """An attribute as text; equal texts mean equal attributes."""
    if isinstance(value, (Expr, int)) and not isinstance(value, bool):
        return dim_text(value)
    if isinstance(value, tuple):
        return "(" + ", ".join(attr_text(item) for item in value) + ")"
    return str(value) if isinstance(value, (DType, str)) else repr(value)


def operator_text(operator: Operator) -> str:
    """One line: %out: type = op(%inputs, attrs)."""
    attrs = [f"{key}={attr_text(value)}" for key, value in operator.attrs.items()]
    arguments = ", ".join([f"%{value.name}" for value in operator.inputs] + attrs)
    outs = ", ".join(map(repr, operator.outputs))
    return f"{outs} = {operator.op.name}({arguments})"


def graph_text(graph: Graph) -> str:
    """The graph as text, one operator a line."""
    lines = [f"graph {graph.name}(" + ", ".join(map(repr, graph.inputs)) + ")"]
    lines += [f"  const {value!r}" for value in _used(graph.constants, graph)]
    lines += [f"  {operator_text(operator)}" for operator in graph.operators]
    named = zip(graph.output_names, graph.outputs, strict=True)
    lines.append("  return " + ", ".join(f"{name}=%{value.name}" for name, value in named))
    return "\n".join(lines)


def _used(values: Iterable[Value], graph: Graph) -> list[Value]:
    counts = use_counts(graph)
    return [value for value in values if value in counts]
