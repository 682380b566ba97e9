"""What the threads of a block do alike: the barriers that not all of them reach.

A condition or an extent differs between threads if it depends on the thread's number, or on memory
that is the thread's own or shared: what is loaded from there may differ.
"""

from __future__ import annotations

from typing import Any

from .expr import Expr, Load, Var
from .node import walk
from .stmt import Barrier, For, If, Let, OnMapping, Program, Seq


def divergent_barrier(program: Program) -> Barrier | None:
    """The first barrier that some threads may not reach, or reach more often than others."""
    varying: set[Var] = set()  # variables whose values differ
    work: list[tuple[Any, bool]] = [(program.body, False)]  # with: did threads come here apart
    while work:
        node, apart = work.pop()
        match node:
            case Barrier() if apart:
                return node
            case Seq(stmts):
                work += [(stmt, apart) for stmt in reversed(stmts)]
            case Let(var, value, body):
                _note(varying, (var,), _differs(value, varying))
                work.append((body, apart))
            case For(var, extent, body, kind):
                _note(varying, (var,), kind in ("threads", "lanes"))
                work.append((body, apart or _differs(extent, varying)))
            case OnMapping(names, _, worker, body, _):
                _note(varying, names, _differs(worker, varying))
                work.append((body, apart))
            case If(cond, then, orelse):
                apart = apart or _differs(cond, varying)
                work += [(stmt, apart) for stmt in (orelse, then) if stmt is not None]
    return None


def _note(varying: set[Var], names: tuple[Var, ...], differs: bool) -> None:
    if differs:
        varying.update(names)


def _differs(value: Expr, varying: set[Var]) -> bool:
    return any(node in varying if isinstance(node, Var) else _is_own(node) for node in walk(value))


def _is_own(node: object) -> bool:
    return isinstance(node, Load) and node.buffer.scope != "global"
