"""Recurrent layers on GPUs: a block has a direction and a few sequences, and walks over
all steps, with barriers between them. Blocks need not wait for each other, so one kernel is the
whole layer.

h is in shared memory; a thread has some units, adds up the products of h with the weights of their
gates (neighbours read neighbouring columns) and keeps their memory c in registers.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.recurrence import Cell
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Expr, eq, minimum, wrap
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    let,
    otherwise,
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
from ..recurrent import Layer, Unit
from ..template import Template
from ..work import estimate, scalars_of
from .across import BARRIER_CYCLES
from .traffic import ISSUED, LATENCY_CYCLES, LAUNCH_NS

PORT_BYTES = 48.0  # that a multiprocessor gets from L2 in a cycle
MAX_SUMS = 48  # accumulators of a thread
OTHER_SLOTS = 2.0  # instructions beside each multiplication


@dataclass(frozen=True)
class RecurrentConfig(Config):
    """threads: of a block; rows: its sequences."""

    threads: int
    rows: int


class Recurrent(Template):
    """recurrent of any floats."""

    ops = ("recurrent",)

    def space(self, problem: Problem, target: Cuda) -> Iterator[RecurrentConfig]:
        for count in (1024, 512, 256, 128, 64, 32):  # of equal ones that with most loads at once
            for rows in (1, 2, 4, 8):
                yield RecurrentConfig(count, rows)

    def check(self, problem: Problem, config: RecurrentConfig, target: Cuda) -> None:
        layer = Layer(problem)
        limit = target.threads_per_block
        require(config.threads <= limit, f"{config.threads} threads > {limit} on {target.name}")
        sums = ceildiv(layer.units, config.threads) * config.rows * (layer.gates + 2)
        require(sums <= MAX_SUMS, f"{sums} sums in a thread, at most {MAX_SUMS}")
        size = config.rows * layer.units * layer.dtype.bytes * len(layer.phases)
        limit = target.shared_bytes_per_block
        require(size <= limit, f"{size} bytes of shared memory, at most {limit}")
        used = config.threads < 2 * max(layer.units, 32)
        require(used, f"{config.threads} threads for {layer.units} units")

    def cost(self, problem: Problem, config: RecurrentConfig, target: Cuda) -> float:
        layer = Layer(problem)
        steps, batch = (estimate((dim,)) for dim in problem.inputs[0].shape[:2])
        blocks = layer.directions * ceildiv(batch, config.rows)
        waves = ceildiv(blocks, target.multiprocessors)
        each = ceildiv(layer.units, config.threads) * layer.gates  # columns of a thread
        products = each * layer.units * config.rows * OTHER_SLOTS
        busy = products * max(config.threads / ISSUED, 4.0)  # a warp starts one in 4 cycles
        read = layer.gates * layer.units**2 * problem.inputs[1].dtype.bytes / PORT_BYTES
        cycles = max(busy, read) + LATENCY_CYCLES + 2 * BARRIER_CYCLES
        return LAUNCH_NS + steps * waves * cycles / target.clock_ghz

    def build(self, problem: Problem, config: RecurrentConfig, target: Cuda) -> Scheduled:
        layer = Layer(problem)
        buffers = (*problem.inputs, problem.output)
        with build(problem.name, buffers, scalars_of(*buffers)) as slot:
            chunks = ceildiv(layer.batch, config.rows)
            for d, chunk in parallel(layer.directions, chunks):
                for thread in threads(config.threads):
                    _Walk(layer, config, (d, chunk * config.rows), thread).write()
        return Scheduled(slot.program, {}, str(config))


class _Walk:
    """The sequences of a block over all steps; where: (direction, first sequence)."""

    def __init__(
        self, layer: Layer, config: RecurrentConfig, where: tuple[Expr, Expr], thread: Expr
    ) -> None:
        self.layer, self.config, self.thread = layer, config, thread
        self.d, self.first = where
        self.mine = ceildiv(layer.units, config.threads)  # units of a thread
        count = self.mine * config.rows
        shape = [config.rows, layer.units]
        self.h = shared(layer.dtype, shape, "h")
        self.scaled = shared(layer.dtype, shape, "scaled") if len(layer.phases) > 1 else None
        self.next = register(layer.dtype, [count], "next")
        self.c = register(layer.dtype, [count], "c") if layer.has_memory else None
        self.sums = register(layer.dtype, [count * layer.gates], "sum")
        self.lengths = register(i64, [config.rows], "length")

    def write(self) -> None:
        layer = self.layer
        for row, b, _ in self._sequences():
            self.lengths[row] = layer.length(b)
        for u, unit in self._units():
            for row, b, _ in self._sequences():
                self.h[row, unit] = layer.initial("h0", self.d, b, unit)
                if self.c is not None:
                    self.c[self._place(u, row)] = layer.initial("c0", self.d, b, unit)
        barrier()
        for step in range_(layer.steps, "step"):
            self._step(step)
        for u, unit in self._units():
            for row, b, is_ours in self._sequences():
                state = self._state(u, row, unit)
                with when(is_ours):
                    layer.store_finals((self.d, b, unit), self.lengths[row], state)

    def _step(self, step: Expr) -> None:
        self._multiply(0, self.h)
        if self.scaled is not None:
            for u, unit in self._units():
                for row, b, _ in self._sequences():
                    self._with_cell(self._scale, (u, row), (step, b, unit))
            barrier()
            self._multiply(1, self.scaled)
        for u, unit in self._units():
            for row, b, is_ours in self._sequences():
                self._with_cell(self._advance, (u, row), (step, b, unit))
                with when(is_ours):
                    self._output((u, row), (step, b, unit))
        barrier()
        for u, unit in self._units():
            for row, _, _ in self._sequences():
                self.h[row, unit] = self.next[self._place(u, row)]
        barrier()

    def _units(self) -> Iterator[tuple[int, Expr]]:
        for u in range(self.mine):
            unit = self.thread + u * self.config.threads
            with when(unit < self.layer.units):
                yield u, unit

    def _sequences(self) -> Iterator[tuple[int, Expr, Expr]]:
        """Row, number, and whether it is one: those behind the last do the last one again, but
        store nothing.
        """
        for row in range(self.config.rows):
            b = self.first + row
            yield row, minimum(b, self.layer.batch - 1), b < self.layer.batch

    def _place(self, u: int, row: int) -> int:
        return u * self.config.rows + row

    def _state(self, u: int, row: int, unit: Expr) -> tuple[Expr, ...]:
        h = self.h[row, unit]
        return (h,) if self.c is None else (h, self.c[self._place(u, row)])

    def _multiply(self, phase: int, source: Tensor) -> None:
        """The products of h with the gates of a phase."""
        layer = self.layer
        first = sum(layer.phases[:phase])
        gates = range(first, first + layer.phases[phase])
        for u, unit in self._units():
            for gate in gates:
                for row in range(self.config.rows):
                    self.sums[self._sum(u, row, gate)] = layer.zero
            for k in range_(layer.units, "k"):
                for gate in gates:
                    weight = let("weight", layer.weight(self.d, k, gate, unit))
                    for row in range(self.config.rows):
                        place = self._sum(u, row, gate)
                        self.sums[place] = self.sums[place] + source[row, k] * weight

    def _sum(self, u: int, row: int, gate: int) -> int:
        return self._place(u, row) * self.layer.gates + gate

    def _with_cell(
        self,
        write: Callable[[Cell, tuple[int, int], tuple[Expr, ...]], None],
        place: tuple[int, int],
        at: tuple[Expr, ...],
    ) -> None:
        """What is written for a unit, with the cell of the direction."""
        cells = self.layer.cells
        if len(set(cells)) == 1:
            write(cells[0], place, at)
            return
        for k, cell in enumerate(cells):
            with when(eq(self.d, k)):
                write(cell, place, at)

    def _unit(self, cell: Cell, place: tuple[int, int], at: tuple[Expr, ...]) -> Unit:
        (u, row), (step, b, unit) = place, at
        layer = self.layer
        time = minimum(layer.time(self.d, step, self.lengths[row]), wrap(layer.steps) - 1)
        return Unit(
            layer,
            cell,
            (let("time", time), self.d, b, unit),
            self._state(u, row, unit),
            lambda gate: self.sums[self._sum(u, row, gate)],
        )

    def _scale(self, cell: Cell, place: tuple[int, int], at: tuple[Expr, ...]) -> None:
        assert self.scaled is not None, "the caller saw to it"
        self.scaled[place[1], at[2]] = self._unit(cell, place, at).scaled()

    def _advance(self, cell: Cell, place: tuple[int, int], at: tuple[Expr, ...]) -> None:
        """A unit's new state, as far as the sequence goes on."""
        u, row = place
        slot = self._place(u, row)
        self.next[slot] = self.h[row, at[2]]
        with when(at[0] < self.lengths[row]):
            new = self._unit(cell, place, at).next()
            self.next[slot] = new[0]
            if self.c is not None:
                self.c[slot] = new[1]

    def _output(self, place: tuple[int, int], at: tuple[Expr, ...]) -> None:
        (u, row), (step, b, unit) = place, at
        layer = self.layer
        with when(step < self.lengths[row]):
            time = layer.time(self.d, step, self.lengths[row])
            layer.store((time, self.d, b, unit), self.next[self._place(u, row)])
        if "lengths" in layer.given:
            with otherwise():
                layer.store((step, self.d, b, unit), layer.zero)
