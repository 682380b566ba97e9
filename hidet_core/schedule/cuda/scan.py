"""Scans along an axis on GPUs.

lines: a thread walks along a line; neighbours have neighbouring lines.  tiles: a block walks along
a line tile by tile; within a tile the threads add up what is 1, 2, 4, ... places before (Hillis and
Steele, 1986), and the total so far goes on to the next tile.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import product
from hidet_core.ir.expr import Expr, wrap
from hidet_core.ir.widen import narrowed, wide, wide_type
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    let,
    parallel,
    range_,
    register,
    shared,
    threads,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import combine, identity
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .across import BARRIER_CYCLES
from .traffic import LATENCY_CYCLES, LAUNCH_NS, THREADS_TO_FILL, traffic_ns

LINE_THREADS = 128
AHEAD = 4  # steps of a line whose loads are under way at once


@dataclass(frozen=True)
class ScanConfig(Config):
    """tile: threads of a line, 1 where each thread has its own."""

    tile: int


class Scan(Template):
    """scan of any numbers."""

    ops = ("scan",)

    def space(self, problem: Problem, target: Cuda) -> Iterator[ScanConfig]:
        for tile in (1, 64, 256, 1024):
            yield ScanConfig(tile)

    def cost(self, problem: Problem, config: ScanConfig, target: Cuda) -> float:
        out, axis = problem.output, problem.attrs["axis"]
        size = max(estimate((out.shape[axis],)), 1)
        lines = max(estimate(tuple(out.shape)) // size, 1)
        moved = 2 * lines * size * out.dtype.bytes
        apart = config.tile == 1 and axis == len(out.shape) - 1
        busy = traffic_ns(moved * (4 if apart else 1), lines * config.tile, target)
        waves = -(-lines * config.tile // (THREADS_TO_FILL * target.multiprocessors))
        steps = -(-size // config.tile)
        meeting = 2 * BARRIER_CYCLES * (config.tile.bit_length() + 1)
        cycles = LATENCY_CYCLES / AHEAD if config.tile == 1 else LATENCY_CYCLES + meeting
        return max(busy, LAUNCH_NS + waves * steps * cycles / target.clock_ghz)

    def build(self, problem: Problem, config: ScanConfig, target: Cuda) -> Scheduled:
        x, out, axis = problem.inputs[0], problem.output, problem.attrs["axis"]
        outer = (*out.shape[:axis], *out.shape[axis + 1 :])
        count = product(outer)
        own = config.tile == 1
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            for (block,) in parallel(ceildiv(count, LINE_THREADS) if own else count):
                for thread in threads(LINE_THREADS if own else config.tile):
                    if not own:
                        _Line(problem, unravel(block, outer)).tiles(thread, config.tile)
                        continue
                    number = let("line", block * LINE_THREADS + thread)
                    with when(number < wrap(count)):
                        _Line(problem, unravel(number, outer)).walk()
        return Scheduled(slot.program, {}, str(config))


class _Line:
    def __init__(self, problem: Problem, line: tuple[Expr, ...]) -> None:
        self.x, self.out = Tensor(problem.inputs[0]), Tensor(problem.output)
        self.attrs, self.line, self.op = problem.attrs, line, problem.attrs["op"]
        self.size = wrap(problem.output.shape[problem.attrs["axis"]])
        self.dtype = wide_type(problem.output.dtype)

    def index(self, step: Expr) -> tuple[Expr, ...]:
        """Of a step of the walk along the axis."""
        axis = self.attrs["axis"]
        place = self.size - 1 - step if self.attrs["reverse"] else step
        return (*self.line[:axis], place, *self.line[axis:])

    def walk(self) -> None:
        total = register(self.dtype, [1], "total")
        total[0] = identity(self.op, self.dtype)
        for step in range_(self.size, "k"):
            before = let("before", total[0])
            total[0] = combine(self.op, before, wide(self.x[self.index(step)]))
            self._store(step, before if self.attrs["exclusive"] else total[0])

    def _store(self, step: Expr, value: Expr) -> None:
        self.out[self.index(step)] = narrowed(value, self.out.dtype)

    def tiles(self, thread: Expr, count: int) -> None:
        parts = shared(self.dtype, [2, count], "parts")
        total = register(self.dtype, [1], "total")
        neutral = identity(self.op, self.dtype)
        total[0] = neutral
        for tile in range_(ceildiv(self.size, count), "tile"):
            step = let("step", tile * count + thread)
            parts[0, thread] = neutral
            with when(step < self.size):
                parts[0, thread] = wide(self.x[self.index(step)])
            barrier()
            side, distance = 0, 1
            while distance < count:
                parts[1 - side, thread] = parts[side, thread]
                with when(thread >= distance):
                    earlier = parts[side, thread - distance]
                    parts[1 - side, thread] = combine(self.op, earlier, parts[side, thread])
                barrier()
                side, distance = 1 - side, distance * 2
            self._store_tile(step, thread, parts, side, total[0])
            total[0] = combine(self.op, total[0], parts[side, count - 1])
            barrier()

    def _store_tile(self, step: Expr, thread: Expr, parts: Tensor, side: int, before: Expr) -> None:
        """before: the total of all earlier tiles."""
        inside = step < self.size
        if not self.attrs["exclusive"]:
            with when(inside):
                self._store(step, combine(self.op, before, parts[side, thread]))
            return
        value = register(self.dtype, [1], "value")
        value[0] = before
        with when(thread >= 1):
            value[0] = combine(self.op, before, parts[side, thread - 1])
        with when(inside):
            self._store(step, value[0])
