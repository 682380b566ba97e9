"""Scatters on CPUs: a task has some positions of a line (or of a row of lines side by side), copies
them and applies the updates that go there, in order.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from hidet_core.compute.dims import Dim, product
from hidet_core.compute.update import updated
from hidet_core.ir.expr import Expr, is_const, load, minimum, wrap
from hidet_core.lang import Tensor, build, ceildiv, let, parallel, range_, when
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..scatter import Lines, lines_of
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .span import span

ENOUGH_LINES = 32  # for all threads, so that each line is one task
PARTS = 16  # of a line else; each walks over all updates
COPY_NS, UPDATE_NS = 0.4, 2.0


class Scatter(Template):
    """scatter_elements and scatter_nd of any type."""

    ops = ("scatter_elements", "scatter_nd")

    def space(self, problem: Problem, target: Cpu) -> Iterator[Config]:
        yield Config()

    def build(self, problem: Problem, config: Config, target: Cpu) -> Scheduled:
        lines, out = lines_of(problem), problem.output
        in_rows = problem.op == "scatter_nd" and bool(lines.lines)
        outer = lines.lines[:-1] if in_rows else lines.lines
        row: Dim = lines.lines[-1] if in_rows else 1
        parts = 1 if estimate(outer) >= ENOUGH_LINES else PARTS
        each = ceildiv(lines.positions, parts)
        width = target.lanes(max(out.dtype.bytes, 4))
        buffers = (*problem.inputs, out)
        with build(problem.name, buffers, scalars_of(*buffers)) as slot:
            for number, part in parallel(product(outer), parts):
                task = _Task(lines, unravel(number, outer), row if in_rows else None, width)
                low = part * each
                with when(low < wrap(lines.positions)):
                    task.write(low, minimum(low + each, wrap(lines.positions)))
        copied = estimate((lines.positions,)) / parts * estimate((row,))
        applied = estimate(lines.count) * (1 + estimate((row,)) / width)
        return Scheduled(slot.program, {}, "scatter", copied * COPY_NS + applied * UPDATE_NS)


class _Task:
    """row: the number of lines side by side that are in lanes, None where the line is one."""

    def __init__(self, lines: Lines, line: Sequence[Expr], row: Dim | None, width: int) -> None:
        self.lines, self.line, self.row, self.width = lines, tuple(line), row, width

    def write(self, low: Expr, high: Expr) -> None:
        """Positions [low, high)."""
        lines = self.lines
        if self.row is None and lines.index(self.line, low)[-1] is low:  # along memory
            for k in span(high - low, self.width):
                self._copy(self.line, low + k)
        else:
            for k in range_(high - low, "p"):
                for line in self._row():
                    self._copy(line, low + k)
        with when(lines.has_updates(self.line)):
            self._updates(low, high, ())

    def _copy(self, line: tuple[Expr, ...], position: Expr) -> None:
        index = self.lines.index(line, position)
        Tensor(self.lines.out)[index] = load(self.lines.data, *index)

    def _row(self) -> Iterator[tuple[Expr, ...]]:
        if self.row is None:
            yield self.line
            return
        for k in span(self.row, self.width):
            yield (*self.line, k)

    def _updates(self, low: Expr, high: Expr, n: tuple[Expr, ...]) -> None:
        lines, out = self.lines, Tensor(self.lines.out)
        if len(n) < len(lines.count):
            if not is_const(lines.count[len(n)], 0):
                for k in range_(lines.count[len(n)], "n"):
                    self._updates(low, high, (*n, k))
            return
        place = let("place", lines.goes_to(self.line, n))
        with when((place >= low) & (place < high)):
            for line in self._row():
                index = lines.index(line, place)
                new = load(lines.updates, *lines.update(line, n))
                out[index] = updated(lines.op, out[index], new)
