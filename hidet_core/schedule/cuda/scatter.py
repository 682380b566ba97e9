"""Scatters on GPUs: a thread has every so many-th position of a line, copies them and applies the
updates that go there, in order. No atomics, so results do not depend on who comes first.

Threads side by side have lines side by side; where positions of a line lie along memory, they have
positions side by side.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import product
from hidet_core.compute.update import updated
from hidet_core.ir.expr import Expr, eq, is_const, load, wrap
from hidet_core.lang import Tensor, build, ceildiv, let, parallel, range_, threads, when
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..scatter import Lines, lines_of
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .traffic import LATENCY_CYCLES, LAUNCH_NS

THREADS = 128
THREADS_TO_FILL = 1024  # of a multiprocessor
STEP_CYCLES = 12.0  # to look at an update that is in the nearest cache
MAX_PARTS = 1 << 16


@dataclass(frozen=True)
class ScatterConfig(Config):
    """parts: threads of a line, a power of two."""

    parts: int


class Scatter(Template):
    """scatter_elements and scatter_nd of any type."""

    ops = ("scatter_elements", "scatter_nd")

    def space(self, problem: Problem, target: Cuda) -> Iterator[ScatterConfig]:
        lines, parts = lines_of(problem), 1
        while parts <= min(max(estimate((lines.positions,)), 1), MAX_PARTS):
            yield ScatterConfig(parts)
            parts *= 2

    def cost(self, problem: Problem, config: ScatterConfig, target: Cuda) -> float:
        lines = lines_of(problem)
        workers = max(estimate(lines.lines), 1) * config.parts
        waves = -(-workers // (THREADS_TO_FILL * target.multiprocessors))
        own = estimate((lines.positions,)) / config.parts
        cycles = own * LATENCY_CYCLES / 4 + estimate(lines.count) * STEP_CYCLES + LATENCY_CYCLES
        return LAUNCH_NS + waves * cycles / target.clock_ghz

    def build(self, problem: Problem, config: ScatterConfig, target: Cuda) -> Scheduled:
        lines = lines_of(problem)
        workers = product(lines.lines) * config.parts
        buffers = (*problem.inputs, problem.output)
        with build(problem.name, buffers, scalars_of(*buffers)) as slot:
            for (block,) in parallel(ceildiv(workers, THREADS)):
                for thread in threads(THREADS):
                    worker = let("worker", block * THREADS + thread)
                    with when(worker < wrap(workers)):
                        _work(lines, worker, config.parts)
        return Scheduled(slot.program, {}, str(config))


def _along_memory(lines: Lines) -> bool:
    """Whether positions of a line are neighbours in the output."""
    marks = [wrap(k + 1) for k in range(len(lines.lines))]
    *_, last = lines.index(marks, wrap(0))
    return all(last is not mark for mark in marks)


def _work(lines: Lines, worker: Expr, parts: int) -> None:
    """Positions part, part + parts, ... of the worker's line."""
    count = wrap(product(lines.lines))
    if _along_memory(lines):
        number, part = worker // parts, worker % parts
    else:
        number, part = worker % count, worker // count
    line, part = unravel(number, lines.lines), let("part", part)
    out, data = Tensor(lines.out), Tensor(lines.data)
    for k in range_((wrap(lines.positions) - part + (parts - 1)) // parts, "p"):
        index = lines.index(line, part + k * parts)
        out[index] = data[index]

    def updates(n: tuple[Expr, ...]) -> None:
        if len(n) < len(lines.count):
            if not is_const(lines.count[len(n)], 0):
                for k in range_(lines.count[len(n)], "n"):
                    updates((*n, k))
            return
        place = let("place", lines.goes_to(line, n))
        is_ours = eq(place % parts, part)
        with when(is_ours):
            index = lines.index(line, place)
            new = load(lines.updates, *lines.update(line, n))
            out[index] = updated(lines.op, out[index], new)

    with when(lines.has_updates(line)):
        updates(())
