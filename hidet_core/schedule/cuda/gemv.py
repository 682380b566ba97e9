"""Contractions of few rows on GPUs: constant weights stream through warps (fully connected heads,
decoding, 1x1 convolutions of single pixels).

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)      m < 16, b packed as [g][n][k]
Each weight is read once, so that memory sets the time, if enough of it is under way. A warp has a
few columns n; its lanes have vectors of 16 bytes side by side along k, `unroll` of each column
before it waits for the first. Several warps may share columns and split k. Lanes are added by
shuffles, warps in shared memory, and then each thread stores one result. Splitting k among blocks
as well would not help: 16 warps take 8 KB of a column at a time.

Rows that a prologue computes, or that are not made of whole vectors, are brought into shared memory
first, as f32 and with zeros behind the last; other rows are read where they are, by all warps of a
block from the nearest cache. Where kernels start early (lower/wait_for_grid.py), a block asks for
its first weights before it waits for the kernels before it.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Const, Expr, cast, select, wrap
from hidet_core.ir.widen import narrowed
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    let,
    parallel,
    prefetch_l2,
    range_,
    register,
    shared,
    threads,
    unroll,
    warp_reduce,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import scalars_of
from .contraction import ACCESS_BYTES, Contraction, Packing, contraction, is_contraction, packs
from .tile_copy import elements
from .traffic import LAUNCH_NS
from .waves import L2_BYTES, MEMORY_LATENCY, WORST, Size, overlapped

MAX_ROWS = 16
LANES = 32
ISSUED = 4  # instructions of warps that a multiprocessor starts in a cycle
STAGED_BYTES = 48 * 1024  # of shared memory, for rows
OTHER_REGISTERS = 36
MAX_REGISTERS = 128  # estimated ones: many warps have more weights under way than large ones
END_CYCLES = 700.0  # of a block: to add lanes and warps, and to store


@dataclass(frozen=True)
class GemvConfig(Config):
    """cols: of a warp; warps_n x warps_k: of a block, those of k share columns; unroll: vectors of
    a column that a lane has under way.
    """

    cols: int
    warps_n: int
    warps_k: int
    unroll: int

    @property
    def threads(self) -> int:
        return self.warps_n * self.warps_k * LANES

    @property
    def block_n(self) -> int:
        return self.warps_n * self.cols


class Gemv(Template):
    """matmul and conv2d with constant weights and at most 16 rows."""

    ops = ("matmul", "conv2d")

    def accepts(self, problem: Problem) -> bool:
        if not (is_contraction(problem) and packs(problem)):
            return False
        rows = _sized(problem)[0].rows
        return isinstance(rows, int) and 0 < rows <= MAX_ROWS

    def space(self, problem: Problem, target: Cuda) -> Iterator[GemvConfig]:
        warps = ((8, 1), (4, 1), (4, 2), (2, 2), (2, 4), (1, 4), (1, 8), (1, 16))
        for cols, (warps_n, warps_k), times in itertools.product((1, 2, 4), warps, (1, 2, 4)):
            yield GemvConfig(cols, warps_n, warps_k, times)

    def check(self, problem: Problem, config: GemvConfig, target: Cuda) -> None:
        view, _ = _sized(problem)
        need = _registers(view, config)
        limit = min(MAX_REGISTERS, target.registers_per_multiprocessor // config.threads * 3 // 4)
        require(need <= limit, f"about {need} registers > {limit}")
        need = _staged_bytes(view)
        require(need <= STAGED_BYTES, f"rows of {need} bytes > {STAGED_BYTES} of shared memory")
        chunk = _vector(view) * LANES * config.warps_k
        fits = chunk < 2 * max(int(view.depth), _vector(view) * LANES)  # type: ignore[arg-type]
        require(fits, f"{config.warps_k} warps for a depth of {view.depth}")

    def cost(self, problem: Problem, config: GemvConfig, target: Cuda) -> float:
        """A warp waits for memory once a step; the multiprocessors are busy with instructions, and
        rows come from their caches; weights come from memory, once.
        """
        view, size = _sized(problem)
        vector = _vector(view)
        steps, rest = _steps(view, config)
        blocks = size.groups * -(-size.cols // config.block_n)
        shared_bytes = _staged_bytes(view) + 4 * config.warps_k * size.rows * config.block_n
        resident = target.resident_blocks(config.threads, _registers(view, config), shared_bytes)
        if resident < 1:
            return WORST
        most = -(-blocks // target.multiprocessors)
        vectors = most * config.threads // LANES * (steps * config.unroll + rest)
        sums = size.rows * config.cols
        pipes = (
            vectors * sums * vector * LANES / target.fma_per_cycle,
            vectors * (sums * vector + (config.cols + size.rows) * (2 + vector / 4)) / ISSUED,
            vectors * config.cols * LANES * ACCESS_BYTES / L2_BYTES,
            vectors * size.rows * LANES * vector * 4 / 128,
        )
        busy = overlapped(*pipes)
        begin = MEMORY_LATENCY if _staged_bytes(view) else 0.0
        alone = (steps + rest) * MEMORY_LATENCY + begin + END_CYCLES + 10 * sums
        cycles = max(busy, -(-most // resident) * alone)
        moved = size.bytes / target.bytes_per_ns
        return LAUNCH_NS + overlapped(cycles / target.clock_ghz, moved)

    def build(self, problem: Problem, config: GemvConfig, target: Cuda) -> Scheduled:
        vector = ACCESS_BYTES // problem.inputs[1].dtype.bytes
        view = contraction(problem, Packing(config.block_n, vector, "k"))
        params = view.params
        with build(problem.name, params, scalars_of(*params)) as slot:
            for group, tile in parallel(view.groups, ceildiv(view.cols, config.block_n)):
                for thread in threads(config.threads):
                    block = _Block(view, config, thread, "launch_dependents" in target.features)
                    block.write(group, tile * config.block_n)
        return Scheduled(slot.program, view.packed, str(config))


@functools.lru_cache(maxsize=16)
def _sized(problem: Problem) -> tuple[Contraction, Size]:
    """For all configs of a problem."""
    view = contraction(problem)
    return view, Size.of(view)


def _vector(view: Contraction) -> int:
    return ACCESS_BYTES // view.b.dtype.bytes


def _depth(view: Contraction) -> int:
    """Up to whole vectors."""
    return ceildiv(int(view.depth), _vector(view)) * _vector(view)  # type: ignore[arg-type]


def _is_staged(view: Contraction) -> bool:
    return not view.a.is_flat or view.a.vector < _vector(view)


def _staged_bytes(view: Contraction) -> int:
    return 4 * int(view.rows) * _depth(view) if _is_staged(view) else 0  # type: ignore[arg-type]


def _steps(view: Contraction, config: GemvConfig) -> tuple[int, int]:
    """Steps of all vectors of a lane, and those of single ones for the rest of the depth."""
    chunk = _vector(view) * LANES * config.warps_k
    steps = _depth(view) // (chunk * config.unroll)
    return steps, ceildiv(_depth(view) - steps * chunk * config.unroll, chunk)


def _registers(view: Contraction, config: GemvConfig) -> int:
    """An estimate: sums, vectors of weights on their way, one of a row, places of rows."""
    rows = int(view.rows)  # type: ignore[arg-type]
    words = ACCESS_BYTES // 4
    weights = config.unroll * config.cols * words
    return rows * config.cols + weights + 2 * words * config.unroll + rows + OTHER_REGISTERS


class _Block:
    """What one thread of a block does."""

    def __init__(self, view: Contraction, config: GemvConfig, thread: Expr, is_early: bool) -> None:
        """is_early: it may start before the kernels before it are done."""
        self.view, self.config, self.thread, self.is_early = view, config, thread, is_early
        self.vector, self.rows = _vector(view), int(view.rows)  # type: ignore[arg-type]
        self.depth = _depth(view)
        self.lane, warp = thread % LANES, thread // LANES
        self.warp_n, self.warp_k = warp // config.warps_k, warp % config.warps_k
        self.b = view.b.reader(self.vector)
        self.a = None if _is_staged(view) else view.a.reader(self.vector)
        self.sums = register(f32, [self.rows, config.cols], "sums")
        shape = [config.unroll, config.cols, self.vector]
        self.weights = register(view.b.dtype, shape, "weights")
        self.row = register(f32, [self.vector], "row")

    def write(self, group: Expr, first: Expr) -> None:
        """The columns from `first` on."""
        config, chunk = self.config, self.vector * LANES
        column = first + self.warp_n * config.cols
        self.lines_b = [self.b.line(group, column + c) for c in range(config.cols)]
        for m in unroll(self.rows, "m"):
            for c in unroll(config.cols, "c"):
                self.sums[m, c] = 0.0
        steps, rest = _steps(self.view, config)
        offset = let("offset", self.warp_k * chunk + self.lane * self.vector)
        across = chunk * config.warps_k
        if self.is_early:
            for u in range(config.unroll if steps else min(rest, config.unroll)):
                self._prefetch(u * across + offset)
        self._begin(group)
        for step in range_(steps, "step"):
            ks = [(step * config.unroll + u) * across + offset for u in range(config.unroll)]
            self._multiply(ks)
        for step in range_(rest, "rest"):
            k = (step + steps * config.unroll) * across + offset
            with when(k < self.depth):
                self._multiply([k])
        self._finish(group, first)

    def _prefetch(self, k: Expr) -> None:
        """Weights at a depth, while the kernels before this one are not done."""
        with when(k < self.depth):
            place = self.b.depth(k)
            for line in self.lines_b:
                prefetch_l2(self.b.load(line, place), self.vector)

    def _begin(self, group: Expr) -> None:
        """Places of the rows, which come into shared memory where they are wanted there."""
        view, config = self.view, self.config
        if self.a is None:
            self.staged = shared(f32, [self.rows, self.depth], "rows")
            reader = view.a.reader(1)
            lines = [reader.line(group, wrap(m)) for m in range(self.rows)]
            for step in range_(ceildiv(self.depth, config.threads), "s"):
                k = let("k", step * config.threads + self.thread)
                with when(k < self.depth):
                    place = reader.depth(k)
                    for m, line in enumerate(lines):
                        value = cast(reader.load(line, place), f32)
                        inside = reader.inside(k, self.vector)
                        self.staged[m, k] = select(inside, value, Const(0.0, f32))
            barrier()
        else:
            self.lines_a = [self.a.line(group, wrap(m)) for m in range(self.rows)]

    def _multiply(self, ks: list[Expr]) -> None:
        """sums += rows * weights at depths k to k + vector - 1, for each k."""
        for u, k in enumerate(ks):
            place = self.b.depth(k)
            for c, line in enumerate(self.lines_b):
                for lane in elements(self.vector):
                    self.weights[u, c, lane] = self.b.load(line, place, lane)
        for u, k in enumerate(ks):
            place = () if self.a is None else self.a.depth(k)
            for m in range(self.rows):
                for lane in elements(self.vector):
                    if self.a is None:
                        self.row[lane] = self.staged[m, k + lane]
                    else:
                        value = self.a.load(self.lines_a[m], place, lane)
                        self.row[lane] = cast(value, f32)
                for c in unroll(self.config.cols, "c"):
                    for e in unroll(self.vector, "e"):
                        self.sums[m, c] += self.row[e] * cast(self.weights[u, c, e], f32)

    def _finish(self, group: Expr, first: Expr) -> None:
        """Add lanes and warps; each thread stores a result."""
        view, config = self.view, self.config
        parts = shared(f32, [config.warps_k, self.rows, config.block_n], "parts")
        for m in range(self.rows):
            for c in range(config.cols):
                total = let("total", warp_reduce("add", self.sums[m, c]))
                with when(self.lane < 1):
                    parts[self.warp_k, m, self.warp_n * config.cols + c] = total
        barrier()
        results = self.rows * config.block_n
        for step in range_(ceildiv(results, config.threads), "r"):
            number = let("result", step * config.threads + self.thread)
            m, n = let("m", number // config.block_n), let("n", number % config.block_n)
            with when((number < results) & (first + n < wrap(view.cols))):
                value = self._total(parts, m, n)
                view.out.store(
                    view.out.row(group, m), first + n, narrowed(value, view.out.buffer.dtype)
                )

    def _total(self, parts: Tensor, m: Expr, n: Expr) -> Expr:
        """Of all warps that share a column, in their order."""
        value = parts[0, m, n]
        for warp in range(1, self.config.warps_k):
            value = value + parts[warp, m, n]
        return let("value", value)
