"""Reductions by the threads of a block: each thread a part of the box, then all parts together.

Shared by the templates of reductions and of rows. `Team` threads work on one result; a block has
`results` teams. What a definition reduces is taken from its Reduce node.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hidet_core.compute.dims import product
from hidet_core.ir.expr import Expr, Reduce, Var, wrap
from hidet_core.ir.substitute import substitute
from hidet_core.lang import Tensor, barrier, ceildiv, let, range_, register, shared, when

from ..reducing import combine, identity
from ..work import unravel


@dataclass(frozen=True, eq=False)
class Team:
    """The team's number in its block, and the thread's in its team; sizes as in the module."""

    number: Expr
    thread: Expr
    size: int
    results: int


def reduce_by_team(node: Reduce, team: Team) -> Expr:
    """The reduced value, known to all threads of the team. All threads of the block come here."""
    part = register(node.dtype, [1], "part")
    part[0] = identity(node.op, node.dtype)
    if team.size == 1:
        _serial(node, part)
        return part[0]
    total = product(node.extents)
    for step in range_(ceildiv(wrap(total) - team.thread, team.size), "r"):
        at = unravel(step * team.size + team.thread, node.extents)
        part[0] = combine(node.op, part[0], _term(node, dict(zip(node.axes, at, strict=True))))
    return _together(node, part[0], team)


def _serial(node: Reduce, part: Tensor) -> None:
    def nest(at: dict[Var, Expr]) -> None:
        if len(at) < len(node.axes):
            for index in range_(node.extents[len(at)], "r"):
                nest({**at, node.axes[len(at)]: index})
            return
        part[0] = combine(node.op, part[0], _term(node, at))

    nest({})


def _term(node: Reduce, at: Mapping[Var, Expr]) -> Expr:
    return let("term", substitute(node.value, at, fresh=True))


def _together(node: Reduce, part: Expr, team: Team) -> Expr:
    """A tree in shared memory: half of the threads of each step take a part of the other half."""
    parts = shared(node.dtype, [team.results, team.size], "parts")
    parts[team.number, team.thread] = part
    barrier()
    step = team.size // 2
    while step:
        with when(team.thread < step):
            own, other = parts[team.number, team.thread], parts[team.number, team.thread + step]
            parts[team.number, team.thread] = combine(node.op, own, other)
        barrier()
        step //= 2
    return let("total", parts[team.number, 0])
