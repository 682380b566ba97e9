"""Fuse an epilogue chain into a scheduled program (Hidet, ASPLOS'23, section 5.2: post-scheduling
fusion).

takes: spec "scheduled", each element of `out` stored once
gives: spec "scheduled", stores what the chain computes
rewrite, for result[place(i)] = f(out[i], extra...) with `place` one-to-one:

    store(out, i, v)   ->   [store(out, i, v)]; store(result, place(i), f(v, extra...))

The store of an inner value of the chain stays where that value is also used outside the group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.definition import Definition
from hidet_core.ir.expr import Buffer, Const, Expr, Load, Var
from hidet_core.ir.node import rebuild, rewrite, walk
from hidet_core.ir.stmt import Let, Program, Stmt, Store, seq
from hidet_core.ir.substitute import substitute

from .prologue import Definitions, inline


@dataclass(frozen=True, eq=False)
class Step:
    """One fused consumer: definition.out is computed from `main`, whose element i goes to
    definition.out[place(i)].
    """

    definition: Definition
    main: Buffer
    place: Callable[[Sequence[Expr]], Sequence[Expr]]


def fuse_epilogue(
    program: Program,
    out: Buffer,
    steps: Sequence[Step],
    stored: Collection[Buffer],
    definitions: Definitions,
) -> Program:
    """Rewrite the stores of `out`. stored: buffers of the chain that are real tensors; definitions:
    extra prologues.
    """
    if not steps:
        return program

    def rule(node: Any) -> Stmt | None:
        return (
            _chain(node, steps, stored, definitions)
            if isinstance(node, Store) and node.buffer is out
            else None
        )

    body = rewrite(program.body, rule)
    if body is program.body:
        raise CompilerBug("fuse_epilogue", f"{program.name} never stores {out.name}")
    return rebuild(program, {"body": body})


def _chain(
    store: Store, steps: Sequence[Step], stored: Collection[Buffer], definitions: Definitions
) -> Stmt:
    index: Sequence[Expr] = store.indices
    value = store.value
    lets: list[tuple[Var, Expr]] = []
    writes: list[Stmt] = []

    def bind(name: str, computed: Expr) -> Expr:
        if isinstance(computed, (Const, Var)):
            return computed
        var = Var(name, computed.dtype)
        lets.append((var, computed))
        return var

    value = bind(store.buffer.name, value)
    if store.buffer in stored:
        writes.append(rebuild(store, {"value": value}))
    for step in steps:
        index = tuple(step.place(index))
        value = bind(step.definition.out.name, _apply(step, index, value, definitions))
        if step.definition.out in stored:
            writes.append(Store(step.definition.out, tuple(index), value, store.mask, store.where))
    if not writes:
        raise CompilerBug(
            "fuse_epilogue", f"no value of the chain after {store.buffer.name} is stored"
        )
    body = seq(*writes)
    for var, computed in reversed(lets):
        body = Let(var, computed, body)
    return body


def _apply(step: Step, index: Sequence[Expr], value: Expr, definitions: Definitions) -> Expr:
    """The consumer's value at `index`, with its load of the running value replaced."""
    definition = step.definition
    body = substitute(definition.value, dict(zip(definition.axes, index, strict=True)), fresh=True)
    body = rewrite(
        body, lambda node: value if isinstance(node, Load) and node.buffer is step.main else None
    )
    if any(isinstance(node, Load) and node.buffer is step.main for node in walk(body)):
        raise CompilerBug("fuse_epilogue", f"{step.main.name} is still read by its fused consumer")
    return inline(body, definitions)
