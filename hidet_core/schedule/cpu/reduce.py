"""Generic reductions, scheduled from their definition.

Two ways: the reduced axis runs along memory (lanes accumulate parts of one result, then meet), or a
kept axis does (each lane has a result of its own). Otherwise plain loops. Also what any operator
with a definition falls back to.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hidet_core.compute.definition import Definition
from hidet_core.compute.dims import product
from hidet_core.ir.expr import Buffer, Expr, Load, Reduce, wrap
from hidet_core.ir.node import walk
from hidet_core.ir.substitute import substitute
from hidet_core.lang import Tensor, build, ceildiv, lanes, parallel, range_, register, spatial, when
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import GENERIC, combine, find_reduce, identity, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .reduction import lane_axis, reduce_in_lanes, reduce_serial


@dataclass(frozen=True)
class ReduceConfig(Config):
    """lanes: 'reduced', 'kept' or 'none'."""

    lanes: str


class ReduceTemplate(Template):
    """Definitions that all have the output's shape, each with at most one Reduce."""

    ops = GENERIC
    is_general = True

    def accepts(self, problem: Problem) -> bool:
        rank = len(problem.output.shape)
        return all(len(d.axes) == rank for d in problem.definitions)

    def space(self, problem: Problem, target: Cpu) -> Iterator[ReduceConfig]:
        yield ReduceConfig(_way(problem))

    def build(self, problem: Problem, config: ReduceConfig, target: Cpu) -> Scheduled:
        out = problem.output
        width = target.lanes(4)
        with build(problem.name, [*problem.inputs, out], scalars_of(*problem.inputs, out)) as slot:
            if config.lanes == "kept":
                _Kept(problem, width).write()
            else:
                _reduced(problem, width if config.lanes == "reduced" else 1)
        work = sum(
            estimate(node.extents)
            for d in problem.definitions
            if (node := find_reduce(d.value)) is not None
        )
        return Scheduled(
            slot.program, {}, str(config), work * (0.3 if config.lanes == "reduced" else 2.0) + 20
        )


def _way(problem: Problem) -> str:
    """Which axis goes to the lanes."""
    ways = set()
    for definition in problem.definitions:
        node = find_reduce(definition.value)
        if node is None:
            continue
        if lane_axis(node) is not None:
            ways.add("reduced")
        elif any(
            isinstance(load, Load) and load.indices and load.indices[-1] is definition.axes[-1]
            for load in walk(node.value)
            if definition.axes
        ):
            ways.add("kept")
        else:
            ways.add("none")
    return ways.pop() if len(ways) == 1 else "none"


def _reduced(problem: Problem, width: int) -> None:
    """One task per result; the reduced axis in lanes (or nothing in lanes where width is 1)."""
    out = problem.output
    for (task,) in parallel(product(out.shape)):
        at = unravel(task, out.shape)
        known: dict[Buffer, Expr] = {}
        for definition in problem.definitions:
            value = instantiate(
                definition.value, dict(zip(definition.axes, at, strict=True)), known
            )
            node = find_reduce(value)
            result = value
            if node is not None and width > 1:
                axis = lane_axis(node)
                assert axis is not None
                result = with_total(value, node, reduce_in_lanes(node, axis, width))
            elif node is not None:
                acc = register(node.dtype, [1], "acc")
                acc[0] = identity(node.op, node.dtype)
                reduce_serial(node, lambda acc=acc: (acc[0], lambda v: acc.__setitem__(0, v)))
                result = with_total(value, node, acc[0])
            if definition.out is out:
                Tensor(out)[at] = result
                continue
            scalar = register(definition.out.dtype, [1], definition.out.name)
            scalar[0] = result
            known[definition.out] = scalar[0]


class _Kept:
    """Each lane reduces a result of its own: `width` results along the last axis of the output are
    one task.
    """

    def __init__(self, problem: Problem, width: int) -> None:
        self.problem, self.width = problem, width
        self.out = problem.output

    def write(self) -> None:
        for outer, block in parallel(
            product(self.out.shape[:-1]), ceildiv(self.out.shape[-1], self.width)
        ):
            row, first = unravel(outer, self.out.shape[:-1]), block * self.width
            stats: dict[Buffer, Tensor] = {}
            for definition in self.problem.definitions:
                self._definition(definition, row, first, stats)

    def _definition(
        self,
        definition: Definition,
        row: tuple[Expr, ...],
        first: Expr,
        stats: dict[Buffer, Tensor],
    ) -> None:
        def value_at(lane: Expr) -> Expr:
            axes = dict(zip(definition.axes, (*row, first + lane), strict=True))
            return instantiate(
                definition.value, axes, {buffer: reg[lane] for buffer, reg in stats.items()}
            )

        node = find_reduce(definition.value)
        acc = None if node is None else self._accumulate(node, value_at, first)
        target = register(definition.out.dtype, [self.width], definition.out.name)
        if definition.out is not self.out:  # lanes beyond the row are read, but not used
            for (lane,) in lanes(spatial(self.width)):
                target[lane] = wrap(0, target.dtype)
        for (lane,) in lanes(spatial(self.width)):
            value = value_at(lane)
            inner = find_reduce(value)
            result = value if inner is None or acc is None else with_total(value, inner, acc[lane])
            with when(first + lane < self.out.shape[-1]):
                if definition.out is self.out:
                    Tensor(self.out)[(*row, first + lane)] = result
                else:
                    target[lane] = result
        stats[definition.out] = target

    def _accumulate(self, node: Reduce, value_at: Callable[[Expr], Expr], first: Expr) -> Tensor:
        acc = register(node.dtype, [self.width], "acc")
        for (lane,) in lanes(spatial(self.width)):
            acc[lane] = identity(node.op, node.dtype)

        def nest(at: tuple[Expr, ...]) -> None:
            if len(at) < len(node.axes):
                for index in range_(node.extents[len(at)], "r"):
                    nest((*at, index))
                return
            for (lane,) in lanes(spatial(self.width)):
                inner = find_reduce(value_at(lane))
                assert inner is not None, "the definition has a Reduce"
                term = substitute(inner.value, dict(zip(inner.axes, at, strict=True)), fresh=True)
                with when(first + lane < self.out.shape[-1]):
                    acc[lane] = combine(node.op, acc[lane], term)

        nest(())
        return acc
