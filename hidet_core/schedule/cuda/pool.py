"""Pooling on GPUs: NHWC, a vector of channels of one output pixel for each thread.

Taps outside of the image are left out instead of padded. Small windows are unrolled; large ones of
few pixels are shared by the threads of a team, which put their parts together at the end. What the
definition does with the total (an average's divisor) is taken from the definition itself.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import Dim, exact_div, product, simplify
from hidet_core.ir.expr import Expr, is_const, wrap
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    let,
    parallel,
    range_,
    register,
    threads,
    unroll,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import combine, find_reduce, identity, inside_term, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .across import RESULTS, Team, meet, meeting_cycles
from .traffic import ISSUED, LATENCY_CYCLES, LAUNCH_NS, VECTOR_BYTES, in_vector, traffic_ns

THREADS = 128
MAX_UNROLLED = 16  # positions of a window
TAP_SLOTS = 8.0  # instructions of a thread for a position, beside those of its elements
ELEMENT_SLOTS = 3.0


@dataclass(frozen=True)
class PoolConfig(Config):
    """vector: channels of a thread; team: threads of a window, a power of two."""

    vector: int
    team: int


class Pool2d(Template):
    """pool2d of x[N, H, W, C]."""

    ops = ("pool2d",)

    def space(self, problem: Problem, target: Cuda) -> Iterator[PoolConfig]:
        for vector in (1, 2, 4, 8):
            for team in (1, 4, 16):
                yield PoolConfig(vector, team)

    def check(self, problem: Problem, config: PoolConfig, target: Cuda) -> None:
        size = config.vector * problem.output.dtype.bytes
        require(size <= VECTOR_BYTES, f"{size} bytes in a vector, at most {VECTOR_BYTES}")
        whole = is_const(simplify(problem.output.shape[3] % config.vector), 0)
        require(whole, f"vectors of {config.vector} do not fill the channels")
        taps = _taps(problem)
        require(config.team <= max(taps, 1), f"{config.team} threads for {taps} positions")

    def cost(self, problem: Problem, config: PoolConfig, target: Cuda) -> float:
        out, x = problem.output, problem.inputs[0]
        windows = estimate(tuple(out.shape)) / config.vector
        steps = -(-_taps(problem) // config.team)
        waves = -(-windows * config.team // (1024 * target.multiprocessors))
        moved = (estimate(tuple(x.shape)) + estimate(tuple(out.shape))) * out.dtype.bytes
        busy = traffic_ns(moved, windows * config.team * config.vector, target)
        slots = windows * config.team * steps * (TAP_SLOTS + ELEMENT_SLOTS * config.vector)
        issue = slots / (ISSUED * target.multiprocessors * target.clock_ghz)
        waiting = LATENCY_CYCLES * (1 + steps / MAX_UNROLLED)
        cycles = waves * (waiting + meeting_cycles(config.team, RESULTS) * config.vector)
        return max(busy, LAUNCH_NS + issue) + cycles / target.clock_ghz

    def build(self, problem: Problem, config: PoolConfig, target: Cuda) -> Scheduled:
        x, out = problem.inputs[0], problem.output
        vectors = exact_div(out.shape[3], config.vector)
        assert vectors is not None, "check() saw to it"
        shape, teams = (*out.shape[:3], vectors), THREADS // config.team
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            for (block,) in parallel(ceildiv(product(shape), teams)):
                for thread in threads(THREADS):
                    team = Team(thread % teams, thread // teams, config.team, teams, RESULTS)
                    _Window(problem, team, config.vector).write(block, shape)
        return Scheduled(slot.program, {}, str(config))


def _taps(problem: Problem) -> int:
    return int(problem.attrs["kernel"][0] * problem.attrs["kernel"][1])


class _Window:
    """One window of a vector of channels."""

    def __init__(self, problem: Problem, team: Team, vector: int) -> None:
        self.problem, self.team, self.vector = problem, team, vector
        self.x, self.out, self.attrs = problem.inputs[0], problem.output, problem.attrs
        self.definition = problem.definitions[-1]
        node = find_reduce(self.definition.value)
        assert node is not None, "a pool reduces"
        self.node = node

    def write(self, block: Expr, shape: tuple[Dim, ...]) -> None:
        """shape: of the output in vectors."""
        number, count = block * self.team.results + self.team.number, product(shape)
        whole = is_const(simplify(count % self.team.results), 0)
        n, oh, ow, place = unravel(number, shape)
        pixel, first = (let("n", n), let("oh", oh), let("ow", ow)), place * self.vector
        sums = register(self.node.dtype, [self.vector], "sums")
        for lane in in_vector(self.vector):
            sums[lane] = identity(self.node.op, self.node.dtype)
        with nullcontext() if whole else when(number < wrap(count)):
            self._take_all(pixel, first, sums)
        if self.team.size > 1:
            for k in range(self.vector):
                sums[k] = meet(self.node.op, sums[k], self.team)
        with when((number < wrap(count)) & (self.team.thread < 1)):
            for lane in in_vector(self.vector):
                index = (*pixel, first + lane)
                axes = dict(zip(self.definition.axes, index, strict=True))
                value = instantiate(self.definition.value, axes, {})
                inner = find_reduce(value)
                assert inner is not None, "a pool reduces"
                Tensor(self.out)[index] = with_total(value, inner, sums[lane])

    def _take_all(self, pixel: tuple[Expr, Expr, Expr], first: Expr, sums: Tensor) -> None:
        n, oh, ow = pixel
        top, left = (self._start(axis, at) for axis, at in ((0, oh), (1, ow)))
        for r, s in self._positions():
            y = top + r * self.attrs["dilations"][0]
            z = left + s * self.attrs["dilations"][1]
            inside = self._inside(0, y) + self._inside(1, z)
            cond = wrap(True)
            for part in inside:
                cond = cond & part
            with when(cond) if inside else nullcontext():
                for lane in in_vector(self.vector):
                    term = inside_term(self.node, Tensor(self.x)[n, y, z, first + lane])
                    sums[lane] = combine(self.node.op, sums[lane], let("term", term))

    def _positions(self) -> Iterator[tuple[Expr, Expr]]:
        """The thread's positions of a window."""
        rows, columns = self.attrs["kernel"]
        if self.team.size > 1:
            for step in range_(ceildiv(rows * columns - self.team.thread, self.team.size), "tap"):
                at = let("at", step * self.team.size + self.team.thread)
                yield at // columns, at % columns
            return
        loop = unroll if rows * columns <= MAX_UNROLLED else range_
        for r in loop(rows, "r"):
            for s in loop(columns, "s"):
                yield r, s

    def _start(self, axis: int, at: Expr) -> Expr:
        """Where in the image a window begins, along H (0) or W (1)."""
        return let("start", at * self.attrs["strides"][axis] - self.attrs["pads"][axis])

    def _inside(self, axis: int, at: Expr) -> list[Expr]:
        """What has to hold for a position to be in the image; nothing where it always is."""
        size, outputs = self.x.shape[1 + axis], self.out.shape[1 + axis]
        before, reach = self.attrs["pads"][axis], self.attrs["kernel"][axis] - 1
        reach = reach * self.attrs["dilations"][axis] - before
        conditions = [at >= 0] if before else []
        known = isinstance(size, int) and isinstance(outputs, int)
        if not known or (outputs - 1) * self.attrs["strides"][axis] + reach >= size:
            conditions.append(at < wrap(size))
        return conditions
