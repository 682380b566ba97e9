"""A recurrent layer as the templates of all targets see it: its buffers, which step is when, and
what becomes of a unit's state. See ops/recurrent.py for shapes.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from hidet_core.compute.recurrence import Cell
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Const, Expr, cast, load, maximum, minimum, select, wrap
from hidet_core.ir.widen import narrowed, wide_load, wide_type
from hidet_core.lang import Tensor, let

from .problem import Problem

Gate = Callable[[int], Expr]


class Layer:
    """directions, units and gates are numbers; steps and batch may be symbols."""

    def __init__(self, problem: Problem) -> None:
        self.gate_values, self.weights, *more = problem.inputs
        self.given: dict[str, Buffer] = dict(zip(problem.attrs["given"], more, strict=True))
        self.out, self.cells = problem.output, problem.attrs["cells"]
        self.reverse: tuple[bool, ...] = problem.attrs["reverse"]
        self.finals: bool = problem.attrs["finals"]
        self.steps, self.batch = (wrap(dim) for dim in self.gate_values.shape[:2])
        shape: tuple[Any, ...] = self.weights.shape  # ints, the operator saw to it
        self.directions, self.units, _ = map(int, shape)
        self.gates = self.cells[0].gates
        self.phases: tuple[int, ...] = self.cells[0].phases
        self.dtype = wide_type(self.weights.dtype)
        self.zero = Const(0.0, self.dtype)

    @property
    def has_memory(self) -> bool:
        """Whether there is a c beside h."""
        return self.cells[0].kind == "lstm"

    def length(self, b: Expr) -> Expr:
        """Steps of a sequence."""
        if "lengths" not in self.given:
            return self.steps
        wanted = cast(load(self.given["lengths"], b), i64)
        return let("length", minimum(maximum(wanted, 0), self.steps))

    def time(self, d: Expr, step: Expr, length: Expr) -> Expr:
        """Where in a sequence a direction is at a step, which may be beyond its length."""
        backward = maximum(length - 1 - step, 0)
        if len(set(self.reverse)) == 1:
            return backward if self.reverse[0] else step
        return select(d < 1, step, backward)  # first forward, then back: ONNX's bidirectional

    def initial(self, name: str, d: Expr, b: Expr, unit: Expr) -> Expr:
        """h0 or c0."""
        if name not in self.given:
            return self.zero
        return wide_load(self.given[name], d, b, unit)

    def weight(self, d: Expr, k: Expr, gate: int, unit: Expr) -> Expr:
        return wide_load(self.weights, d, k, unit + gate * self.units)

    def store(self, index: tuple[Expr, ...], value: Expr) -> None:
        Tensor(self.out)[index] = narrowed(value, self.out.dtype)

    def store_finals(self, at: tuple[Expr, ...], length: Expr, state: tuple[Expr, ...]) -> None:
        """at: (direction, batch, unit)."""
        for k, value in enumerate(state if self.finals else ()):
            kept = select(length > 0, value, 0.0) if "lengths" in self.given else value
            self.store((self.steps + k, *at), kept)


class Unit:
    """A unit of a sequence at a step. at: (time, direction, batch, unit); h, c: its state;
    product(gate): h times the weights of a gate.
    """

    def __init__(
        self, layer: Layer, cell: Cell, at: tuple[Expr, ...], state: tuple[Expr, ...], product: Gate
    ) -> None:
        self.layer, self.cell, self.product = layer, cell, product
        self.time, self.direction, self.b, self.unit = at
        self.state = state

    def _input(self, gate: int) -> Expr:
        layer = self.layer
        column = self.direction * (layer.gates * layer.units) + (gate * layer.units + self.unit)
        return cast(load(layer.gate_values, self.time, self.b, column), layer.dtype)

    def _pre(self, gate: int) -> Expr:
        return self._input(gate) + self.product(gate)

    def scaled(self) -> Expr:
        """h times the reset gate, for a GRU that needs it before its last product."""
        return self.cell.reset(self._pre(1)) * self.state[0]

    def next(self) -> tuple[Expr, ...]:
        """The new h (and c)."""
        cell, layer = self.cell, self.layer
        if cell.kind == "rnn":
            return (let("h", cell.rnn(self._pre(0))),)
        if cell.kind == "lstm":
            h, c = cell.lstm(
                [self._pre(gate) for gate in range(4)], self.state[1], self._peephole()
            )
            return let("h", h), let("c", c)
        hidden = self.product(2)
        if cell.reset_after:
            if "bias" in layer.given:
                hidden = hidden + wide_load(layer.given["bias"], self.direction, self.unit)
            hidden = cell.reset(self._pre(1)) * hidden
        return (let("h", cell.gru(self._pre(0), self._input(2) + hidden, self.state[0])),)

    def _peephole(self) -> list[Expr] | None:
        layer = self.layer
        if "peephole" not in layer.given:
            return None
        places = [self.unit + k * layer.units for k in range(3)]
        return [wide_load(layer.given["peephole"], self.direction, place) for place in places]


def state_names(layer: Layer) -> tuple[str, ...]:
    return ("h0", "c0") if layer.has_memory else ("h0",)
