"""Scatters as independent lines, for the templates of all targets.

A line is what a run of updates goes to one after the other: of scatter_elements the elements along
the axis, of scatter_nd the elements at one place of all slices. Updates of different lines never
meet, and a worker that has some positions of a line walks over all updates of the line and applies
those that are its own. So results are those of a serial scatter, whatever runs at once.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from hidet_core.compute.dims import Dim, dim_expr, product, same_dim
from hidet_core.compute.indices import wrapped_index
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Expr, both, load, wrap

from .problem import Problem
from .work import unravel

Index = tuple[Expr, ...]


class Lines(ABC):
    """lines: the box of all lines; positions: of a line; count: the box of its updates."""

    lines: tuple[Dim, ...]
    positions: Dim
    count: tuple[Dim, ...]

    def __init__(self, problem: Problem) -> None:
        self.data, self.indices, self.updates = problem.inputs
        self.out, self.op = problem.output, problem.attrs["op"]

    @abstractmethod
    def index(self, line: Sequence[Expr], position: Expr) -> Index:
        """Of a position of a line in data and output."""

    @abstractmethod
    def goes_to(self, line: Sequence[Expr], n: Sequence[Expr]) -> Expr:
        """The position that update n of a line changes."""

    @abstractmethod
    def update(self, line: Sequence[Expr], n: Sequence[Expr]) -> Index:
        """The index of update n of a line."""

    def has_updates(self, line: Sequence[Expr]) -> Expr:
        """Whether there are updates of a line."""
        return wrap(True)


class _Elements(Lines):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.axis = axis = problem.attrs["axis"]
        shape = self.data.shape
        self.lines = (*shape[:axis], *shape[axis + 1 :])
        self.positions, self.count = shape[axis], (self.indices.shape[axis],)

    def index(self, line: Sequence[Expr], position: Expr) -> Index:
        return (*line[: self.axis], position, *line[self.axis :])

    def goes_to(self, line: Sequence[Expr], n: Sequence[Expr]) -> Expr:
        return wrapped_index(load(self.indices, *self.index(line, n[0])), self.positions)

    def update(self, line: Sequence[Expr], n: Sequence[Expr]) -> Index:
        return self.index(line, n[0])

    def has_updates(self, line: Sequence[Expr]) -> Expr:
        dims = self.indices.shape[: self.axis] + self.indices.shape[self.axis + 1 :]
        inside: Expr = wrap(True)
        for at, dim, whole in zip(line, dims, self.lines, strict=True):
            if not same_dim(dim, whole):
                inside = both(inside, at < dim_expr(dim))
        return inside


class _Slices(Lines):
    def __init__(self, problem: Problem) -> None:
        super().__init__(problem)
        self.depth = depth = int(self.indices.shape[-1])  # type: ignore[arg-type]
        self.lines = self.data.shape[depth:]
        self.positions = product(self.data.shape[:depth])
        self.count = self.indices.shape[:-1]

    def index(self, line: Sequence[Expr], position: Expr) -> Index:
        return (*unravel(position, self.data.shape[: self.depth]), *line)

    def goes_to(self, line: Sequence[Expr], n: Sequence[Expr]) -> Expr:
        position: Expr = wrap(0, i64)
        for k in range(self.depth):
            size = self.data.shape[k]
            position = position * dim_expr(size) + wrapped_index(load(self.indices, *n, k), size)
        return position

    def update(self, line: Sequence[Expr], n: Sequence[Expr]) -> Index:
        return (*n, *line)


def lines_of(problem: Problem) -> Lines:
    """The lines of a problem of scatter_elements or scatter_nd."""
    return _Slices(problem) if problem.op == "scatter_nd" else _Elements(problem)
