"""Sizes as exporters write them: the dim_param "past + sequence" means a sum of two other dims.

In: the texts of the dims that come from outside; out: symbols, and expressions over those symbols
that are the whole size of some axis (the runtime takes their values from there and checks the
others). A text that is no such expression is a symbol of its own.
"""

from __future__ import annotations

import ast
from collections.abc import Iterable

from hidet_core.compute.dims import Dim, simplify
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Const, Expr, Var

from .onnx_graph import OnnxValue

OPERATIONS = {
    ast.Add: lambda a, b: a + b,
    ast.Sub: lambda a, b: a - b,
    ast.Mult: lambda a, b: a * b,
    ast.FloorDiv: lambda a, b: a // b,
}


class Sizes:
    """The symbols of a graph by name, in the order in which they were met."""

    def __init__(self) -> None:
        self.symbols: dict[str, Var] = {}
        self.plain: set[str] = set()

    def expect(self, values: Iterable[OnnxValue]) -> None:
        """All values that come from outside, before the first size is asked for."""
        for value in values:
            texts = (dim for dim in value.shape or () if isinstance(dim, str))
            self.plain.update(text for text in texts if text.isidentifier())

    def size(self, text: str) -> Dim:
        """The size that a text means."""
        return self.symbol(text) if text.isidentifier() else self._expression(text)

    def symbol(self, name: str) -> Var:
        return self.symbols.setdefault(name, Var(name))

    def _expression(self, text: str) -> Dim:
        try:
            tree = ast.parse(text.strip(), mode="eval").body
        except (SyntaxError, ValueError):
            return self.symbol(text)
        names = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        found = self._value(tree) if names and names <= self.plain else None
        return self.symbol(text) if found is None else simplify(found)

    def _value(self, node: ast.expr) -> Expr | None:
        match node:
            case ast.Name(id=name):
                return self.symbol(name)
            case ast.Constant(value=int() as number) if not isinstance(number, bool):
                return Const(number, i64)
            case ast.BinOp(left=left, op=op, right=right) if type(op) in OPERATIONS:
                a, b = self._value(left), self._value(right)
                known = a is not None and b is not None
                return OPERATIONS[type(op)](a, b) if known else None
        return None
