"""Name the values that a statement uses more than once.

takes, gives: spec "scheduled"
rewrite, where the two v are one object:

    y[i] = f(v, v)   ->   t = v; y[i] = f(t, t)

Fusion makes such values wherever a fused operator's result has several readers. Without names each
use is a copy of the whole text, and a chain of k such operators has 2**k of them. Index arithmetic
is left alone: lowering wants to see it as it is.
"""

from __future__ import annotations

from typing import Any

from hidet_core.ir.expr import Binary, Cast, Expr, Load, Select, Unary, Var
from hidet_core.ir.node import rebuild, rewrite
from hidet_core.ir.stmt import Let, Program, Stmt, Store


def name_shared(program: Program) -> Program:
    """Bind shared values right before the statement that uses them."""
    return rewrite(program, lambda node: _named(node) if isinstance(node, (Store, Let)) else None)


def _named(node: Store | Let) -> Stmt | None:
    shared = _shared(node.value)
    if not shared:
        return None
    done: dict[int, Any] = {}
    lets: list[tuple[Var, Expr]] = []
    for value in shared:
        new = rewrite(value, lambda _: None, done)
        var = Var("shared", value.dtype)
        lets.append((var, new))
        done[id(value)] = var
    stmt: Stmt = rebuild(node, {"value": rewrite(node.value, lambda _: None, done)})
    for var, value in reversed(lets):
        stmt = Let(var, value, stmt)
    return stmt


def _shared(root: Expr) -> list[Expr]:
    """Values below root computed from memory that have more than one use, operands first."""
    uses: dict[int, int] = {}
    is_data: dict[int, bool] = {}
    order: list[Expr] = []

    def visit(value: Expr) -> bool:
        """Whether the value comes from memory."""
        uses[id(value)] = uses.get(id(value), 0) + 1
        if uses[id(value)] == 1:
            flags = [visit(operand) for operand in _operands(value)]
            is_data[id(value)] = isinstance(value, Load) or any(flags)
            order.append(value)
        return is_data[id(value)]

    visit(root)
    return [
        value
        for value in order
        if uses[id(value)] > 1 and is_data[id(value)] and not isinstance(value, Load)
    ]


def _operands(value: Expr) -> tuple[Expr, ...]:
    """What a value is computed from; the indices of a load are no part of it."""
    match value:
        case Binary(_, a, b, _):
            return a, b
        case Select(cond, a, b, _):
            return cond, a, b
        case Unary(_, a, _) | Cast(a, _):
            return (a,)
    return ()
