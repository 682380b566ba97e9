"""Generic reductions on GPUs, scheduled from their definition.

Threads side by side run along a box that they reduce together (`box`: a team of them has one
result), or along results (`results`: each thread has a vector of its own, and a team of threads
that are far apart shares the box). Also what any operator with a definition falls back to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product, simplify
from hidet_core.ir.expr import Reduce, Var, is_const
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.substitute import substitute
from hidet_core.lang import build, ceildiv, parallel, threads
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import GENERIC, find_reduce
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .across import BOX, RESULTS, Team, meeting_cycles
from .box import Boxes
from .traffic import ISSUED, LATENCY_CYCLES, LAUNCH_NS, VECTOR_BYTES, traffic_ns, value_bytes

ELEMENT_SLOTS = 8.0  # instructions of a thread for an element, its index included
UNDER_WAY = 4  # loads of a thread at once


@dataclass(frozen=True)
class ReduceConfig(Config):
    """team: threads of a result (or of a vector of results), a power of two; teams: of a block;
    vector: elements of an access; along: BOX or RESULTS, what neighbouring threads run along.
    """

    team: int
    teams: int
    vector: int
    along: str

    @property
    def threads(self) -> int:
        return self.team * self.teams

    @property
    def results(self) -> int:
        """Results of a block."""
        return self.teams * (self.vector if self.along == RESULTS else 1)


class ReduceTemplate(Template):
    """Definitions that all have the output's shape, each with at most one Reduce."""

    ops = GENERIC
    is_general = True

    def accepts(self, problem: Problem) -> bool:
        rank = len(problem.output.shape)
        return all(len(d.axes) == rank for d in problem.definitions)

    def space(self, problem: Problem, target: Cuda) -> Iterator[ReduceConfig]:
        for vector in (1, 2, 4, 8):
            for team in (1, 8, 32, 64, 128, 256, 512, 1024):
                if team > 1 or vector == 1:
                    yield ReduceConfig(team, max(128 // team, 1), vector, BOX)
            for team in (1, 4, 8, 16, 32):
                for columns in (32, 64, 128):
                    if team * columns >= 64 and (team, vector) != (1, 1):
                        yield ReduceConfig(team, columns, vector, RESULTS)

    def check(self, problem: Problem, config: ReduceConfig, target: Cuda) -> None:
        limit = target.threads_per_block
        require(config.threads <= limit, f"{config.threads} threads > {limit} on {target.name}")
        box = _box(problem)
        reach = config.team * (config.vector if config.along == BOX else 1)
        fits = reach <= max(2 * box, 1) or config.team == config.vector == 1
        require(fits, f"{config.team} threads for a box of {box}")
        sizes = [buffer.dtype.bytes for buffer in (*problem.inputs, problem.output)]
        size = config.vector * max(sizes, default=1)
        require(size <= VECTOR_BYTES, f"{size} bytes in a vector, at most {VECTOR_BYTES}")
        lasts = [node.extents[-1:] for node in _nodes(problem)]
        if config.along == RESULTS:
            lasts = [problem.output.shape[-1:]]
        for last in lasts:
            whole = is_const(simplify((last[0] if last else 1) % config.vector), 0)
            require(config.vector == 1 or whole, f"vectors of {config.vector} do not fill an axis")

    def cost(self, problem: Problem, config: ReduceConfig, target: Cuda) -> float:
        results, box = estimate(tuple(problem.output.shape)), _box(problem)
        wide = config.along == RESULTS
        moved = results * box * _bytes(problem, wide or config.team == 1)
        per_thread = config.vector if wide else 1
        steps = -(-box // (config.team * (1 if wide else config.vector)))
        resident = target.resident_blocks(config.threads, 40, 0) * target.multiprocessors
        waves = -(-results // (config.results * resident))
        under_way = min(steps, UNDER_WAY) * config.vector
        busy = traffic_ns(moved, results / per_thread * config.team * under_way, target)
        slots = results * box * ELEMENT_SLOTS * (0.5 + 0.5 / config.vector)
        issue = slots / (ISSUED * target.multiprocessors * target.clock_ghz)
        waiting = LATENCY_CYCLES * (-(-steps // UNDER_WAY) * 0.5 + 0.5)
        cycles = waves * (waiting + meeting_cycles(config.team, config.along))
        return max(busy, LAUNCH_NS + issue) + cycles / target.clock_ghz

    def build(self, problem: Problem, config: ReduceConfig, target: Cuda) -> Scheduled:
        out, teams = problem.output, config.teams
        count = product(out.shape)
        with build(problem.name, [*problem.inputs, out], scalars_of(*problem.inputs, out)) as slot:
            for (block,) in parallel(ceildiv(count, config.results)):
                for thread in threads(config.threads):
                    number, place = thread // config.team, thread % config.team
                    if config.along == RESULTS:
                        number, place = thread % teams, thread // teams
                    team = Team(number, place, config.team, teams, config.along)
                    Boxes(problem, team, config.vector).write(block)
        return Scheduled(slot.program, {}, str(config))


def _nodes(problem: Problem) -> list[Reduce]:
    nodes = [find_reduce(definition.value) for definition in problem.definitions]
    return [node for node in nodes if node is not None]


def _box(problem: Problem) -> int:
    """Elements of the largest box that is reduced, for estimates."""
    return max((estimate(node.extents) for node in _nodes(problem)), default=1)


def _bytes(problem: Problem, along_results: bool) -> float:
    """Bytes moved for one element of the box, by threads side by side in results or in boxes."""
    moved = 0.0
    for definition in problem.definitions:
        node = find_reduce(definition.value)
        if node is None or not node.axes:
            continue
        dims = problem.output.shape if along_results else node.extents
        axes = definition.axes if along_results else node.axes
        simplifier, thread = Simplifier(), Var("thread")
        extents = (*problem.output.shape, *node.extents)
        for axis, extent in zip((*definition.axes, *node.axes), extents, strict=True):
            simplifier.bind(axis, extent)
        simplifier.bind(thread, max(math.prod(d for d in dims if isinstance(d, int)), 1))
        index = unravel(thread, dims)
        value = substitute(node.value, dict(zip(axes, index, strict=True)), fresh=True)
        moved += value_bytes(simplifier, thread, [value])
    return moved
