"""Local response normalisation over channels: squares go to the task's own memory with zeros
around, so that the window is a sum of shifted vectors.

    out = x / (bias + alpha / size * sum of squares of the window) ** beta
"""

from __future__ import annotations

from collections.abc import Iterator

from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr
from hidet_core.ir.node import rewrite
from hidet_core.ir.widen import wide, wide_type
from hidet_core.lang import Tensor, build, local, parallel
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..reducing import find_reduce, instantiate
from ..template import Template
from ..work import scalars_of, unravel
from .span import span

MAX_CHANNELS = 16 * 1024
MAX_WINDOW = 64  # channels; it is written out


class Lrn(Template):
    """lrn over the last axis; one task is one pixel."""

    ops = ("lrn",)

    def accepts(self, problem: Problem) -> bool:
        channels = problem.output.shape[-1]
        if not isinstance(channels, int) or wide_type(problem.output.dtype) != f32:
            return False
        return channels <= MAX_CHANNELS and problem.attrs["size"] <= MAX_WINDOW

    def space(self, problem: Problem, target: Cpu) -> Iterator[Config]:
        yield Config()

    def build(self, problem: Problem, config: Config, target: Cpu) -> Scheduled:
        x, out, size = problem.inputs[0], problem.output, problem.attrs["size"]
        width, channels = target.lanes(4), int(out.shape[-1])  # type: ignore[arg-type]
        before = (size - 1) // 2
        padded = -(-(channels + size) // width) * width + width
        with build(problem.name, [x, out], scalars_of(x, out)) as slot:
            squares = local("f32", [padded], "squares")
            for (task,) in parallel(product(out.shape[:-1])):
                pixel = unravel(task, out.shape[:-1])
                for k in span(padded, width):
                    squares[k] = 0.0
                for k in span(channels, width):
                    element = wide(Tensor(x)[(*pixel, k)])
                    squares[k + before] = element * element
                for k in span(channels, width):
                    total: Expr = squares[k]
                    for offset in range(1, size):
                        total = total + squares[k + offset]
                    Tensor(out)[(*pixel, k)] = _normalised(problem, (*pixel, k), total)
        return Scheduled(slot.program, {}, "lrn", channels * (size * 0.1 + 1.5) + 20)


def _normalised(problem: Problem, index: tuple[Expr, ...], total: Expr) -> Expr:
    """The definition's value with its window sum known."""
    definition = problem.definitions[-1]
    value = instantiate(definition.value, dict(zip(definition.axes, index, strict=True)), {})
    node = find_reduce(value)
    return rewrite(value, lambda other: total if other is node else None)
