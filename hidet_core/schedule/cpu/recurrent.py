"""Recurrent layers on CPUs: a task has a direction and a few sequences of the batch, and walks over
all steps. Tasks need not wait for each other, so one kernel is the whole layer.

At each step the products of h with the weights of all gates are register tiles of sequences times
columns (constant weights are packed in panels of columns, as for matmul); then the units go through
their cell in lanes. Sequences that do not fill a tile go one by one.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hidet_core.compute.recurrence import Cell
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Expr, Load, eq, is_const, wrap
from hidet_core.ir.widen import wide
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    let,
    local,
    otherwise,
    parallel,
    range_,
    register,
    repeat,
    spatial,
    when,
)
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Pack, Problem, Scheduled
from ..recurrent import Layer, Unit, state_names
from ..template import Template
from ..work import estimate, scalars_of
from .panels import pack_panels
from .span import span

FLOPS_PER_NS = 40.0


@dataclass(frozen=True)
class RecurrentConfig(Config):
    """rows x nv: sequences and vectors of a register tile."""

    rows: int
    nv: int


class Recurrent(Template):
    """recurrent of any floats."""

    ops = ("recurrent",)

    def space(self, problem: Problem, target: Cpu) -> Iterator[RecurrentConfig]:
        batch = estimate((problem.inputs[0].shape[1],))
        rows = 4 if batch >= 16 else 2 if batch >= 4 else 1  # few sequences: more tasks
        yield RecurrentConfig(rows, 4 if target.registers > 16 or rows == 1 else 2)

    def build(self, problem: Problem, config: RecurrentConfig, target: Cpu) -> Scheduled:
        layer = Layer(problem)
        width = config.nv * target.lanes(layer.dtype.bytes)
        packs = problem.constant[1] and layer.dtype == f32
        panels = [ceildiv(count * layer.units, width) for count in layer.phases]
        shape = (layer.directions, sum(panels), layer.units, width)
        packed = Buffer("wpack", f32, shape, None, "global", 64) if packs else None
        inputs = [*problem.inputs]
        if packed is not None:
            inputs[1] = packed
        buffers = (*inputs, problem.output)
        with build(problem.name, buffers, scalars_of(*problem.inputs, problem.output)) as slot:
            for d, chunk in parallel(layer.directions, ceildiv(layer.batch, config.rows)):
                weights = _Weights(layer, packed, panels, width)
                _chunk(layer, weights, d, chunk * config.rows, config)
        steps = estimate((problem.inputs[0].shape[0],))
        flops = 2 * steps * config.rows * layer.gates * layer.units**2
        packing = {1: (packed, _packer(layer, width))} if packed is not None else {}
        return Scheduled(slot.program, packing, str(config), flops / FLOPS_PER_NS + 20 * steps)


def _packer(layer: Layer, width: int) -> Pack:
    """[D, H, G * H] -> [D][panels of each phase][H][width]."""
    edges = np.cumsum([count * layer.units for count in layer.phases])[:-1]

    def pack(array: np.ndarray) -> np.ndarray:
        parts = [np.split(matrix, edges, axis=1) for matrix in array]
        return np.stack(
            [np.concatenate([pack_panels(part, width) for part in phases]) for phases in parts]
        )

    return pack


def _chunk(layer: Layer, weights: _Weights, d: Expr, first: Expr, config: RecurrentConfig) -> None:
    """Sequences [first, first + rows) of a direction."""
    rest = layer.gate_values.shape[1] % config.rows
    if is_const(wrap(rest), 0):
        _directions(layer, weights, d, first, config)
        return
    with when(first + config.rows <= layer.batch):
        _directions(layer, weights, d, first, config)
    with otherwise():
        for row in range_(layer.batch - first, "row"):
            _directions(layer, weights, d, first + row, RecurrentConfig(1, config.nv))


def _directions(
    layer: Layer, weights: _Weights, d: Expr, first: Expr, config: RecurrentConfig
) -> None:
    """The walk, with the cell of the direction."""
    if len(set(layer.cells)) == 1:
        _Walk(layer, layer.cells[0], weights, (d, first), config).write()
        return
    for k, cell in enumerate(layer.cells):
        with when(eq(d, k)):
            _Walk(layer, cell, weights, (d, first), config).write()


class _Weights:
    """The weights by panel: packed, or in place with the columns beyond the last masked."""

    def __init__(self, layer: Layer, packed: Buffer | None, panels: list[int], width: int) -> None:
        self.layer, self.packed, self.panels, self.width = layer, packed, panels, width

    def start(self, phase: int) -> int:
        """The first panel of a phase."""
        return sum(self.panels[:phase])

    def load(self, d: Expr, phase: int, panel: Expr, k: Expr, column: Expr) -> Expr:
        if self.packed is not None:
            return Tensor(self.packed)[d, panel + self.start(phase), k, column]
        layer, counts = self.layer, self.layer.phases
        before, here = sum(counts[:phase]) * layer.units, counts[phase] * layer.units
        at = panel * self.width + column
        index = (d, k, at + before)
        return wide(Load(layer.weights, index, layer.weights.dtype, at < here))


class _Walk:
    """`rows` sequences of a direction over all steps; where: (direction, first sequence)."""

    def __init__(
        self,
        layer: Layer,
        cell: Cell,
        weights: _Weights,
        where: tuple[Expr, Expr],
        config: RecurrentConfig,
    ) -> None:
        self.layer, self.cell, self.weights, self.config = layer, cell, weights, config
        self.d, self.first = where
        self.rows, self.width = config.rows, weights.width
        self.lanes = weights.width // config.nv
        # the last lanes of a row read beyond its units, so there has to be room
        room = ceildiv(layer.units, self.lanes) * self.lanes
        shape = [self.rows, room]
        self.state = [local(layer.dtype, shape, name) for name in state_names(layer)]
        self.scaled = local(layer.dtype, shape, "scaled") if len(layer.phases) > 1 else None
        self.products = local(
            layer.dtype, [self.rows, sum(weights.panels) * self.width + self.lanes], "product"
        )

    def write(self) -> None:
        layer = self.layer
        for row, b in self._sequences():
            for unit in self._units():
                for state, name in zip(self.state, state_names(layer), strict=True):
                    state[row, unit] = layer.initial(name, self.d, b, unit)
        for step in range_(layer.steps, "step"):
            self._multiply(0, self.state[0])
            if self.scaled is not None:
                for row, b in self._sequences():
                    time = let("time", layer.time(self.d, step, layer.length(b)))
                    for unit in self._units():
                        self.scaled[row, unit] = self._unit(row, (time, b, unit)).scaled()
                self._multiply(1, self.scaled)
            for row, b in self._sequences():
                self._advance(row, b, step)
        for row, b in self._sequences():
            length = layer.length(b)
            for unit in self._units():
                state = tuple(state[row, unit] for state in self.state)
                layer.store_finals((self.d, b, unit), length, state)

    def _sequences(self) -> Iterator[tuple[int, Expr]]:
        for row in range(self.rows):
            yield row, self.first + row

    def _units(self) -> Iterator[Expr]:
        yield from span(self.layer.units, self.lanes)

    def _unit(self, row: int, at: tuple[Expr, Expr, Expr]) -> Unit:
        time, b, unit = at
        layer = self.layer

        def product(gate: int) -> Expr:
            phase = 0 if gate < layer.phases[0] else 1
            start = self.weights.start(phase) * self.width
            place = gate - sum(layer.phases[:phase])
            return self.products[row, unit + (start + place * layer.units)]

        state = tuple(state[row, unit] for state in self.state)
        return Unit(layer, self.cell, (time, self.d, b, unit), state, product)

    def _advance(self, row: int, b: Expr, step: Expr) -> None:
        """A sequence's new state, as far as it goes on; behind its end the output is 0."""
        layer = self.layer
        length = layer.length(b)
        with when(step < length):
            time = let("time", layer.time(self.d, step, length))
            for unit in self._units():
                new = self._unit(row, (time, b, unit)).next()
                for state, value in zip(self.state, new, strict=True):
                    state[row, unit] = value
                layer.store((time, self.d, b, unit), new[0])
        if "lengths" not in layer.given:
            return
        with otherwise():
            for unit in self._units():
                layer.store((step, self.d, b, unit), layer.zero)

    def _multiply(self, phase: int, source: Tensor) -> None:
        """The products of h with the gates of a phase."""
        layer, weights = self.layer, self.weights
        tile = repeat(self.rows, self.config.nv) * spatial(1, self.lanes)
        start = weights.start(phase) * self.width
        for panel in range_(weights.panels[phase], "panel"):
            acc = register(layer.dtype, [self.rows, self.width], "acc")
            for i, j in lanes(tile):
                acc[i, j] = layer.zero
            for k in range_(layer.units, "k"):
                for i, j in lanes(tile):
                    product = source[i, k] * weights.load(self.d, phase, panel, k, j)
                    acc[i, j] = acc[i, j] + product
            for i, j in lanes(tile):
                self.products[i, panel * self.width + (start + j)] = acc[i, j]
