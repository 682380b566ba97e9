"""recurrent(gates, weights, ...): a layer of RNN, GRU or LSTM without its input projection.

    gates   [T, B, D * G * H]  x W and the biases; D directions, G gates of H units
    weights [D, H, G * H]      h is multiplied by it
    more, in the order of attr `given`:  lengths [B] (ints), h0 [D, B, H], c0 [D, B, H],
            peephole [D, 3 * H], bias [D, H] (of the hidden gate of a GRU that resets after)

attrs: cells (compute/recurrence.py, one for each direction), reverse (one bool for each), given,
finals.  Output [T, D, B, H]: h of each step, 0 from the length of a sequence on.  finals: behind
the T steps come h and (of an LSTM) c after the last step of each sequence; 0 of an empty one.
A value depends on those before it, so there is no definition but a reference that walks.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import Shape, same_shape, simplify
from hidet_core.compute.evaluate import evaluate
from hidet_core.compute.recurrence import Cell
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import from_numpy
from hidet_core.ir.expr import Buffer, Expr, load
from hidet_core.ir.halves import as_dtype, single

from .registry import Attrs, OpDef, Types, register

GIVEN = ("lengths", "h0", "c0", "peephole", "bias")


def final_states(attrs: Attrs) -> int:
    """How many states come behind the steps in the output."""
    kind = attrs["cells"][0].kind
    return (2 if kind == "lstm" else 1) if attrs["finals"] else 0


def _infer(types: Types, attrs: Attrs) -> Types:
    gates, weights, *more = types
    directions, units, columns = weights.shape
    cells: Sequence[Cell] = attrs["cells"]
    if gates.rank != 3 or not all(isinstance(dim, int) for dim in weights.shape):
        raise Unsupported("recurrent", f"gates {gates} and weights {weights} do not fit")
    steps, batch, width = gates.shape
    fits = columns == cells[0].gates * int(units) and width == int(directions) * int(columns)
    if not fits or not len(cells) == len(attrs["reverse"]) == directions:
        raise Unsupported("recurrent", f"gates {gates} and weights {weights} do not fit")
    state: Shape = (directions, batch, units)
    wanted: dict[str, Shape] = {
        "lengths": (batch,),
        "h0": state,
        "c0": state,
        "peephole": (directions, int(units) * 3),
        "bias": (directions, units),
    }
    for name, value in zip(attrs["given"], more, strict=True):
        if not same_shape(value.shape, wanted[name]) or value.dtype.is_int != (name == "lengths"):
            raise Unsupported("recurrent", f"{name} {value} does not fit gates {gates}")
    steps = simplify(steps + final_states(attrs))
    return (TensorType(weights.dtype, (steps, *state)),)


def _reference(arrays: Sequence[np.ndarray], attrs: Attrs) -> np.ndarray:
    """One step after the other, each from definitions."""
    gates, weights, *rest = (single(array) for array in arrays)
    given = dict(zip(attrs["given"], rest, strict=True))
    steps, batch = gates.shape[:2]
    directions, units, columns = weights.shape
    finals = final_states(attrs)
    out = np.zeros((steps + finals, directions, batch, units), gates.dtype)
    lengths = given.get("lengths", np.full(batch, steps)).clip(0, steps)
    for d, (cell, backward) in enumerate(zip(attrs["cells"], attrs["reverse"], strict=True)):
        state = np.zeros((2, batch, units), gates.dtype)
        for k, name in enumerate(("h0", "c0")):
            if name in given:
                state[k] = given[name][d]
        mine = gates[:, :, d * columns : (d + 1) * columns]
        vectors = {name: given[name][d] for name in ("peephole", "bias") if name in given}
        step = _Step(cell, weights[d], vectors, batch)
        for k in range(steps):
            times = np.maximum(lengths - 1 - k, 0) if backward else np.full(batch, k)
            new = step.run(mine[times, np.arange(batch)], state)
            runs = k < lengths
            state = np.where(runs[:, None], new, state)
            out[times[runs], d, runs] = state[0][runs]
        for k in range(finals):
            empty = (lengths == 0)[:, None] & ("lengths" in given)
            out[steps + k, d] = np.where(empty, 0, state[k])
    dtype = from_numpy(arrays[1].dtype)
    assert dtype is not None, "weights are a tensor of ours"
    return as_dtype(out, dtype)


class _Step:
    """The definitions of one step of a batch."""

    def __init__(
        self, cell: Cell, weights: np.ndarray, vectors: dict[str, np.ndarray], batch: int
    ) -> None:
        self.cell, (self.units, columns) = cell, weights.shape
        dtype = from_numpy(weights.dtype)
        assert dtype is not None, "weights are a tensor of ours"
        self.dtype, self.batch = dtype, batch

        def buffer(name: str, *shape: int) -> Buffer:
            return Buffer(name, dtype, shape)

        self.pre, self.weights = buffer("pre", batch, columns), buffer("weights", *weights.shape)
        self.state = buffer("state", 2, batch, self.units)
        self.vectors = {name: buffer(name, *vector.shape) for name, vector in vectors.items()}
        self.fixed = {self.weights: weights}
        self.fixed |= {self.vectors[name]: vector for name, vector in vectors.items()}
        self.definitions, self.results = self._define()

    def run(self, pre: np.ndarray, state: np.ndarray) -> np.ndarray:
        """The new state [h and c, batch, units]."""
        arrays = {**self.fixed, self.pre: pre.astype(state.dtype), self.state: state}
        found = evaluate(self.definitions, arrays)
        new = state.copy()
        for k, result in enumerate(self.results):
            new[k] = found[result]
        return new

    def _product(self, name: str, h: Buffer, lead: tuple[int, ...]) -> Definition:
        def value(b: Expr, column: Expr) -> Expr:
            def term(k: Expr) -> Expr:
                return load(h, *lead, b, k) * load(self.weights, k, column)

            return reduce_over("sum", (self.units,), term)

        return compute(name, self.dtype, self.pre.shape, value)

    def _of_units(self, name: str, value: object) -> Definition:
        return compute(name, self.dtype, (self.batch, self.units), value)  # type: ignore[arg-type]

    def _define(self) -> tuple[list[Definition], list[Buffer]]:
        if self.cell.kind == "gru":
            return self._gru()
        product, cell = self._product("product", self.state, (0,)), self.cell

        def pre(b: Expr, unit: Expr) -> list[Expr]:
            places = [unit + gate * self.units for gate in range(cell.gates)]
            return [load(self.pre, b, k) + load(product.out, b, k) for k in places]

        if cell.kind == "rnn":
            h = self._of_units("h", lambda b, unit: cell.rnn(pre(b, unit)[0]))
            return [product, h], [h.out]

        def both(b: Expr, unit: Expr) -> tuple[Expr, Expr]:
            peephole = self.vectors.get("peephole")
            weights = [unit + k * self.units for k in range(3)]
            picked = None if peephole is None else [load(peephole, k) for k in weights]
            return cell.lstm(pre(b, unit), load(self.state, 1, b, unit), picked)

        h = self._of_units("h", lambda b, unit: both(b, unit)[0])
        c = self._of_units("c", lambda b, unit: both(b, unit)[1])
        return [product, h, c], [h.out, c.out]

    def _gru(self) -> tuple[list[Definition], list[Buffer]]:
        product, cell, units = self._product("product", self.state, (0,)), self.cell, self.units

        def gate(b: Expr, unit: Expr, which: int) -> Expr:
            k = unit + which * units
            return load(self.pre, b, k) + load(product.out, b, k)

        def scaled(b: Expr, unit: Expr) -> Expr:
            return cell.reset(gate(b, unit, 1)) * load(self.state, 0, b, unit)

        reset = self._of_units("reset", scaled)
        again = self._product("again", reset.out, ())

        def new(b: Expr, unit: Expr) -> Expr:
            k = unit + 2 * units
            if cell.reset_after:
                inner = load(product.out, b, k)
                if "bias" in self.vectors:
                    inner = inner + load(self.vectors["bias"], unit)
                hidden = load(self.pre, b, k) + cell.reset(gate(b, unit, 1)) * inner
            else:
                hidden = load(self.pre, b, k) + load(again.out, b, k)
            return cell.gru(gate(b, unit, 0), hidden, load(self.state, 0, b, unit))

        h = self._of_units("h", new)
        return [product, reset, again, h], [h.out]


register(OpDef("recurrent", "anchor", _infer, None, reference=_reference))
