"""Replace variables by expressions, folding constants on the way.

Bound variables (loop variables, lets) inside the copied part are renamed apart with `fresh=True`,
so that two copies of a body never share a binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .expr import Binary, Cast, Const, Expr, Select, Unary, Var, binary, cast, select, unary
from .node import rewrite, walk
from .stmt import For, Let, OnMapping


def refold(node: Any) -> Any:
    """The node folded where it has constant operands; None where there is nothing to fold."""
    match node:
        case Binary(op, a, b, _) if isinstance(a, Const) or isinstance(b, Const):
            return binary(op, a, b)
        case Unary(op, Const() as a, _):
            return unary(op, a)
        case Cast(Const() as a, dtype):
            return cast(a, dtype)
        case Select(Const() as cond, a, b, _):
            return select(cond, a, b)
    return None


def substitute(root: Any, values: Mapping[Var, Expr], fresh: bool = False) -> Any:
    """root with each variable replaced; untouched subtrees are the same objects."""
    table: dict[Var, Expr] = dict(values)
    renamed: dict[Var, Var] = {}
    if fresh:
        for node in walk(root):
            match node:
                case For(var, _, _, _) | Let(var, _, _):
                    renamed[var] = Var(var.name, var.dtype)
                case OnMapping(names, _, _, _, _):
                    renamed.update({var: Var(var.name, var.dtype) for var in names})
        table.update(renamed)

    def rule(node: Any) -> Any:
        return table.get(node) if isinstance(node, Var) else refold(node)

    return rewrite(root, rule)


def rename_bound(stmt: Any) -> Any:
    """A copy of a statement whose bound variables are its own."""
    return substitute(stmt, {}, fresh=True)
