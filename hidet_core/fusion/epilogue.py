"""Fuse epilogues into a scheduled program (Hidet, ASPLOS'23, section 5.2: post-scheduling fusion).

takes: spec "scheduled", each element of `out` stored once
gives: spec "scheduled", stores what the steps compute from it
rewrite, for result[place(i)] = f(out[i], extra...) with `place` one-to-one:

    store(out, i, v)   ->   [store(out, i, v)]; store(result, place(i), f(v, extra...))

A step may read the results of several earlier ones, if their elements are at the same index. The
store of a value inside stays where that value is also used outside the group.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import Any

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.definition import Definition
from hidet_core.ir.expr import Buffer, Const, Expr, Load, Var
from hidet_core.ir.node import rebuild, rewrite
from hidet_core.ir.stmt import Let, Program, Stmt, Store, seq
from hidet_core.ir.substitute import substitute

Index = tuple[Expr, ...]


@dataclass(frozen=True, eq=False)
class Step:
    """One fused consumer: definition.out is computed from `mains`, buffers of earlier steps, whose
    elements i go to definition.out[place(i)].
    """

    definition: Definition
    mains: tuple[Buffer, ...]
    place: Callable[[Sequence[Expr]], Sequence[Expr]]


def fuse_epilogue(
    program: Program, out: Buffer, steps: Sequence[Step], stored: Collection[Buffer]
) -> Program:
    """Rewrite the stores of `out`. stored: those buffers of out and the steps that are tensors."""
    if not steps:
        return program

    def rule(node: Any) -> Stmt | None:
        is_out = isinstance(node, Store) and node.buffer is out
        return _Chain(node, stored).stmt(steps) if is_out else None

    body = rewrite(program.body, rule)
    if body is program.body and 0 not in out.shape:
        raise CompilerBug("fuse_epilogue", f"{program.name} never stores {out.name}")
    return rebuild(program, {"body": body})


class _Chain:
    """What one store of `out` becomes."""

    def __init__(self, store: Store, stored: Collection[Buffer]) -> None:
        self.store, self.stored = store, stored
        self.elements: dict[Buffer, tuple[Index, Expr]] = {}  # of each value: where and what
        self.lets: list[tuple[Var, Expr]] = []
        self.writes: list[Stmt] = []

    def stmt(self, steps: Sequence[Step]) -> Stmt:
        self._add(self.store.buffer, self.store.indices, self.store.value)
        for step in steps:
            at, _ = self.elements[step.mains[0]]
            index = tuple(step.place(at))
            self._add(step.definition.out, index, self._value(step, index))
        if not self.writes:
            raise CompilerBug(
                "fuse_epilogue", f"no value of the chain after {self.store.buffer.name} is stored"
            )
        body = seq(*self.writes)
        for var, value in reversed(self.lets):
            body = Let(var, value, body)
        return body

    def _add(self, buffer: Buffer, index: Index, value: Expr) -> None:
        if not isinstance(value, (Const, Var)):
            var = Var(buffer.name, value.dtype)
            self.lets.append((var, value))
            value = var
        self.elements[buffer] = index, value
        if buffer in self.stored:
            self.writes.append(Store(buffer, index, value, self.store.mask, self.store.where))

    def _value(self, step: Step, index: Index) -> Expr:
        """The consumer's value at `index`, with its loads of earlier values replaced."""
        axes = dict(zip(step.definition.axes, index, strict=True))
        body = substitute(step.definition.value, axes, fresh=True)
        known = {main: self.elements[main][1] for main in step.mains}
        return rewrite(
            body, lambda node: known.get(node.buffer) if isinstance(node, Load) else None
        )
