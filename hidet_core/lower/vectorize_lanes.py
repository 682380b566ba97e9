"""Turn 'lanes' loops into vector code: all iterations at once, in the lanes of vector registers.

takes: spec "flat", simplified indices
gives: spec "flat", no For of kind 'lanes'; vector Loads and Stores at ramps, under masks
rewrite, for lane in lanes(16):
    y[i*16 + lane] = x[lane] * s[i]  ->  y[ramp(i*16, 16)] = x[ramp(0, 16)] * splat(s[i], 16)
    if i*16 + lane < n: store                  ->  store under the mask ramp(i*16, 16) < n
    if lane < 1: y[0] = x[lane]                ->  a serial loop: it stores to one element
Values that do not depend on the lane stay scalar until they meet one that does; they are computed
whether or not any lane is on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from hidet_core.base.errors import CompilerBug
from hidet_core.ir import poly as P
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import (
    Binary,
    Broadcast,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Select,
    Unary,
    Var,
    binary,
    both,
    broadcast,
    cast,
    select,
    unary,
)
from hidet_core.ir.node import rebuild, rewrite, walk
from hidet_core.ir.ranges import INF
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.stmt import For, If, Let, Prefetch, Program, Seq, Stmt, Store, seq
from hidet_core.ir.substitute import substitute
from hidet_core.ir.verify import gives


@gives("flat")
def vectorize_lanes(program: Program) -> Program:
    """Vectorise every 'lanes' loop."""
    bounds = _bounds(program)
    for loop in _lanes_loops(program.body):
        if any(_lanes_loops(loop.body)):
            raise CompilerBug("vectorize_lanes", "a lanes loop inside a lanes loop")

    def rule(node: Any) -> Stmt | None:
        return _vectorize(node, bounds) if _is_lanes(node) else None

    return rewrite(program, rule)


def _is_lanes(node: Any) -> bool:
    return isinstance(node, For) and node.kind == "lanes"


def _lanes_loops(root: Stmt) -> Iterator[For]:
    return (node for node in walk(root) if isinstance(node, For) and node.kind == "lanes")


def _bounds(program: Program) -> dict[Var, tuple[float, float]]:
    """What is known of the variables that are bound around a lanes loop; else the simplifier would
    take them for sizes, which are never 0.
    """
    bounds = {program.task: (0.0, INF)}
    for node in walk(program.body):
        if isinstance(node, For):
            bounds[node.var] = (0.0, INF)
        elif isinstance(node, Let):
            bounds[node.var] = (-INF, INF)
    return bounds


def _vectorize(loop: For, bounds: dict[Var, tuple[float, float]]) -> Stmt:
    if not isinstance(loop.extent, Const):
        raise CompilerBug("vectorize_lanes", "the number of lanes is not a constant")
    try:
        return _Vectorizer(loop.var, int(loop.extent.value), bounds).stmt(loop.body, None)
    except _OneElement:
        return rebuild(loop, {"kind": "serial"})


class _OneElement(Exception):
    """All lanes store to one element (an axis of size 1): there is nothing to vectorise."""


class _Vectorizer:
    """Vectorises over one lane variable."""

    def __init__(self, lane: Var, lanes: int, bounds: Mapping[Var, tuple[float, float]]) -> None:
        self.lane = lane
        self.lanes = lanes
        self.simplifier = Simplifier()
        self.simplifier.bounds.update(bounds)
        self.simplifier.bind(lane, lanes)
        self.vectors: dict[Var, Var] = {}  # let-bound values that depend on the lane
        # by (id of value, id of mask), with both so that they live
        self.memo: dict[tuple[int, int], tuple[Expr, Expr | None, Expr]] = {}
        self.uses: dict[int, tuple[Expr, bool]] = {}

    def depends(self, node: Expr) -> bool:
        """Whether a value differs between lanes."""
        known = self.uses.get(id(node))
        if known is None:
            names = (n for n in walk(node) if isinstance(n, Var))
            known = (node, any(n is self.lane or n in self.vectors for n in names))
            self.uses[id(node)] = known
        return known[1]

    # statements

    def stmt(self, node: Stmt, mask: Expr | None) -> Stmt:
        match node:
            case Seq(stmts):
                return seq(*(self.stmt(s, mask) for s in stmts))
            case Store():
                return self._store(node, mask)
            case Prefetch():
                return self._prefetch(node)
            case For(_, extent, body, _):
                if self.depends(extent):
                    raise CompilerBug(
                        "vectorize_lanes", "the extent of a loop differs between lanes"
                    )
                return rebuild(node, {"body": self.stmt(body, mask)})
            case If(cond, then, orelse):
                return self._branch(node, cond, then, orelse, mask)
            case Let(var, value, body):
                if not self.depends(value):
                    return rebuild(node, {"body": self.stmt(body, mask)})
                new = self.expr(value, mask)
                self.vectors[var] = Var(var.name, new.dtype)
                return Let(self.vectors[var], new, self.stmt(body, mask))
        raise CompilerBug("vectorize_lanes", f"unexpected {type(node).__name__}")

    def _branch(
        self, node: If, cond: Expr, then: Stmt, orelse: Stmt | None, mask: Expr | None
    ) -> Stmt:
        if not self.depends(cond):
            other = None if orelse is None else self.stmt(orelse, mask)
            return rebuild(node, {"then": self.stmt(then, mask), "orelse": other})
        yes = broadcast(self.expr(cond, mask), self.lanes)
        if not any(isinstance(part, Load) for part in walk(yes)):
            return self._masked(yes, then, orelse, mask)
        # the branch may store to what its condition reads: the mask is what it was before
        known = Var("mask", yes.dtype)
        return Let(known, yes, self._masked(known, then, orelse, mask))

    def _masked(self, yes: Expr, then: Stmt, orelse: Stmt | None, mask: Expr | None) -> Stmt:
        taken = self.stmt(then, yes if mask is None else both(mask, yes))
        if orelse is None:
            return taken
        no = unary("not", yes)
        return seq(taken, self.stmt(orelse, no if mask is None else both(mask, no)))

    def _prefetch(self, node: Prefetch) -> Stmt:
        """The cache line of the first lane; it has no effect on values."""
        place = substitute(node.indices[0], {self.lane: Const(0, i64)})
        return seq() if self.depends(place) else rebuild(node, {"indices": (place,)})

    def _store(self, node: Store, mask: Expr | None) -> Stmt:
        if node.mask is not None:
            own = broadcast(self.expr(node.mask, mask), self.lanes)
            mask = own if mask is None else both(mask, own)
        (index,) = node.indices
        value = self.expr(node.value, mask)
        if not self.depends(index):
            if value.dtype.lanes > 1 or mask is not None:
                raise _OneElement
            return rebuild(node, {"value": value})
        place = self.index(index, mask)
        value = broadcast(value, self.lanes)
        return rebuild(node, {"indices": (place,), "value": value, "mask": mask})

    # expressions

    def index(self, node: Expr, mask: Expr | None) -> Expr:
        """An index: a ramp where it is linear in the lane, else a vector of indices."""
        form = self.simplifier.poly(node)
        step = form.terms.get(next(iter(P.atom(self.lane).terms)), 0)
        rest = P.part(form, lambda mono, _: mono != next(iter(P.atom(self.lane).terms)))
        base = self.simplifier.expr(rest)
        if not self.depends(base):
            return Ramp(base, Const(step, i64), i64.vector(self.lanes))
        return self.expr(node, mask)

    def expr(self, node: Expr, mask: Expr | None) -> Expr:
        if not self.depends(node):
            return node
        key = (id(node), id(mask))
        done = self.memo.get(key)
        if done is None:
            done = self.memo[key] = (node, mask, self._expr(node, mask))
        return done[-1]

    def _expr(self, node: Expr, mask: Expr | None) -> Expr:
        match node:
            case Var():
                if node is self.lane:
                    return Ramp(Const(0, i64), Const(1, i64), i64.vector(self.lanes))
                return self.vectors[node]
            case Binary("add" | "sub" | "mul" as op, a, b, dtype) if dtype == i64:
                linear = self._linear(node)
                return (
                    linear
                    if linear is not None
                    else binary(op, self.expr(a, mask), self.expr(b, mask))
                )
            case Binary(op, a, b, _):
                return binary(op, self.expr(a, mask), self.expr(b, mask))
            case Unary(op, a, _):
                return unary(op, self.expr(a, mask))
            case Cast(a, dtype):
                return cast(self.expr(a, mask), dtype)
            case Select(cond, a, b, _):
                return select(self.expr(cond, mask), self.expr(a, mask), self.expr(b, mask))
            case Load(buffer, (index,), dtype, own):
                outside = mask if buffer.scope == "global" else None
                if own is not None:
                    inner = broadcast(self.expr(own, mask), self.lanes)
                    outside = inner if outside is None else both(outside, inner)
                return Load(buffer, (self.index(index, mask),), dtype.vector(self.lanes), outside)
            case Broadcast() | Ramp():
                return node
        raise CompilerBug("vectorize_lanes", f"cannot vectorise {type(node).__name__}")

    def _linear(self, node: Expr) -> Expr | None:
        form = self.simplifier.poly(node)
        lane = next(iter(P.atom(self.lane).terms))
        base = self.simplifier.expr(P.part(form, lambda mono, _: mono != lane))
        if self.depends(base):
            return None
        return Ramp(base, Const(form.terms.get(lane, 0), i64), i64.vector(self.lanes))
