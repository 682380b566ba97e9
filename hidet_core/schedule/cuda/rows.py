"""Operators over rows on GPUs: softmax, layer_norm, rms_norm and everything defined by statistics
of the last axis.

A team of threads has one row; each statistic is a reduction of the team, the output a last pass. A
row that a prologue computes is computed once, into shared memory, if it fits.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.expr import Buffer, Expr, Load, wrap
from hidet_core.ir.node import rewrite
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    let,
    minimum,
    parallel,
    range_,
    shared,
    threads,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import find_reduce, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .across import Team, reduce_by_team
from .traffic import traffic_ns

STAGED_BYTES = 32 * 1024  # of shared memory, for rows that a prologue computes
STEP_NS = 0.6  # of a thread, for one element of each pass
MEETING_NS = 60.0  # of a block, for a step of a tree


@dataclass(frozen=True)
class TeamConfig(Config):
    """team: threads of one result, a power of two; results: of a block."""

    team: int
    results: int

    @property
    def threads(self) -> int:
        return self.team * self.results


class Rows(Template):
    """All definitions but the last are statistics of shape[:-1]; the last is the output."""

    ops = ("softmax", "log_softmax", "layer_norm", "rms_norm")

    def accepts(self, problem: Problem) -> bool:
        return problem.output.dtype.is_float and len(problem.output.shape) >= 1

    def space(self, problem: Problem, target: Cuda) -> Iterator[TeamConfig]:
        for team in (8, 32, 64, 128, 256, 512, 1024):
            yield TeamConfig(team, 1)
            if team < 256:
                yield TeamConfig(team, 256 // team)

    def check(self, problem: Problem, config: TeamConfig, target: Cuda) -> None:
        limit = target.threads_per_block
        require(config.threads <= limit, f"{config.threads} threads > {limit} on {target.name}")
        require(config.threads >= target.warp, f"{config.threads} threads are no whole warp")
        length = problem.output.shape[-1]
        if isinstance(length, int):
            fits = config.team <= max(2 * length, 8)
            require(fits, f"{config.team} threads for a row of {length}")

    def cost(self, problem: Problem, config: TeamConfig, target: Cuda) -> float:
        out = problem.output
        rows, length = estimate(tuple(out.shape[:-1])), estimate((out.shape[-1],))
        passes = len(problem.definitions)
        steps = -(-length // config.team)
        resident = target.resident_blocks(config.threads, 40, 0) * target.multiprocessors
        waves = -(-rows // (config.results * resident))
        meetings = (passes - 1) * config.team.bit_length() * MEETING_NS
        moved = 2 * rows * length * out.dtype.bytes
        time = traffic_ns(moved, rows * config.team, target)
        return time + waves * (meetings + passes * steps * STEP_NS * config.threads / target.warp)

    def build(self, problem: Problem, config: TeamConfig, target: Cuda) -> Scheduled:
        out = problem.output
        count = product(out.shape[:-1])
        with build(problem.name, [*problem.inputs, out], scalars_of(*problem.inputs, out)) as slot:
            for (block,) in parallel(ceildiv(count, config.results)):
                for thread in threads(config.threads):
                    team = Team(
                        thread // config.team, thread % config.team, config.team, config.results
                    )
                    number = block * config.results + team.number
                    _Row(problem, team, number, count).write()
        return Scheduled(slot.program, {}, str(config))


class _Row:
    """What a team does for its row; a team beyond the last row does that one again, but stores
    nothing.
    """

    def __init__(self, problem: Problem, team: Team, number: Expr, count: int | Expr) -> None:
        self.problem, self.team = problem, team
        self.length = problem.output.shape[-1]
        self.is_ours = number < wrap(count)
        last = wrap(count) - 1
        self.row = unravel(let("row", minimum(number, last)), problem.output.shape[:-1])
        self.copy: Tensor | None = None

    def write(self) -> None:
        self._stage()
        known: dict[Buffer, Expr] = {}
        for definition in self.problem.definitions[:-1]:
            axes = dict(zip(definition.axes, self.row, strict=True))
            value = self._staged(instantiate(definition.value, axes, known))
            node = find_reduce(value)
            assert node is not None, f"{definition.out.name} is no reduction"
            total = reduce_by_team(node, self.team)
            known[definition.out] = let(definition.out.name, with_total(value, node, total))
        last = self.problem.definitions[-1]
        for k in self._elements():
            axes = dict(zip(last.axes, (*self.row, k), strict=True))
            value = self._staged(instantiate(last.value, axes, known))
            with when(self.is_ours):
                Tensor(self.problem.output)[(*self.row, k)] = value

    def _elements(self) -> Iterator[Expr]:
        """The elements of the row that this thread has."""
        size = self.team.size
        for step in range_(ceildiv(wrap(self.length) - self.team.thread, size), "c"):
            yield step * size + self.team.thread

    def _stage(self) -> None:
        x, length, results = self.problem.inputs[0], self.length, self.team.results
        if not self.problem.computed[0] or not isinstance(length, int) or length < 1:
            return
        if results * length * x.dtype.bytes > STAGED_BYTES:
            return
        self.copy = shared(x.dtype, [results, length], "row")
        for k in self._elements():
            self.copy[self.team.number, k] = Tensor(x)[(*self.row, k)]
        barrier()

    def _staged(self, value: Expr) -> Expr:
        """The value with its loads of the row from shared memory."""
        copy, x = self.copy, self.problem.inputs[0]
        if copy is None:
            return value

        def rule(node: object) -> Expr | None:
            if isinstance(node, Load) and node.buffer is x:
                return copy[self.team.number, node.indices[-1]]
            return None

        return rewrite(value, rule)
