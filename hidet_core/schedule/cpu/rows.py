"""Operators over rows: softmax, layer_norm, rms_norm and everything defined by statistics of the
last axis.

One task is one row. Each statistic is a reduction in lanes over the row; the output is a last pass
in lanes. A row that a prologue computes is computed once, into the task's own memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from hidet_core.compute.dims import product
from hidet_core.ir.expr import Buffer, Expr, Load
from hidet_core.ir.node import rewrite
from hidet_core.ir.widen import narrowed, wide, wide_type
from hidet_core.lang import Tensor, build, lanes, local, parallel, register, spatial
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import find_reduce, instantiate, with_total
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .reduction import reduce_in_lanes
from .span import span

MAX_STAGED = 16 * 1024  # elements of a row that is kept in the task's own memory


class Rows(Template):
    """All definitions but the last are statistics of shape[:-1]; the last is the output."""

    ops = ("softmax", "log_softmax", "layer_norm", "rms_norm")

    def accepts(self, problem: Problem) -> bool:
        return problem.output.dtype.is_float and len(problem.output.shape) >= 1

    def space(self, problem: Problem, target: Cpu) -> Iterator[Config]:
        yield Config()

    def build(self, problem: Problem, config: Config, target: Cpu) -> Scheduled:
        out = problem.output
        width = target.lanes(wide_type(out.dtype).bytes)
        length = out.shape[-1]
        with build(problem.name, [*problem.inputs, out], scalars_of(*problem.inputs, out)) as slot:
            for (task,) in parallel(product(out.shape[:-1])):
                row = unravel(task, out.shape[:-1])
                source = _stage(problem, row, width)
                known = _statistics(problem, row, width, source)
                _output(problem, row, width, source, known)
        task_ns = estimate((length,)) * 1.5 + 40
        return Scheduled(slot.program, {}, "rows", task_ns)


def _stage(problem: Problem, row: tuple[Expr, ...], width: int) -> tuple[Buffer, Buffer] | None:
    """The row of input 0 in local memory, if a prologue computes it: (input, local copy)."""
    x, length = problem.inputs[0], problem.output.shape[-1]
    if not problem.computed[0] or not isinstance(length, int) or length > MAX_STAGED:
        return None
    copy = local(wide_type(x.dtype), [max(-(-length // width), 1) * width], "row")
    if length % width:  # what lies behind the row is read with its last vector, but not used
        for (lane,) in lanes(spatial(width)):
            copy[length // width * width + lane] = 0.0
    for k in span(length, width):
        copy[k] = wide(Tensor(x)[(*row, k)])
    return x, copy.buffer


def _staged(value: Expr, source: tuple[Buffer, Buffer] | None) -> Expr:
    if source is None:
        return value
    x, copy = source

    def rule(node: object) -> Expr | None:
        if isinstance(node, Load) and node.buffer is x:
            kept = Load(copy, node.indices[-1:], copy.dtype, node.mask)
            return narrowed(kept, node.dtype)
        return None

    return rewrite(value, rule)


def _statistics(
    problem: Problem, row: tuple[Expr, ...], width: int, source: tuple[Buffer, Buffer] | None
) -> dict[Buffer, Expr]:
    """Each statistic of the row as a scalar register."""
    known: dict[Buffer, Expr] = {}
    for definition in problem.definitions[:-1]:
        value = _staged(
            instantiate(definition.value, dict(zip(definition.axes, row, strict=True)), known),
            source,
        )
        node = find_reduce(value)
        assert node is not None, f"{definition.out.name} is no reduction"
        total = reduce_in_lanes(node, 0, width)
        scalar = register(definition.out.dtype, [1], definition.out.name)
        scalar[0] = with_total(value, node, total)
        known[definition.out] = scalar[0]
    return known


def _output(
    problem: Problem,
    row: tuple[Expr, ...],
    width: int,
    source: tuple[Buffer, Buffer] | None,
    known: dict[Buffer, Expr],
) -> None:
    last, length = problem.definitions[-1], problem.output.shape[-1]

    for k in span(length, width):
        value = instantiate(last.value, dict(zip(last.axes, (*row, k), strict=True)), known)
        Tensor(problem.output)[(*row, k)] = _staged(value, source)
