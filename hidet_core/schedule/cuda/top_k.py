"""Positions of the first elements of sorted rows on GPUs, by rank: a thread has an element, counts
those that come before it, and stores its position where it belongs. Rows go through shared memory
in tiles. A thread that has seen k better elements looks at no more of them: of rows in no order
most threads are done after a few times k. At worst (k is a good part of the row) the work is
quadratic in the length of a row, all of it in registers and shared memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import product
from hidet_core.compute.order import precedes
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Expr, both, minimum, ne, select, wrap
from hidet_core.ir.widen import wide_load, wide_type
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
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .traffic import ISSUED, LATENCY_CYCLES, LAUNCH_NS

COMPARE_SLOTS = 8.0  # instructions to look at an element
WARP = 32


@dataclass(frozen=True)
class TopKConfig(Config):
    """threads: elements of a block."""

    threads: int


class TopK(Template):
    """top_k of any numbers."""

    ops = ("top_k",)

    def space(self, problem: Problem, target: Cuda) -> Iterator[TopKConfig]:
        for count in (32, 64, 128, 256):
            yield TopKConfig(count)

    def cost(self, problem: Problem, config: TopKConfig, target: Cuda) -> float:
        x, axis = problem.inputs[0], problem.attrs["axis"]
        size, rows = estimate((x.shape[axis],)), estimate((*x.shape[:axis], *x.shape[axis + 1 :]))
        tiles = -(-size // config.threads)
        seen = min(size, problem.attrs["k"] * WARP + config.threads)  # by the last of a warp
        each = -(-rows * tiles // target.multiprocessors)  # blocks of a multiprocessor
        busy = each * config.threads * seen * COMPARE_SLOTS / ISSUED
        cycles = busy + tiles * LATENCY_CYCLES + seen * COMPARE_SLOTS
        return LAUNCH_NS + cycles / target.clock_ghz

    def build(self, problem: Problem, config: TopKConfig, target: Cuda) -> Scheduled:
        x, out, axis = problem.inputs[0], problem.output, problem.attrs["axis"]
        outer = (*x.shape[:axis], *x.shape[axis + 1 :])
        blocks = ceildiv(x.shape[axis], config.threads)
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            for number, block in parallel(product(outer), blocks):
                line = unravel(number, outer)
                for thread in threads(config.threads):
                    _element(problem, line, (block, thread), config.threads)
        return Scheduled(slot.program, {}, str(config))


def _element(
    problem: Problem, line: tuple[Expr, ...], worker: tuple[Expr, Expr], count: int
) -> None:
    """The element of a thread; worker: (block, thread)."""
    x, axis, (block, thread) = problem.inputs[0], problem.attrs["axis"], worker
    size = wrap(x.shape[axis])

    def element(place: Expr) -> Expr:
        return wide_load(x, *line[:axis], minimum(place, size - 1), *line[axis:])

    tile = shared(wide_type(x.dtype), [count], "row")
    mine = let("mine", block * count + thread)
    key, rank = let("key", element(mine)), register(i64, [1], "rank")
    rank[0] = 0
    for first in range_(ceildiv(size, count), "tile"):
        tile[thread] = element(first * count + thread)
        barrier()
        with when(rank[0] < problem.attrs["k"]):  # else it is known not to be among the first
            for k in range_(minimum(size - first * count, count), "k"):
                other = let("other", first * count + k)
                before = precedes(tile[k], other, key, mine, problem.attrs["largest"])
                rank[0] = rank[0] + select(both(ne(other, mine), before), wrap(1, i64), 0)
        barrier()
    with when(both(mine < size, rank[0] < problem.attrs["k"])):
        Tensor(problem.output)[(*line[:axis], rank[0], *line[axis:])] = mine
