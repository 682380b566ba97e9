"""Scans along an axis on CPUs, in one walk over each line; lines side by side in memory go in
lanes.
"""

from __future__ import annotations

from collections.abc import Iterator

from hidet_core.compute.dims import product
from hidet_core.ir.expr import Expr, wrap
from hidet_core.ir.widen import narrowed, wide, wide_type
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    local,
    parallel,
    range_,
    register,
    spatial,
    when,
)
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import combine, identity
from ..template import Template
from ..work import estimate, scalars_of, unravel

STEP_NS = 1.5


class Scan(Template):
    """scan of any numbers."""

    ops = ("scan",)

    def space(self, problem: Problem, target: Cpu) -> Iterator[Config]:
        yield Config()

    def build(self, problem: Problem, config: Config, target: Cpu) -> Scheduled:
        x, out, axis = problem.inputs[0], problem.output, problem.attrs["axis"]
        width = target.lanes(max(wide_type(out.dtype).bytes, 4))
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            if axis == len(out.shape) - 1:
                for (number,) in parallel(product(out.shape[:-1])):
                    _line(problem, unravel(number, out.shape[:-1]))
            else:
                outer = (*out.shape[:axis], *out.shape[axis + 1 : -1])
                blocks = ceildiv(out.shape[-1], width)
                for number, block in parallel(product(outer), blocks):
                    _block(problem, unravel(number, outer), block * width, width)
        return Scheduled(slot.program, {}, "scan", estimate((out.shape[axis],)) * STEP_NS + 5)


def position(problem: Problem, step: Expr) -> Expr:
    """Where along the axis a step of the walk is."""
    size = wrap(problem.output.shape[problem.attrs["axis"]])
    return size - 1 - step if problem.attrs["reverse"] else step


def _line(problem: Problem, line: tuple[Expr, ...]) -> None:
    x, out, op = Tensor(problem.inputs[0]), Tensor(problem.output), problem.attrs["op"]
    total = local(wide_type(out.dtype), [1], "total")
    total[0] = identity(op, total.dtype)
    for step in range_(out.shape[-1], "k"):
        index = (*line, position(problem, step))
        if problem.attrs["exclusive"]:
            out[index] = narrowed(total[0], out.dtype)
        total[0] = combine(op, total[0], wide(x[index]))
        if not problem.attrs["exclusive"]:
            out[index] = narrowed(total[0], out.dtype)


def _block(problem: Problem, line: tuple[Expr, ...], first: Expr, width: int) -> None:
    """Lines [first, first + width) of the last axis."""
    x, out, op = Tensor(problem.inputs[0]), Tensor(problem.output), problem.attrs["op"]
    axis, exclusive = problem.attrs["axis"], problem.attrs["exclusive"]
    total = register(wide_type(out.dtype), [width], "total")
    for (lane,) in lanes(spatial(width)):
        total[lane] = identity(op, total.dtype)
    for step in range_(out.shape[axis], "k"):
        for (lane,) in lanes(spatial(width)):
            with when(first + lane < wrap(out.shape[-1])):
                index = (*line[:axis], position(problem, step), *line[axis:], first + lane)
                before = total[lane]
                if exclusive:
                    out[index] = narrowed(before, out.dtype)
                total[lane] = combine(op, before, wide(x[index]))
                if not exclusive:
                    out[index] = narrowed(total[lane], out.dtype)
