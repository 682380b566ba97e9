"""A fusion group printed as a Python script: the kernel alone, compared and timed.

takes: a Draft and its graph      gives: the text of repro.py
The script builds a small graph of the group's operators on random inputs (constants keep their
shapes and ranges, small ones their contents). Neighbours are left out, but a concat that the group
stores into is kept; a symbol that is the bare size of no input gets an input of its own.
"""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator
from typing import Any

import numpy as np

from hidet_core.base.errors import Unsupported
from hidet_core.compute.recurrence import Activation, Cell
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Binary, Const, Expr, Var, free_vars, wrap
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.substitute import substitute
from hidet_core.target import Target

from .draft import Draft

LITERAL_ELEMENTS = 16  # constants up to this size are printed
LITERAL_INTEGERS = 1024
SIZES = (4, 16, 64, 256)  # tried for the symbols until all inputs have elements
RESERVED = (
    "Activation",
    "Cell",
    "dtype",
    "inf",
    "maximum",
    "minimum",
    "nan",
    "np",
    "repro",
    "Repro",
)
_OPERATORS = {"add": "+", "sub": "-", "mul": "*", "floordiv": "//", "mod": "%"}
_CALLS = {"min": "minimum", "max": "maximum"}

HEADER = '''"""{title}

usage: python repro.py [--size n=7] [--seed 1] [--threads 2] [--repeats 20]
"""

from math import inf, nan  # noqa: F401

import numpy as np

from hidet_core.commands.repro import Repro
from hidet_core.compute.recurrence import Activation, Cell  # noqa: F401
from hidet_core.ir.dtypes import dtype  # noqa: F401
from hidet_core.ir.expr import maximum, minimum  # noqa: F401

repro = Repro({name!r}, target={target!r})
'''


def repro_text(draft: Draft, graph: Graph, path: str, target: Target) -> str:
    """The script of a group; one that says why where it cannot be printed."""
    try:
        body = "\n".join(_Script(draft, graph).lines())
    except Unsupported as missing:
        return f"raise SystemExit({str(missing)!r})\n"
    kind = target.kind if target.kind == "cpu" else target.name
    header = HEADER.format(title=f"The kernel {path} alone.", name=draft.name, target=kind)
    return f"{header}{body}\n\nrepro.main()\n"


class _Script:
    def __init__(self, draft: Draft, graph: Graph) -> None:
        self.graph = graph
        members = set(draft.group.operators)
        self.operators = [operator for operator in graph.operators if operator in members]
        self.made = {value for operator in self.operators for value in operator.outputs}
        self.stored = [draft.values[buffer] for buffer in draft.values if buffer in draft.stored]
        self.names: dict[Value | Var, str] = {}
        self.taken = set(RESERVED) | set(keyword.kwlist)

    def lines(self) -> Iterator[str]:
        joins = self._concats()
        operators = [*self.operators, *joins]
        made = {*self.made, *(operator.output for operator in joins)}
        read = dict.fromkeys(v for o in operators for v in o.inputs if v not in made)
        inputs = [value for value in read if value not in self.graph.constants]
        yield from self._symbols(inputs, operators)
        for value in inputs:
            dims = "".join(f", {self.show(dim)}" for dim in value.type.shape)
            yield f"{self.name(value)} = repro.input({value.name!r}, '{value.type.dtype}'{dims})"
        for value in read:
            if value in self.graph.constants:
                yield f"{self.name(value)} = {self._constant(value)}"
        for operator in operators:
            yield self._emit(operator)
        inside = {value for operator in joins for value in operator.inputs}
        for value in (*self.stored, *(operator.output for operator in joins)):
            if value not in inside:
                yield f"repro.output({self.name(value)})"

    def _concats(self) -> list[Operator]:
        """The concats that read what the group stores."""
        stored = set(self.stored)
        return [
            operator
            for operator in self.graph.operators
            if operator.op.name == "concat" and stored & set(operator.inputs)
        ]

    def _symbols(self, inputs: list[Value], operators: list[Operator]) -> Iterator[str]:
        dims = [dim for value in inputs for dim in value.type.shape]
        results = (value for operator in operators for value in operator.outputs)
        every = [*dims, *(dim for value in results for dim in value.type.shape)]
        free = (var for dim in every if isinstance(dim, Expr) for var in free_vars(dim))
        symbols = tuple(dict.fromkeys(free))
        size = next((size for size in SIZES if _fits(every, symbols, size)), SIZES[0])
        for var in symbols:
            yield f"{self.name(var)} = repro.symbol({var.name!r}, {size})"
        for var in symbols:
            if var not in dims:
                yield f"repro.input({f'size of {var.name}'!r}, 'u8', {self.name(var)})"

    def _constant(self, value: Value) -> str:
        array = self.graph.constants[value]
        limit = LITERAL_ELEMENTS if value.type.dtype.is_float else LITERAL_INTEGERS
        if array.size <= limit:
            literal = f"np.array({array.tolist()!r}, '{array.dtype.name}')"
            shaped = "" if array.size else f".reshape({array.shape})"
            return f"repro.constant({value.name!r}, {literal}{shaped})"
        low, high = float(np.nanmin(array)), float(np.nanmax(array))
        if low == high and value.type.dtype.is_float:  # a bias of zeros would hide mistakes
            low, high = low - 0.5, high + 0.5
        dims = "".join(f", {dim}" for dim in array.shape)
        kind = f"'{value.type.dtype}'{dims}"
        return f"repro.random({value.name!r}, {kind}, low={low!r}, high={high!r})"

    def _emit(self, operator: Operator) -> str:
        if len(operator.outputs) != 1:
            raise Unsupported(operator.op.name, "an operator of several outputs has no repro")
        parts = [repr(operator.op.name), *map(self.name, operator.inputs)]
        parts += [f"{key}={self.show(value)}" for key, value in operator.attrs.items()]
        return f"{self.name(operator.output)} = repro.emit({', '.join(parts)})"

    def name(self, item: Value | Var) -> str:
        """The Python name of a value or symbol."""
        if item not in self.names:
            stem = re.sub(r"\W+", "_", item.name, flags=re.ASCII).strip("_") or "value"
            stem = f"v{stem}" if stem[0].isdigit() else stem
            name, count = stem, 1
            while name in self.taken:
                name, count = f"{stem}_{count}", count + 1
            self.taken.add(name)
            self.names[item] = name
        return self.names[item]

    def show(self, value: Any) -> str:
        """A dim or attribute as a Python expression."""
        match value:
            case tuple():
                return f"({''.join(self.show(item) + ', ' for item in value)})"
            case DType():
                return f"dtype('{value}')"
            case Var():
                return self.name(value)
            case Const(number, _):
                return repr(number)
            case Binary(op, a, b, _) if op in _OPERATORS:
                return f"({self.show(a)} {_OPERATORS[op]} {self.show(b)})"
            case Binary(op, a, b, _) if op in _CALLS:
                return f"{_CALLS[op]}({self.show(a)}, {self.show(b)})"
            case bool() | int() | float() | str() | None:
                return repr(value)
            case np.generic():
                return repr(value.item())
        if isinstance(value, (Activation, Cell)):
            return repr(value)
        raise Unsupported("repro.py", f"cannot print a {type(value).__name__}")


def _fits(dims: list[int | Expr], symbols: tuple[Var, ...], size: int) -> bool:
    """Whether all dims are positive where the symbols have that size."""
    values = {var: wrap(size) for var in symbols}
    known = (simplify_dim(substitute(wrap(dim), values)) for dim in dims)
    return all(isinstance(dim, int) and dim > 0 for dim in known)
