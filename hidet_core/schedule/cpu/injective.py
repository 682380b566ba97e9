"""Rule-based schedule of injective operators: elementwise chains, layout changes, gathers, anything
without a Reduce.

One axis of the output goes to the lanes; the rest are tasks. The axis is the one along which the
most accesses are contiguous; where the whole output and all inputs run through memory alike, the
output is one long row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import product
from hidet_core.ir import poly as P
from hidet_core.ir.address import flat
from hidet_core.ir.expr import Buffer, Expr, Load, Var, free_vars, is_const, wrap
from hidet_core.ir.node import walk
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.substitute import substitute
from hidet_core.lang import Tensor, build, ceildiv, lanes, minimum, parallel, range_, spatial, when
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import TYPICAL_DIM, estimate, scalars_of, unravel

FLAT = -1  # the axis of a config that treats the output as one long row
BLOCKS_PER_TASK = 16  # vectors of one task
ROW_NS = 3.0  # to begin a row


@dataclass(frozen=True)
class InjectiveConfig(Config):
    """axis: the output axis in lanes, FLAT for all of them as one."""

    axis: int


class Injective(Template):
    """The last definition is the output; it has no Reduce."""

    ops = ("injective",)

    def space(self, problem: Problem, target: Cpu) -> Iterator[InjectiveConfig]:
        yield InjectiveConfig(FLAT)
        for axis in range(len(problem.output.shape) - 1, -1, -1):
            yield InjectiveConfig(axis)

    def cost(self, problem: Problem, config: InjectiveConfig, target: Cpu) -> float:
        return _cost(problem, config.axis, _lanes(problem, target))

    def build(self, problem: Problem, config: InjectiveConfig, target: Cpu) -> Scheduled:
        out = problem.output
        width = _lanes(problem, target)
        shape = (product(out.shape),) if config.axis == FLAT else out.shape
        axis = 0 if config.axis == FLAT else config.axis
        rest = (*shape[:axis], *shape[axis + 1 :])
        span = width * BLOCKS_PER_TASK
        with build(problem.name, [*problem.inputs, out], _scalars(problem)) as slot:
            for outer, part in parallel(product(rest), ceildiv(shape[axis], span)):
                others = unravel(outer, rest)

                def store(k: Expr, others: tuple[Expr, ...] = others) -> None:
                    index = (*others[:axis], k, *others[axis:])
                    index = unravel(index[0], out.shape) if config.axis == FLAT else index
                    definition = problem.definitions[-1]
                    value = substitute(
                        definition.value, dict(zip(definition.axes, index, strict=True)), fresh=True
                    )
                    Tensor(out)[index] = value

                _write_span(store, part * span, shape[axis], width)
        elements = min(estimate((shape[axis],)), span)
        per_vector = _cost(problem, config.axis, width) / max(estimate(tuple(out.shape)) / width, 1)
        return Scheduled(slot.program, {}, str(config), elements / width * max(per_vector, 1.0) + 3)


def _scalars(problem: Problem) -> tuple[Var, ...]:
    """The symbols of the shapes, and those that are computed with (a Shape used as data)."""
    definition = problem.definitions[-1]
    shapes = scalars_of(*problem.inputs, problem.output)
    used = [var for var in free_vars(definition.value) if var not in definition.axes]
    return tuple(dict.fromkeys((*shapes, *used)))


def _write_span(store: Callable[[Expr], None], first: Expr, extent: int | Expr, width: int) -> None:
    """Elements [first, first + width * BLOCKS_PER_TASK) of a row of `extent`, the last vector of
    the row under a mask.
    """
    count = minimum(wrap(extent) - first, width * BLOCKS_PER_TASK)
    for block in range_(count // width, "b"):
        for (lane,) in lanes(spatial(width)):
            store(first + block * width + lane)
    if is_const(wrap(extent % width), 0):
        return
    with when(count % width > 0):  # else the next elements are another task's
        for (lane,) in lanes(spatial(width)):
            k = first + count // width * width + lane
            with when(k < extent):
                store(k)


def _lanes(problem: Problem, target: Cpu) -> int:
    """Lanes of the widest of the element types that take part, at least four bytes each."""
    sizes = [buffer.dtype.bytes for buffer in (*problem.inputs, problem.output)]
    return target.lanes(max(4, min(8, max(sizes))))


def _cost(problem: Problem, axis: int, width: int) -> float:
    """Predicted ns: vectors times the price of each access (contiguous 1, one element 0.5, else a
    gather).
    """
    out = problem.output
    if not out.shape:
        return 1.0
    simplifier = Simplifier()
    if axis == FLAT:
        lane = Var("f")
        simplifier.bind(lane, product(out.shape))
        index = unravel(lane, out.shape)
        extent = estimate(tuple(out.shape))
    else:
        variables = [Var(f"i{k}") for k in range(len(out.shape))]
        for var, dim in zip(variables, out.shape, strict=True):
            simplifier.bind(var, dim)
        lane, index = variables[axis], tuple(variables)
        extent = out.shape[axis] if isinstance(out.shape[axis], int) else TYPICAL_DIM
    definition = problem.definitions[-1]
    value = substitute(definition.value, dict(zip(definition.axes, index, strict=True)), fresh=True)
    accesses = [(node.buffer, node.indices) for node in walk(value) if isinstance(node, Load)]
    price = 2 * _price(simplifier, lane, out, index, width)
    price += sum(_price(simplifier, lane, buffer, indices, width) for buffer, indices in accesses)
    rows = max(estimate(tuple(out.shape)), 1) / max(extent, 1)
    return rows * (-(-extent // width) * price * 0.5 + ROW_NS)


def _price(
    simplifier: Simplifier, lane: Var, buffer: Buffer, index: tuple[Expr, ...], width: int
) -> float:
    form = simplifier.poly(flat(buffer, index))
    step = form.terms.get(next(iter(P.atom(lane).terms)), 0)
    rest = P.part(form, lambda mono, _: mono != next(iter(P.atom(lane).terms)))
    if any(node is lane for node in walk(simplifier.expr(rest))):
        return float(width) * 2.5
    return {0: 0.5, 1: 1.0}.get(step, float(width))
