"""What the threads of a block, or the lanes of a warp, do alike: the barriers and collectives that
not all of them reach.

A condition or an extent differs between threads if it depends on the thread's number, or on memory
that is the thread's own or shared: what is loaded from there may differ.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from .expr import Binary, Const, Expr, Load, Var
from .intrinsics import INTRINSICS, WARP
from .node import child_fields
from .stmt import Barrier, Call, For, If, Let, OnMapping, Program, Seq, Stmt


def divergent_barrier(program: Program) -> Barrier | None:
    """The first barrier that some threads may not reach, or reach more often than others."""
    return _divergent(program, lambda node: isinstance(node, Barrier), _Block())


def divergent_call(program: Program) -> Call | None:
    """The first collective of a warp that some of its lanes may not reach."""
    return _divergent(program, _is_collective, _Warp())


def _is_collective(node: Stmt) -> bool:
    return isinstance(node, Call) and INTRINSICS[node.name].by != "thread"


def _divergent(program: Program, is_meeting: Callable[[Any], bool], group: _Block) -> Any:
    varying: set[Var] = set()  # variables whose values differ
    work: list[tuple[Any, bool]] = [(program.body, False)]  # with: did threads come here apart
    while work:
        node, apart = work.pop()
        match node:
            case Stmt() if apart and is_meeting(node):
                return node
            case Seq(stmts):
                work += [(stmt, apart) for stmt in reversed(stmts)]
            case Let(var, value, body):
                _note(varying, (var,), group.differs(value, varying))
                work.append((body, apart))
            case For(var, extent, body, kind):
                _note(varying, (var,), kind in ("threads", "lanes"))
                work.append((body, apart or group.differs(extent, varying)))
            case OnMapping(names, _, worker, body, _):
                _note(varying, names, group.differs(worker, varying))
                work.append((body, apart))
            case If(cond, then, orelse):
                apart = apart or group.differs(cond, varying)
                work += [(stmt, apart) for stmt in (orelse, then) if stmt is not None]
    return None


def _note(varying: set[Var], names: tuple[Var, ...], differs: bool) -> None:
    if differs:
        varying.update(names)


class _Block:
    """Whose values are compared: all threads'."""

    def differs(self, value: Any, varying: set[Var]) -> bool:
        """Whether the value may differ between them."""
        seen: set[int] = set()
        stack = [value]
        while stack:
            node = stack.pop()
            if isinstance(node, tuple):
                stack += node
                continue
            if not isinstance(node, Expr) or id(node) in seen or self.is_same(node):
                continue
            seen.add(id(node))
            is_own = isinstance(node, Load) and node.buffer.scope != "global"
            if is_own or (isinstance(node, Var) and node in varying):
                return True
            stack += [getattr(node, name) for name in child_fields(type(node))]
        return False

    def is_same(self, node: Expr) -> bool:
        """Whether a value is the same in all, whatever its parts are."""
        return False


class _Warp(_Block):
    """The lanes of a warp: its number is the same in all."""

    def is_same(self, node: Expr) -> bool:
        match node:
            case Binary("floordiv", Var(), Const(by, _), _):
                return by % WARP == 0
        return False
