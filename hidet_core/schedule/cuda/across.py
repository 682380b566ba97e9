"""Threads that work on one result put their parts of it together.

Shared by the templates of reductions, rows and windows. A team of `size` threads has one result (or
a vector of them); a block has `results` teams.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from hidet_core.ir.dtypes import f32, i32, u32
from hidet_core.ir.expr import Expr
from hidet_core.lang import barrier, let, shared, shuffle_xor, when

from ..reducing import combine

BARRIER_CYCLES, SHUFFLE_CYCLES = 60.0, 25.0
WARP = 32
SHUFFLED = (f32, i32, u32)
BOX, RESULTS = "box", "results"


@dataclass(frozen=True, eq=False)
class Team:
    """number: of the team in its block; thread: in its team. along: BOX where the threads of a team
    are neighbours, RESULTS where neighbours are of different teams.
    """

    number: Expr
    thread: Expr
    size: int
    results: int
    along: str = BOX


def meeting_cycles(team: int, along: str = BOX) -> float:
    """Predicted cycles in which a team's parts become one; 0 for a thread alone."""
    steps = team.bit_length() - 1
    if along == RESULTS:
        return BARRIER_CYCLES * steps
    return SHUFFLE_CYCLES * steps + (BARRIER_CYCLES if team > WARP else 0)


def meet(op: str, part: Expr, team: Team) -> Expr:
    """The parts of all threads of the team combined, in all of them. All threads of the block come
    here.
    """
    if team.size == 1:
        return part
    if team.along == BOX and part.dtype in SHUFFLED:
        return _by_shuffles(op, part, team)
    return _tree(op, part, team)


def _by_shuffles(op: str, part: Expr, team: Team) -> Expr:
    """Within each warp first; each warp's part goes through shared memory, and every warp puts
    those of its team together.
    """
    part = _within(op, part, min(team.size, WARP))
    warps = team.size // WARP
    if warps <= 1:
        return part
    parts = shared(part.dtype, [team.results, warps], "parts")
    with when(team.thread % WARP < 1):
        parts[team.number, team.thread // WARP] = part
    barrier()
    return _within(op, let("part", parts[team.number, team.thread % warps]), warps)


def _within(op: str, part: Expr, size: int) -> Expr:
    """The parts of `size` neighbouring lanes combined, in all of them."""
    step = size // 2
    while step:
        part = let("part", combine(op, part, shuffle_xor(part, step)))
        step //= 2
    return part


def _tree(op: str, part: Expr, team: Team) -> Expr:
    """A tree in shared memory: half of the threads of each step take a part of the other half.
    Neighbouring threads have neighbouring elements.
    """
    is_box = team.along == BOX
    shape = [team.results, team.size] if is_box else [team.size, team.results]
    parts = shared(part.dtype, shape, "parts")

    def place(thread: Any) -> tuple[Any, Any]:
        return (team.number, thread) if is_box else (thread, team.number)

    own = place(team.thread)
    parts[own] = part
    barrier()
    step = team.size // 2
    while step:
        with when(team.thread < step):
            parts[own] = combine(op, parts[own], parts[place(team.thread + step)])
        barrier()
        step //= 2
    return let("total", parts[place(0)])
