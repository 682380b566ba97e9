"""Operators over rows on GPUs: softmax, layer_norm, rms_norm and everything defined by statistics
of the last axis.

A team of threads has one row, read once in vectors and kept in registers where it fits; each
statistic is a reduction of the team (shuffles within a warp), the output a last pass. Longer rows
are read again for each pass; if a prologue computes them, they are computed once, into shared
memory, if they fit there.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product, simplify
from hidet_core.ir.expr import is_const
from hidet_core.lang import build, ceildiv, parallel, threads
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import estimate, scalars_of
from .across import Team, meeting_cycles
from .row import Row
from .traffic import ISSUED, LATENCY_CYCLES, LAUNCH_NS, VECTOR_BYTES, traffic_ns

KEPT = 32  # elements of a row that a thread keeps in registers
OTHER_REGISTERS = 32
ELEMENT_SLOTS = 4  # instructions of a thread for an element of a pass
AGAIN = 0.3  # of the time of memory, for reading a row once more from the caches


@dataclass(frozen=True)
class RowConfig(Config):
    """team: threads of one row, a power of two; rows: of a block; vector: elements of an access;
    kept: vectors that a thread keeps in registers, 0 if it reads the row again for each pass.
    """

    team: int
    rows: int
    vector: int
    kept: int

    @property
    def threads(self) -> int:
        return self.team * self.rows


class Rows(Template):
    """All definitions but the last are statistics of shape[:-1]; the last is the output."""

    ops = ("softmax", "log_softmax", "layer_norm", "rms_norm")

    def accepts(self, problem: Problem) -> bool:
        return problem.output.dtype.is_float and len(problem.output.shape) >= 1

    def space(self, problem: Problem, target: Cuda) -> Iterator[RowConfig]:
        length = problem.output.shape[-1]
        for vector in (1, 2, 4, 8):
            for team in (8, 16, 32, 64, 128, 256, 512, 1024):
                kept = -(-length // (team * vector)) if isinstance(length, int) else 0
                for rows in sorted({1, max(64 // team, 1), max(256 // team, 1)}):
                    yield RowConfig(team, rows, vector, kept if kept * vector <= KEPT else 0)

    def check(self, problem: Problem, config: RowConfig, target: Cuda) -> None:
        limit = target.threads_per_block
        require(config.threads <= limit, f"{config.threads} threads > {limit} on {target.name}")
        require(config.threads >= target.warp, f"{config.threads} threads are no whole warp")
        length, vector = problem.output.shape[-1], config.vector
        size = vector * problem.output.dtype.bytes
        require(size <= VECTOR_BYTES, f"{size} bytes in a vector, at most {VECTOR_BYTES}")
        whole = is_const(simplify(length % vector), 0)
        require(whole, f"vectors of {vector} do not fill the last axis")
        if isinstance(length, int):
            fits = config.team * vector <= max(2 * length, 8 * vector)
            require(fits, f"{config.team} threads for a row of {length}")

    def cost(self, problem: Problem, config: RowConfig, target: Cuda) -> float:
        out = problem.output
        rows, length = estimate(tuple(out.shape[:-1])), estimate((out.shape[-1],))
        passes = len(problem.definitions)
        steps = -(-length // (config.team * config.vector))
        registers = OTHER_REGISTERS + config.kept * config.vector
        resident = max(target.resident_blocks(config.threads, registers, 0), 1)
        waves = -(-rows // (config.rows * resident * target.multiprocessors))
        reads = 1 if config.kept else 1 + AGAIN * (passes - 1)
        moved = (reads + 1) * rows * length * out.dtype.bytes
        under_way = min(steps, 4) * config.vector * out.dtype.bytes / 4
        moving = traffic_ns(moved, rows * config.team * under_way, target) - LAUNCH_NS
        per_multiprocessor = -(-rows // target.multiprocessors) if rows else 0
        slots = per_multiprocessor * max(steps * config.vector * config.team, 32)
        issue = slots * passes * (ELEMENT_SLOTS + 4 / config.vector) / ISSUED
        waiting = LATENCY_CYCLES * (1 if config.kept else passes)
        waiting += (passes - 1) * meeting_cycles(config.team)
        cycles = waves * (waiting + steps * config.vector * passes * ELEMENT_SLOTS)
        return LAUNCH_NS + max(moving, issue / target.clock_ghz) + cycles / target.clock_ghz

    def build(self, problem: Problem, config: RowConfig, target: Cuda) -> Scheduled:
        out, rows = problem.output, config.rows
        count = product(out.shape[:-1])
        with build(problem.name, [*problem.inputs, out], scalars_of(*problem.inputs, out)) as slot:
            for (block,) in parallel(ceildiv(count, rows)):
                for thread in threads(config.threads):
                    team = Team(thread // config.team, thread % config.team, config.team, rows)
                    place = block * rows + team.number
                    Row(problem, team, place, (config.vector, config.kept)).write()
        return Scheduled(slot.program, {}, str(config))
