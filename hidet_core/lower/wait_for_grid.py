"""A kernel that may start before the kernels before it have ended waits for them by itself.

    for thread in threads(64):                 for thread in threads(64):
        at = task * 64 + thread                    at = task * 64 + thread
        weight = w[at]                             weight = w[at]
        y[at] = x[at] * weight        ->           grid_wait()
                                                   grid_launch_dependents()
                                                   y[at] = x[at] * weight

The wait stands before the first statement that touches memory of other kernels: all that is no
constant (w here). Every thread comes to it: so who waits for this kernel has waited for all before
it, and what any of them reads or writes is done. Hence kernels of a plan need no other order,
whatever they reuse: activations, workspaces, tickets. The kernel after it may start behind the
wait, not before: at most two are on their way, and its level 1 caches are younger than all that
was written before this one.
"""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

from hidet_core.ir.expr import Buffer, Load
from hidet_core.ir.intrinsics import PROGRAMMATIC
from hidet_core.ir.node import rebuild, walk
from hidet_core.ir.stmt import Call, For, Let, Place, Prefetch, Program, Seq, Stmt, Store, seq
from hidet_core.ir.tensor_map import tensor_of

ACCESSES = (Load, Store, Place, Prefetch)


def wait_for_grid(program: Program, constants: Collection[Buffer]) -> Program:
    """constants: parameters that no kernel writes."""
    node, above = program.body, []
    while (inner := _inner(node, constants)) is not None:
        name, place = inner
        above.append((node, name, place))
        node = getattr(node, name) if place is None else getattr(node, name)[place]
    node = seq(*(Call(name, ()) for name in PROGRAMMATIC), node)
    for outer, name, place in reversed(above):
        if place is not None:
            stmts = getattr(outer, name)
            node = seq(*stmts[:place], node, *stmts[place + 1 :])
        else:
            node = rebuild(outer, {name: node})
    return rebuild(program, {"body": node})


def _inner(node: Stmt, constants: Collection[Buffer]) -> tuple[str, int | None] | None:
    """The part of a statement that can wait in its place, because all threads come to it and what
    is before it touches only constants: a field, and the place in it.
    """
    match node:
        case Seq(stmts):
            found = (place for place, stmt in enumerate(stmts) if _touches(stmt, constants))
            place = next(found, None)
            return None if place is None else ("stmts", place)
        case Let(_, value, _) if not _touches(value, constants):
            return "body", None
        case For(kind="threads"):
            return "body", None
    return None


def _touches(part: Any, constants: Collection[Buffer]) -> bool:
    """Whether memory that other kernels write, or read while this one writes, is used in it."""
    return any(
        isinstance(node, ACCESSES)
        and getattr(node, "count", 1) > 0  # a tensor map is fetched, not the tensor
        and tensor_of(node.buffer).scope == "global"
        and tensor_of(node.buffer) not in constants
        for node in walk(part)
    )
