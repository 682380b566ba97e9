"""Replace variables by expressions, folding constants on the way.

Bound variables (loop variables, lets) inside the copied part are renamed apart with `fresh=True`,
so that two copies of a body never share a binding.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from .expr import (
    Binary,
    Cast,
    Const,
    Expr,
    Reduce,
    Select,
    Unary,
    Var,
    binary,
    cast,
    select,
    unary,
)
from .node import child_fields, rewrite, walk
from .stmt import For, Let, OnMapping


def refold(node: Any) -> Any:
    """The node folded where it has constant operands; None where there is nothing to fold."""
    match node:
        case Binary(op, a, b, _) if isinstance(a, Const) or isinstance(b, Const):
            return _unless_same(node, binary(op, a, b))
        case Unary(op, Const() as a, _):
            return _unless_same(node, unary(op, a))
        case Cast(Const() as a, dtype):
            return _unless_same(node, cast(a, dtype))
        case Select(Const() as cond, a, b, _):
            return select(cond, a, b)
    return None


def _unless_same(node: Expr, built: Expr) -> Expr | None:
    """None where building the node again gave just a copy of it."""
    if type(built) is not type(node):
        return built
    names = child_fields(type(node))
    return None if all(getattr(built, n) == getattr(node, n) for n in names) else built


def substitute(root: Any, values: Mapping[Var, Expr], fresh: bool = False) -> Any:
    """root with each variable replaced; untouched subtrees are the same objects.

    fresh: variables bound inside root (loops, lets, reductions) become new ones. A value must not
    use a variable that root binds.
    """
    table: dict[Var, Expr] = dict(values)
    renamed: dict[Var, Var] = {}
    if fresh:
        for node in walk(root):
            match node:
                case For(var, _, _, _) | Let(var, _, _):
                    renamed[var] = Var(var.name, var.dtype)
                case OnMapping(names, _, _, _, _) | Reduce(_, names, _, _, _):
                    renamed.update({var: Var(var.name, var.dtype) for var in names})
        table.update(renamed)

    def rule(node: Any) -> Any:
        return table.get(node) if isinstance(node, Var) else refold(node)

    return rewrite(root, rule)
