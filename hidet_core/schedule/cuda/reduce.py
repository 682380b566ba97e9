"""Generic reductions on GPUs, scheduled from their definition.

A team of threads has one result, whose box they reduce together; teams of one thread reduce their
boxes alone, and threads side by side have results side by side. Also what any operator with a
definition falls back to.
"""

from __future__ import annotations

import math
from collections.abc import Iterator

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.expr import Buffer, Expr, Var, wrap
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.substitute import substitute
from hidet_core.lang import Tensor, build, ceildiv, let, minimum, parallel, threads, when
from hidet_core.target.nvidia import Cuda

from ..problem import Problem, Scheduled
from ..reducing import find_reduce, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .across import Team, reduce_by_team
from .rows import MEETING_NS, TeamConfig
from .traffic import LAUNCH_NS, traffic_ns, value_bytes

LATENCY_NS = 15.0  # of a step of a thread that waits for memory, with others under way


class ReduceTemplate(Template):
    """Definitions that all have the output's shape, each with at most one Reduce."""

    ops = ("reduce", "arg_reduce", "conv2d", "matmul", "pool2d", "lrn")
    is_general = True

    def accepts(self, problem: Problem) -> bool:
        rank = len(problem.output.shape)
        return all(len(d.axes) == rank for d in problem.definitions)

    def space(self, problem: Problem, target: Cuda) -> Iterator[TeamConfig]:
        yield TeamConfig(1, 128)
        for team in (8, 32, 64, 128, 256, 512, 1024):
            yield TeamConfig(team, max(128 // team, 1))

    def check(self, problem: Problem, config: TeamConfig, target: Cuda) -> None:
        limit = target.threads_per_block
        require(config.threads <= limit, f"{config.threads} threads > {limit} on {target.name}")
        box = _box(problem)
        require(config.team <= max(2 * box, 1), f"{config.team} threads for a box of {box}")

    def cost(self, problem: Problem, config: TeamConfig, target: Cuda) -> float:
        results, box = estimate(tuple(problem.output.shape)), _box(problem)
        moved = results * box * _bytes(problem, config.team == 1)
        steps = -(-box // config.team) * LATENCY_NS
        meetings = config.team.bit_length() * MEETING_NS if config.team > 1 else 0.0
        resident = target.resident_blocks(config.threads, 40, 0) * target.multiprocessors
        waves = -(-results // (config.results * resident))
        busy = traffic_ns(moved, results * config.team, target)
        return max(busy, LAUNCH_NS + waves * (steps + meetings))

    def build(self, problem: Problem, config: TeamConfig, target: Cuda) -> Scheduled:
        out = problem.output
        count = product(out.shape)
        with build(problem.name, [*problem.inputs, out], scalars_of(*problem.inputs, out)) as slot:
            for (block,) in parallel(ceildiv(count, config.results)):
                for thread in threads(config.threads):
                    team = Team(
                        thread // config.team, thread % config.team, config.team, config.results
                    )
                    _write(problem, team, block * config.results + team.number)
        return Scheduled(slot.program, {}, str(config))


def _write(problem: Problem, team: Team, number: Expr) -> None:
    """One result; a team beyond the last does that one again, but stores nothing."""
    out = problem.output
    count = wrap(product(out.shape))
    at = unravel(let("result", minimum(number, count - 1)), out.shape)
    known: dict[Buffer, Expr] = {}
    for definition in problem.definitions:
        value = instantiate(definition.value, dict(zip(definition.axes, at, strict=True)), known)
        node = find_reduce(value)
        if node is not None:
            value = with_total(value, node, reduce_by_team(node, team))
        if definition.out is not out:
            known[definition.out] = let(definition.out.name, value)
            continue
        with when((number < count) & (team.thread < 1)):
            Tensor(out)[at] = value


def _box(problem: Problem) -> int:
    """Elements of the largest box that is reduced, for estimates."""
    nodes = [find_reduce(definition.value) for definition in problem.definitions]
    return max((estimate(node.extents) for node in nodes if node is not None), default=1)


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
        for axis, extent in zip((*definition.axes, *node.axes), _all_extents(problem, node)):
            simplifier.bind(axis, extent)
        simplifier.bind(thread, max(math.prod(d for d in dims if isinstance(d, int)), 1))
        index = unravel(thread, dims)
        value = substitute(node.value, dict(zip(axes, index, strict=True)), fresh=True)
        moved += value_bytes(simplifier, thread, [value])
    return moved


def _all_extents(problem: Problem, node: object) -> tuple[int | Expr, ...]:
    return (*problem.output.shape, *node.extents)  # type: ignore[attr-defined]
