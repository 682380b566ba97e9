"""Rule-based schedule of injective operators on GPUs: elementwise chains, layout changes, gathers.

Two ways: the output is one long row of which each thread computes a vector; or tiles of the output
go through shared memory, so that threads side by side read along one axis and store along another.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product, simplify
from hidet_core.ir.expr import Expr, Var, free_vars, wrap
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.substitute import substitute
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    lanes,
    parallel,
    repeat,
    shared,
    spatial,
    threads,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .traffic import access_bytes, traffic_ns, value_bytes

THREADS = 256
TILE = 32
FLAT = -1  # the axis of a config that treats the output as one long row
VECTOR_BYTES = 16
STAGED = 1.15  # of the time, for the way through shared memory


@dataclass(frozen=True)
class InjectiveConfig(Config):
    """vector: elements of a thread; axis: FLAT, or the axis of the output along which tiles are
    read.
    """

    vector: int
    axis: int = FLAT


class Injective(Template):
    """The last definition is the output; it has no Reduce."""

    ops = ("injective",)

    def space(self, problem: Problem, target: Cuda) -> Iterator[InjectiveConfig]:
        for vector in (1, 2, 4, 8):
            yield InjectiveConfig(vector)
        for axis in range(len(problem.output.shape) - 1):
            yield InjectiveConfig(1, axis)

    def check(self, problem: Problem, config: InjectiveConfig, target: Cuda) -> None:
        out = problem.output
        size = config.vector * out.dtype.bytes
        require(size <= VECTOR_BYTES, f"{size} bytes in a vector, at most {VECTOR_BYTES}")
        last = out.shape[-1] if out.shape else 1
        rest = simplify(last % config.vector)
        require(rest == 0, f"vectors of {config.vector} do not fill the last axis")

    def cost(self, problem: Problem, config: InjectiveConfig, target: Cuda) -> float:
        out = problem.output
        elements = estimate(tuple(out.shape))
        if config.axis == FLAT:
            per_element = _bytes(problem, len(out.shape) - 1)
            threads_used = elements / config.vector
            issue = elements / config.vector / (target.multiprocessors * target.clock_ghz * 16)
            return traffic_ns(elements * per_element, threads_used, target) + issue
        sides = [estimate((out.shape[axis],)) for axis in (config.axis, -1)]
        used = 1.0
        for side in sides:
            used *= -(-side // TILE) * TILE / max(side, 1)
        moved = elements * _bytes(problem, config.axis) * used
        return traffic_ns(moved, elements / 4, target) * STAGED

    def build(self, problem: Problem, config: InjectiveConfig, target: Cuda) -> Scheduled:
        with build(problem.name, [*problem.inputs, problem.output], _scalars(problem)) as slot:
            if config.axis == FLAT:
                _flat(problem, config.vector)
            else:
                _tiles(problem, config.axis)
        return Scheduled(slot.program, {}, str(config))


def _scalars(problem: Problem) -> tuple[Var, ...]:
    """The symbols of the shapes, and those that are computed with (a Shape used as data)."""
    definition = problem.definitions[-1]
    shapes = scalars_of(*problem.inputs, problem.output)
    used = [var for var in free_vars(definition.value) if var not in definition.axes]
    return tuple(dict.fromkeys((*shapes, *used)))


def _value(problem: Problem, index: tuple[Expr, ...]) -> Expr:
    definition = problem.definitions[-1]
    axes = dict(zip(definition.axes, index, strict=True))
    return substitute(definition.value, axes, fresh=True)


def _bytes(problem: Problem, axis: int) -> float:
    """Bytes moved for one element, if threads side by side compute along an axis of the output; it
    is stored along the last one.
    """
    out, simplifier = problem.output, Simplifier()
    variables = tuple(Var(f"i{k}") for k in range(len(out.shape)))
    for var, dim in zip(variables, out.shape, strict=True):
        simplifier.bind(var, dim)
    if not variables:
        return float(out.dtype.bytes)
    loads = value_bytes(simplifier, variables[axis], [_value(problem, variables)])
    return loads + access_bytes(simplifier, variables[-1], out, variables)


def _flat(problem: Problem, vector: int) -> None:
    out = problem.output
    total = product(out.shape)
    for (block,) in parallel(ceildiv(total, THREADS * vector)):
        for thread in threads(THREADS):
            first = (block * THREADS + thread) * vector
            with when(first < total):
                for at in _vector(first, vector):
                    index = unravel(at, out.shape)
                    Tensor(out)[index] = _value(problem, index)


def _vector(first: Expr, size: int) -> Iterator[Expr]:
    """The elements of a vector, in lanes if it has several."""
    if size == 1:
        yield first
        return
    for (lane,) in lanes(spatial(size)):
        yield first + lane


def _tiles(problem: Problem, axis: int) -> None:
    out = problem.output
    rest = (*out.shape[:axis], *out.shape[axis + 1 : -1])
    rows, cols = out.shape[axis], out.shape[-1]
    for outer, down, across in parallel(product(rest), ceildiv(rows, TILE), ceildiv(cols, TILE)):
        others = unravel(outer, rest)
        for thread in threads(THREADS):
            tile = shared(out.dtype, [TILE, TILE + 1])

            def at(
                i: Expr, j: Expr, then: Callable[[tuple[Expr, ...]], None], others=others
            ) -> None:
                row, col = down * TILE + i, across * TILE + j
                with when((row < wrap(rows)) & (col < wrap(cols))):
                    then((*others[:axis], row, *others[axis:], col))

            down_first = repeat(1, TILE * TILE // THREADS) * spatial(
                TILE, THREADS // TILE, ranks=(1, 0)
            )
            for i, j in down_first.on(thread):
                at(i, j, lambda index: tile.__setitem__((i, j), _value(problem, index)))
            barrier()
            across_first = repeat(TILE * TILE // THREADS, 1) * spatial(THREADS // TILE, TILE)
            for i, j in across_first.on(thread):
                at(i, j, lambda index: Tensor(out).__setitem__(index, tile[i, j]))
