"""Rule-based schedule of injective operators on GPUs: elementwise chains, layout changes, gathers.

Two ways: the output is one long row of which each thread computes a vector (of 16 bytes at most; a
row of several axes where all accesses run through memory alike); or tiles of the output go through
shared memory, so that threads side by side read along one axis and store along another, whole words
of narrow types both ways.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product, simplify
from hidet_core.ir.address import flat
from hidet_core.ir.expr import Expr, Load, Var, free_vars, is_const, wrap
from hidet_core.ir.node import walk
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.substitute import substitute
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    let,
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
from .traffic import (
    ISSUED,
    LATENCY_CYCLES,
    VECTOR_BYTES,
    access_bytes,
    in_vector,
    traffic_ns,
    value_bytes,
)

THREADS = 256
TILE = 32  # vectors of a tile's side
WORD = 4  # bytes of a vector on its way through a tile
FLAT = -1  # the axis of a config that treats the output as one long row
STAGED = 1.15  # of the time, for the way through shared memory
PORT_BYTES = 48.0  # that a multiprocessor gets from L2 in a cycle
VECTOR_SLOTS, ELEMENT_SLOTS = 12.0, 4.0  # instructions of a thread


@dataclass(frozen=True)
class InjectiveConfig(Config):
    """vector: elements of an access; axis: FLAT, or the axis of the output along which tiles are
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
            for vector in (1, 2, 4):
                yield InjectiveConfig(vector, axis)

    def check(self, problem: Problem, config: InjectiveConfig, target: Cuda) -> None:
        out = problem.output
        size = config.vector * out.dtype.bytes
        require(size <= VECTOR_BYTES, f"{size} bytes in a vector, at most {VECTOR_BYTES}")
        if config.axis != FLAT:
            require(config.vector == 1 or size <= WORD, f"words of {size} bytes in a tile")
        sides = out.shape[-1:] if config.axis == FLAT else (out.shape[config.axis], out.shape[-1])
        whole = all(simplify(side % config.vector) == 0 for side in sides)
        if config.axis == FLAT and not whole:
            whole = simplify(product(out.shape) % config.vector) == 0 and _is_one_row(problem)
        require(whole, f"vectors of {config.vector} do not fill the axes")

    def cost(self, problem: Problem, config: InjectiveConfig, target: Cuda) -> float:
        out = problem.output
        elements = estimate(tuple(out.shape))
        if config.axis == FLAT:
            per_element = _bytes(problem, len(out.shape) - 1)
            block = THREADS * config.vector
            each = -(-elements // (block * target.multiprocessors)) * block  # multiprocessor
            slots = VECTOR_SLOTS / config.vector + ELEMENT_SLOTS
            cycles = each * (per_element / PORT_BYTES + slots / ISSUED) + LATENCY_CYCLES
            moving = traffic_ns(elements * per_element, elements, target)
            return moving + cycles / target.clock_ghz
        sides = [estimate((out.shape[axis],)) for axis in (config.axis, -1)]
        used, tile = 1.0, TILE * config.vector
        for side in sides:
            used *= -(-side // tile) * tile / max(side, 1)
        moved = elements * _bytes(problem, config.axis) * used
        each = -(-elements * used // (tile * tile * target.multiprocessors)) * tile * tile
        slots = 2 * (VECTOR_SLOTS / config.vector + ELEMENT_SLOTS)
        cycles = each * slots / ISSUED + 1.5 * LATENCY_CYCLES
        return traffic_ns(moved, elements, target) * STAGED + cycles / target.clock_ghz

    def build(self, problem: Problem, config: InjectiveConfig, target: Cuda) -> Scheduled:
        with build(problem.name, [*problem.inputs, problem.output], _scalars(problem)) as slot:
            if config.axis == FLAT:
                _flat(problem, config.vector)
            else:
                _tiles(problem, config)
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
            first = let("at", block * THREADS + thread) * vector
            with when(first < total):
                for lane in in_vector(vector):
                    index = unravel(first + lane, out.shape)
                    Tensor(out)[index] = _value(problem, index)


def _is_one_row(problem: Problem) -> bool:
    """Whether all accesses run through memory one element after the other, whatever the axes."""
    out, at, simplifier = problem.output, Var("at"), Simplifier()
    simplifier.bind(at, product(out.shape))
    index = unravel(at, out.shape)
    loads = [node for node in walk(_value(problem, index)) if isinstance(node, Load)]
    places = [(out, index), *((node.buffer, node.indices) for node in loads)]
    return all(is_const(simplifier.simplify(flat(buffer, at_) - at), 0) for buffer, at_ in places)


def _tiles(problem: Problem, config: InjectiveConfig) -> None:
    out, axis, side = problem.output, config.axis, TILE * config.vector
    rest = (*out.shape[:axis], *out.shape[axis + 1 : -1])
    rows, cols = out.shape[axis], out.shape[-1]
    for outer, down, across in parallel(product(rest), ceildiv(rows, side), ceildiv(cols, side)):
        others = unravel(outer, rest)
        for thread in threads(THREADS):
            _Tile(problem, config, others, (down * side, across * side)).move(thread)


class _Tile:
    """A tile of the output: rows along an axis, columns along the last one."""

    def __init__(
        self,
        problem: Problem,
        config: InjectiveConfig,
        others: tuple[Expr, ...],
        corner: tuple[Expr, Expr],
    ) -> None:
        self.problem, self.axis, self.vector = problem, config.axis, config.vector
        self.others, self.corner = others, corner

    def move(self, thread: Expr) -> None:
        """Into shared memory along the rows, out of it along the columns."""
        out, vector = self.problem.output, self.vector
        side, step = TILE * vector, THREADS // TILE
        tile = shared(out.dtype, [side, side + vector])
        down_first = repeat(1, side // step) * spatial(TILE, step, ranks=(1, 0))
        for i, j in down_first.on(thread):
            with self._inside(i * vector, j):
                for lane in in_vector(vector):
                    row = i * vector + lane
                    tile[row, j] = _value(self.problem, self._at(row, j))
        barrier()
        across_first = repeat(side // step, 1) * spatial(step, TILE)
        for i, j in across_first.on(thread):
            with self._inside(i, j * vector):
                for lane in in_vector(vector):
                    col = j * vector + lane
                    Tensor(out)[self._at(i, col)] = tile[i, col]

    def _at(self, i: Expr, j: Expr) -> tuple[Expr, ...]:
        others, axis, (row, col) = self.others, self.axis, self.corner
        return (*others[:axis], row + i, *others[axis:], col + j)

    def _inside(self, i: Expr, j: Expr) -> AbstractContextManager[None]:
        shape, (row, col) = self.problem.output.shape, self.corner
        return when((row + i < wrap(shape[self.axis])) & (col + j < wrap(shape[-1])))
