"""What a team of threads does for its result, or its vector of results: reduce its box, definition
by definition, and store what the last one makes of it.

BOX: a team has one result, and vectors run along the box. RESULTS: a team has a vector of results
side by side, and its threads take the points of the box in turn.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext

from hidet_core.compute.definition import Definition
from hidet_core.compute.dims import Dim, product, simplify
from hidet_core.ir.expr import Expr, Reduce, is_const, wrap
from hidet_core.ir.substitute import substitute
from hidet_core.lang import Tensor, ceildiv, let, range_, register, when

from ..problem import Problem
from ..reducing import combine, find_reduce, identity, instantiate, with_total
from ..work import unravel
from .across import RESULTS, Team, meet
from .traffic import in_vector

Index = Sequence[Expr]


class Boxes:
    """Teams beyond the last result have nothing to do, but come to the meetings."""

    def __init__(self, problem: Problem, team: Team, vector: int) -> None:
        self.problem, self.team, self.vector = problem, team, vector
        self.out = problem.output
        self.side_by_side = vector if team.along == RESULTS else 1  # results of a thread
        self.stored: list[tuple[Definition, Tensor]] = []  # what earlier definitions gave

    def write(self, block: Expr) -> None:
        """The results of a block."""
        width, count = self.side_by_side, product(self.out.shape)
        self.first = (block * self.team.results + self.team.number) * width
        self.whole = is_const(simplify(count % (self.team.results * width)), 0)
        self.is_ours = self.first < wrap(count)
        for definition in self.problem.definitions:
            node = find_reduce(definition.value)
            totals = None if node is None else self._totals(definition, node)
            with self._ours(node is None or definition.out is self.out):
                self._keep(definition, totals)

    def _ours(self, is_needed: bool = True) -> AbstractContextManager[None]:
        """Only teams that have a result."""
        return when(self.is_ours) if is_needed and not self.whole else nullcontext()

    def _keep(self, definition: Definition, totals: Tensor | None) -> None:
        """A definition's values: the output is stored, others are kept in registers."""
        if definition.out is self.out:
            with when(self.team.thread < 1) if self.team.size > 1 else nullcontext():
                for lane in in_vector(self.side_by_side):
                    Tensor(self.out)[self._index(lane)] = self._value(definition, totals, lane)
            return
        held = register(definition.out.dtype, [self.side_by_side], definition.out.name)
        for lane in in_vector(self.side_by_side):
            held[lane] = self._value(definition, totals, lane)
        self.stored.append((definition, held))

    def _index(self, lane: Expr) -> tuple[Expr, ...]:
        """Of a result of this team."""
        return unravel(self.first + lane, self.out.shape)

    def _at(self, definition: Definition, lane: Expr) -> Expr:
        """A definition's value at a result of this team."""
        axes = dict(zip(definition.axes, self._index(lane), strict=True))
        known = {earlier.out: held[lane] for earlier, held in self.stored}
        return instantiate(definition.value, axes, known)

    def _value(self, definition: Definition, totals: Tensor | None, lane: Expr) -> Expr:
        """The same, its Reduce replaced by the total."""
        value = self._at(definition, lane)
        node = find_reduce(value)
        return value if node is None or totals is None else with_total(value, node, totals[lane])

    def _totals(self, definition: Definition, node: Reduce) -> Tensor:
        """What the team reduces for each of its results."""
        parts, along_box = register(node.dtype, [self.vector], "part"), self.side_by_side == 1
        for lane in in_vector(self.vector):
            parts[lane] = identity(node.op, node.dtype)
        with self._ours():
            for at in self._points(node.extents, self.vector if along_box else 1):
                for lane in in_vector(self.vector):
                    inner = find_reduce(self._at(definition, wrap(0) if along_box else lane))
                    assert inner is not None, "the definition has a Reduce"
                    point = dict(zip(inner.axes, at(lane if along_box else wrap(0)), strict=True))
                    term = let("term", substitute(inner.value, point, fresh=True))
                    parts[lane] = combine(node.op, parts[lane], term)
        for k in range(1, self.vector if along_box else 1):
            parts[0] = combine(node.op, parts[0], parts[k])
        for k in range(self.side_by_side):
            parts[k] = meet(node.op, parts[k], self.team)
        return parts

    def _points(self, extents: Sequence[Dim], vector: int) -> Iterator[Callable[[Expr], Index]]:
        """The thread's points of a box: each time a function that gives the index of one of the
        `vector` points that lie side by side.
        """
        if self.team.size * vector == 1:
            yield from (lambda lane, at=at: at for at in _nest(extents))
            return
        size, first = self.team.size * vector, self.team.thread * vector
        for step in range_(ceildiv(wrap(product(extents)) - first, size), "r"):
            yield lambda lane, start=step * size + first: unravel(start + lane, tuple(extents))


def _nest(extents: Sequence[Dim], before: tuple[Expr, ...] = ()) -> Iterator[tuple[Expr, ...]]:
    """All indices of a box, as loops around each other."""
    if len(before) == len(extents):
        yield before
        return
    for index in range_(extents[len(before)], "r"):
        yield from _nest(extents, (*before, index))
