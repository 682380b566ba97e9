"""Positions of the first elements of sorted rows on CPUs; a task is a row.

insert: one walk over the row keeps the best k so far in order; of a row in no order, k log(n / k)
of n elements are ever among them.  merge: positions are sorted by merging runs of 1, 2, 4, ...
elements, for large k.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.compute.dims import product
from hidet_core.compute.order import precedes
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Expr, binary, both, eq, minimum, select, wrap
from hidet_core.ir.widen import wide_load, wide_type
from hidet_core.lang import Tensor, build, let, local, parallel, range_, when
from hidet_core.target.cpu import Cpu

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import estimate, scalars_of, unravel

MAX_INSERTED = 1024
PASSES = 40  # of merges: rows have fewer than 2 ** 40 elements
COMPARE_NS, SHIFT_NS, MERGE_NS = 2.0, 1.5, 5.0


@dataclass(frozen=True)
class TopKConfig(Config):
    """way: 'insert' or 'merge'."""

    way: str


class TopK(Template):
    """top_k of any numbers."""

    ops = ("top_k",)

    def space(self, problem: Problem, target: Cpu) -> Iterator[TopKConfig]:
        if problem.attrs["k"] <= MAX_INSERTED:
            yield TopKConfig("insert")
        yield TopKConfig("merge")

    def cost(self, problem: Problem, config: TopKConfig, target: Cpu) -> float:
        x, axis = problem.inputs[0], problem.attrs["axis"]
        rows = estimate((*x.shape[:axis], *x.shape[axis + 1 :]))
        return rows * _row_ns(problem, config)

    def build(self, problem: Problem, config: TopKConfig, target: Cpu) -> Scheduled:
        x, out, axis = problem.inputs[0], problem.output, problem.attrs["axis"]
        outer = (*x.shape[:axis], *x.shape[axis + 1 :])
        size, rows = x.shape[axis], product(outer)
        runs = Buffer("runs", i64, (rows, 2, size), alignment=8)
        is_merge = config.way == "merge"
        params = [x, out, runs] if is_merge else [x, out]
        with build(problem.name, params, scalars_of(x, out)) as slot:
            for (number,) in parallel(rows):
                row = _Row(problem, unravel(number, outer))
                if is_merge:
                    row.merge(Tensor(runs), number)
                elif problem.attrs["k"]:
                    row.insert()
        workspace = {runs: False} if is_merge else {}
        return Scheduled(slot.program, {}, str(config), _row_ns(problem, config), workspace)


def _row_ns(problem: Problem, config: TopKConfig) -> float:
    """Predicted, of a row in no order."""
    k, size = problem.attrs["k"], estimate((problem.inputs[0].shape[problem.attrs["axis"]],))
    if config.way == "merge":
        return size * size.bit_length() * MERGE_NS
    inserted = k * (0.5 + math.log(max(size / max(k, 1), 1.0)))
    return size * COMPARE_NS + inserted * k * SHIFT_NS


class _Row:
    def __init__(self, problem: Problem, line: tuple[Expr, ...]) -> None:
        self.x, self.out = problem.inputs[0], Tensor(problem.output)
        self.axis, self.k = problem.attrs["axis"], problem.attrs["k"]
        self.largest, self.line = problem.attrs["largest"], line
        self.size = wrap(self.x.shape[self.axis])

    def index(self, place: Expr) -> tuple[Expr, ...]:
        return (*self.line[: self.axis], place, *self.line[self.axis :])

    def insert(self) -> None:
        """keys and places hold the best so far, then (place -1) nothing yet."""
        k = self.k
        keys, places = local(wide_type(self.x.dtype), [k], "keys"), local(i64, [k], "places")
        for slot in range_(k, "s"):
            keys[slot], places[slot] = wrap(0.0 if keys.dtype.is_float else 0, keys.dtype), -1
        at = local(i64, [1], "at")

        def goes_before(key: Expr, place: Expr, slot: Expr) -> Expr:
            better = precedes(key, place, keys[slot], places[slot], self.largest)
            return binary("or", places[slot] < 0, better)

        for place in range_(self.size, "n"):
            key = let("key", wide_load(self.x, *self.index(place)))
            with when(goes_before(key, place, wrap(k - 1))):
                at[0] = k - 1
                for step in range_(k - 1, "s"):
                    slot = let("slot", wrap(k - 2) - step)
                    with when(both(eq(at[0], slot + 1), goes_before(key, place, slot))):
                        keys[slot + 1] = keys[slot]
                        places[slot + 1] = places[slot]
                        at[0] = slot
                keys[at[0]] = key
                places[at[0]] = place
        for slot in range_(k, "s"):
            self.out[self.index(slot)] = places[slot]

    def merge(self, runs: Tensor, number: Expr) -> None:
        """runs[number, side]: the row's positions in sorted runs, side 0 and 1 in turn."""
        side = local(i64, [1], "side")
        side[0] = 0
        for place in range_(self.size, "n"):
            runs[number, 0, place] = place
        for turn in range_(PASSES, "turn"):
            length = let("length", binary("shl", wrap(1, i64), turn))
            with when(length < self.size):
                source = let("source", side[0])
                for pair in range_((self.size + length * 2 - 1) // (length * 2), "pair"):
                    self._merge_runs(runs, (number, source), pair * length * 2, length)
                side[0] = 1 - source
        for slot in range_(minimum(self.size, self.k), "s"):
            self.out[self.index(slot)] = runs[number, side[0], slot]

    def _merge_runs(
        self, runs: Tensor, where: tuple[Expr, Expr], first: Expr, length: Expr
    ) -> None:
        """The runs of `length` at `first` and behind it, into one on the other side."""
        number, source = where
        middle = let("middle", minimum(first + length, self.size))
        end = let("end", minimum(first + length * 2, self.size))
        heads = local(i64, [2], "heads")
        heads[0], heads[1] = first, middle
        for step in range_(end - first, "n"):
            places = [
                let("place", runs[number, source, minimum(heads[side], self.size - 1)])
                for side in range(2)
            ]
            left, right = (wide_load(self.x, *self.index(place)) for place in places)
            better = precedes(left, places[0], right, places[1], self.largest)
            rest = binary("or", heads[1] >= end, better)
            is_left = let("is_left", both(heads[0] < middle, rest))
            runs[number, 1 - source, first + step] = select(is_left, places[0], places[1])
            taken = let("taken", select(is_left, wrap(1, i64), 0))
            heads[0] = heads[0] + taken
            heads[1] = heads[1] + (1 - taken)
