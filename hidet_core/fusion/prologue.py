"""Fuse prologues into a scheduled program (Hidet, ASPLOS'23, section 5.2: post-scheduling fusion).

takes: spec "scheduled", loads inputs that fused operators compute
gives: spec "scheduled", loads only real tensors
rewrite, for x[i] = f(y[map(i)], ...):

    load(x, i)   ->   f(load(y, map(i)), ...)          through chains of any depth

    copy_async(to, x[i : +n], c)   ->   if c: to[...] = f(...) lane by lane; else: to[...] = 0
                                   or   copy_async(to, y[map(i) : +n], c)   where x only views y

A masked load becomes a value all of whose loads have the mask. Within one statement equal loads
become one expression object, so that a value with many readers does not grow the code with every
level; `name_shared` then gives such objects names.
"""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from typing import Any

from hidet_core.compute.definition import Definition
from hidet_core.ir import poly as P
from hidet_core.ir.address import flat
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Const, Expr, Load, Var, both, is_const
from hidet_core.ir.node import rebuild, rewrite, walk
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.stmt import Call, For, If, Place, Program, Stmt, Store
from hidet_core.ir.substitute import substitute

Definitions = Mapping[Buffer, Definition]


def fuse_prologue(program: Program, definitions: Definitions) -> Program:
    """Replace every load of a defined buffer by its value."""
    if not definitions:
        return program
    inliner = _Inliner(definitions)

    def rule(node: Any) -> Any:
        if isinstance(node, Stmt):  # its expressions are done
            inliner.forget()
        if isinstance(node, Call) and node.name == "copy_async":
            return inliner.copy(node)
        return inliner.load(node) if isinstance(node, Load) else None

    return rewrite(program, rule)


def inline(value: Expr, definitions: Definitions) -> Expr:
    """The value with the loads of defined buffers replaced by what they would load, recursively."""
    return _Inliner(definitions).value(value)


class _Inliner:
    """Values of defined buffers, by buffer and index."""

    def __init__(self, definitions: Definitions) -> None:
        self.definitions = definitions
        # with the load itself: an id means something only while its object lives
        self.known: dict[Hashable, tuple[Load, Expr]] = {}

    def forget(self) -> None:
        self.known.clear()

    def value(self, value: Expr) -> Expr:
        return rewrite(value, lambda node: self.load(node) if isinstance(node, Load) else None)

    def copy(self, node: Call) -> Stmt | None:
        """An asynchronous copy of what is not in memory: computed and stored at once. Who waits
        for it and meets others at a barrier sees it, as before.
        """
        to, source, inside = node.operands
        assert isinstance(to, Place) and isinstance(source, Place) and isinstance(inside, Expr)
        if source.buffer not in self.definitions:
            return None
        viewed = self._viewed(source)
        if viewed is not None:
            return rebuild(node, {"operands": (to, viewed, inside)})
        lane = Var("lane", i64)
        here, there = ((*place.indices[:-1], place.indices[-1] + lane) for place in (to, source))
        dtype = source.buffer.dtype
        value = self.value(Load(source.buffer, there, dtype))
        known = _each(lane, to.count, Store(to.buffer, here, value, None, node.where))
        if is_const(inside, True):
            return known
        other = Var("lane", i64)
        place = (*to.indices[:-1], to.indices[-1] + other)
        zero = Store(to.buffer, place, Const(0.0 if dtype.is_float else 0, dtype), None, node.where)
        return If(inside, known, _each(other, to.count, zero), node.where)

    def _viewed(self, source: Place) -> Place | None:
        """Where in memory lies what a place of a defined buffer is: its elements are side by side
        and aligned as an asynchronous copy wants them. None where that is not plain to see.
        """
        lane, count = Var("lane", i64), source.count
        index = (*source.indices[:-1], source.indices[-1] + lane)
        value = self.value(Load(source.buffer, index, source.buffer.dtype))
        if not isinstance(value, Load) or value.mask is not None:
            return None
        algebra = Simplifier()
        algebra.bind(lane, count)
        form = algebra.poly(flat(value.buffer, value.indices))
        (name,) = P.atom(lane).terms
        rest = P.part(form, lambda mono, _: mono != name)
        is_row = form.terms.get(name) == 1 and all(n % count == 0 for n in rest.terms.values())
        is_row = is_row and not any(node is lane for node in walk(algebra.expr(rest)))
        if not is_row or value.buffer.alignment < count * value.dtype.bytes:
            return None
        first = tuple(substitute(i, {lane: Const(0, i64)}) for i in value.indices)
        return Place(value.buffer, first, count)

    def load(self, node: Load) -> Expr | None:
        """What a load of a defined buffer would load."""
        definition = self.definitions.get(node.buffer)
        if definition is None:
            return None
        key = (node.buffer, _identity(node.indices), id(node.mask))
        if key not in self.known:
            axes = dict(zip(definition.axes, node.indices, strict=True))
            value = substitute(definition.value, axes, fresh=True)
            if node.mask is not None:
                value = _masked(value, node.mask)
            self.known[key] = (node, self.value(value))
        return self.known[key][1]


def _each(lane: Var, count: int, body: Stmt) -> Stmt:
    if count == 1:
        return substitute(body, {lane: Const(0, i64)})
    return For(lane, Const(count, i64), body, "lanes")


def _identity(indices: Sequence[Expr]) -> Hashable:
    """Equal for equal indices, as far as objects tell."""
    return tuple(
        ("const", index.value) if isinstance(index, Const) else id(index) for index in indices
    )


def _masked(value: Expr, mask: Expr) -> Expr:
    def rule(node: Any) -> Expr | None:
        if not isinstance(node, Load):
            return None
        return rebuild(node, {"mask": mask if node.mask is None else both(mask, node.mask)})

    return rewrite(value, rule)
