"""What a team of threads does for one row: read it, take its statistics, write the output.

A row that is kept is in registers, float32, as vectors: vector `step` of a thread begins at element
(step * team + thread) * vector of the row.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext

from hidet_core.compute.definition import Definition
from hidet_core.ir.expr import Buffer, Expr, Load, Reduce, is_const, minimum, wrap
from hidet_core.ir.node import rewrite
from hidet_core.ir.substitute import substitute
from hidet_core.ir.widen import narrowed, wide, wide_type
from hidet_core.lang import Tensor, barrier, ceildiv, let, range_, register, shared, unroll, when

from ..problem import Problem
from ..reducing import combine, find_reduce, identity, instantiate, with_total
from ..work import unravel
from .across import Team, meet
from .traffic import in_vector

STAGED_BYTES = 32 * 1024  # of shared memory, for rows that a prologue computes


class Row:
    """A row of a Rows problem. number: of the row; a team beyond the last row does that one again,
    but stores nothing. form: (vector, kept), see RowConfig.
    """

    def __init__(self, problem: Problem, team: Team, number: Expr, form: tuple[int, int]) -> None:
        self.problem, self.team = problem, team
        self.vector, self.kept = form
        self.x, self.out = problem.inputs[0], problem.output
        self.length = self.out.shape[-1]
        *outer, _ = self.out.shape
        count = wrap(1)
        for dim in outer:
            count = count * dim
        self.is_ours = number < count
        self.row = unravel(let("row", minimum(number, count - 1)), tuple(outer))
        self.copy: Tensor | None = None
        self._lane = wrap(0)  # the place in its vector of the element that is being written

    def write(self) -> None:
        self._read()
        known: dict[Buffer, Expr] = {}
        for definition in self.problem.definitions[:-1]:
            known[definition.out] = self._statistic(definition, known)
        last = self.problem.definitions[-1]
        for step, k in self._elements():
            axes = dict(zip(last.axes, (*self.row, k), strict=True))
            value = self._read_here(instantiate(last.value, axes, known), step, k)
            with when(self.is_ours):
                Tensor(self.out)[(*self.row, k)] = value

    def _statistic(self, definition: Definition, known: dict[Buffer, Expr]) -> Expr:
        axes = dict(zip(definition.axes, self.row, strict=True))
        value = instantiate(definition.value, axes, known)
        node = find_reduce(value)
        assert node is not None, f"{definition.out.name} is no reduction"
        parts = register(node.dtype, [self.vector], "part")
        for lane in in_vector(self.vector):
            parts[lane] = identity(node.op, node.dtype)
        for step, k in self._elements():
            lane = self._lane
            parts[lane] = combine(node.op, parts[lane], self._term(node, step, k))
        total = parts[0]
        for lane in range(1, self.vector):
            total = let("part", combine(node.op, total, parts[lane]))
        return let(definition.out.name, with_total(value, node, meet(node.op, total, self.team)))

    def _term(self, node: Reduce, step: Expr, k: Expr) -> Expr:
        (axis,) = node.axes
        value = substitute(node.value, {axis: k}, fresh=True)
        return let("term", self._read_here(value, step, k))

    def _elements(self) -> Iterator[tuple[Expr, Expr]]:
        """(step, index) of the elements of the row that this thread has; `_lane` is the place in
        the vector.
        """
        team, vector = self.team, self.vector
        size, first = team.size * vector, team.thread * vector
        left = wrap(self.length) - first
        steps = unroll(self.kept, "c") if self.kept else range_(ceildiv(left, size), "c")
        whole = not self.kept or is_const(wrap(self.length), self.kept * size)
        for step in steps:
            start = step * size + first
            with nullcontext() if whole else when(start < self.length):
                for lane in in_vector(vector):
                    self._lane = lane
                    yield step, start + lane

    def _read(self) -> None:
        """The row into registers, or into shared memory where a prologue computes it."""
        x, length, rows = self.x, self.length, self.team.results
        if self.kept:
            self.copy = register(wide_type(x.dtype), [self.kept * self.vector], "kept")
        elif self.problem.computed[0] and isinstance(length, int) and length > 0:
            dtype = wide_type(x.dtype)
            if rows * length * dtype.bytes > STAGED_BYTES:
                return
            self.copy = shared(dtype, [rows, length], "row")
        if self.copy is None:
            return
        for step, k in self._elements():
            self.copy[self._place(step, k)] = wide(Tensor(x)[(*self.row, k)])
        if not self.kept:
            barrier()

    def _place(self, step: Expr, k: Expr) -> tuple[Expr, ...]:
        """Where the copy has an element."""
        return (step * self.vector + self._lane,) if self.kept else (self.team.number, k)

    def _read_here(self, value: Expr, step: Expr, k: Expr) -> Expr:
        """The value with its loads of the row from the copy."""
        copy, x = self.copy, self.x
        if copy is None:
            return value

        def rule(node: object) -> Expr | None:
            if isinstance(node, Load) and node.buffer is x:
                return narrowed(copy[self._place(step, k)], node.dtype)
            return None

        return rewrite(value, rule)
