"""Attention of a few queries (decoding): every query by itself, keys and values read where they
lie.

    for each block of keys:  scores[j] = query . k[j], masked;  top' = max(top, their maximum)
        weights = exp(scores - top');  sum, mixed *= exp(top - top');  mixed += weights * v
    result = mixed / sum

Tiles would turn and copy all keys and values for products with rows that do not exist.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

from hidet_core.compute.definition import reduce_over
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, eq, load, select, unary, wrap
from hidet_core.lang import (
    Tensor,
    ceildiv,
    exp,
    lanes,
    let,
    local,
    maximum,
    minimum,
    range_,
    register,
    spatial,
)

from ..attention import Heads
from ..reducing import combine
from .reduction import reduce_in_lanes
from .span import span

FEW = 3  # queries; of more, a tile's products pay for its copies
ACROSS_CYCLES = 20.0  # to add up the lanes of a product
VECTORS = 8  # of columns that are summed in registers at a time


def few_cycles(heads: Heads, lanes_: int, exp_cycles: float) -> float:
    """Of one query, about."""
    _, keys = heads.sizes()
    product = 2 * heads.width / lanes_ + ACROSS_CYCLES
    return keys * (product + 2 * heads.columns / lanes_ + exp_cycles / lanes_)


class FewQueries:
    """What a task does with few queries; the buffers are its own memory. block: of keys."""

    def __init__(self, heads: Heads, block: int, vector: int) -> None:
        self.heads, self.block, self.vector = heads, block, vector
        self.query = local("f32", [-(-heads.width // vector) * vector], "query")
        self.scores = local("f32", [block + vector], "row")
        self.mixed = local("f32", [-(-heads.columns // vector) * vector], "result")
        self.top, self.total = register(f32, [1], "top"), register(f32, [1], "total")

    def write(self, batch: Sequence[Expr], query: Expr) -> None:
        """The result of one query."""
        self.batch, self.at = batch, query
        heads, vector = self.heads, self.vector
        for d in span(heads.width, vector):
            self.query[d] = heads.element(0, batch, query, d)
        for c in span(int(self.mixed.shape[0]), vector):
            self.mixed[c] = 0.0
        self.top[0], self.total[0] = -math.inf, 0.0
        seen = wrap(heads.keys)
        if heads.is_causal:
            seen = let("seen", minimum(maximum(heads.seen(query), 0), seen))
        skipped = let("skipped", heads.unseen(query) // self.block)
        for number in range_(ceildiv(seen, self.block) - skipped, "block"):
            start = let("start", (number + skipped) * self.block)
            keys = let("keys", minimum(seen - start, self.block))
            self._score(start, keys)
            self._weigh(keys)
            self._mix(start, keys)
        self._finish()

    def _score(self, start: Expr, keys: Expr) -> None:
        heads = self.heads
        last = let("last", keys // self.vector * self.vector)
        for (lane,) in lanes(spatial(self.vector)):  # read whole, though only some are scores
            self.scores[last + lane] = 0.0
        for j in range_(keys, "j"):
            node = reduce_over(
                "sum",
                (heads.width,),
                lambda d, j=j: (
                    load(self.query.buffer, d) * heads.element(1, self.batch, start + j, d)
                ),
            )
            product = reduce_in_lanes(node, 0, self.vector)
            pair = (*self.batch, self.at, start + j)
            self.scores[j] = heads.score(pair, product, seen=True)

    def _weigh(self, keys: Expr) -> None:
        """Scores become weights; what was summed so far is brought down."""
        scores = self.scores.buffer
        node = reduce_over("max", (keys,), lambda j: load(scores, j))
        top = let("top", combine("max", self.top[0], reduce_in_lanes(node, 0, self.vector)))
        # where no key was seen yet, weights are 0 and not NaN
        shift = let("shift", select(eq(top, -math.inf), 0.0, top))
        for j in span(keys, self.vector):
            self.scores[j] = exp(self.scores[j] - shift)
        node = reduce_over("sum", (keys,), lambda j: load(scores, j))
        shrink = let("shrink", unary("exp", self.top[0] - shift))
        self.total[0] = self.total[0] * shrink + reduce_in_lanes(node, 0, self.vector)
        self.top[0] = top
        for c in span(int(self.mixed.shape[0]), self.vector):
            self.mixed[c] = self.mixed[c] * shrink

    def _mix(self, start: Expr, keys: Expr) -> None:
        """mixed += weights * v, some vectors of columns at a time; then what is no whole vector."""
        columns, vector = self.heads.columns, self.vector
        whole = columns // vector
        for first in range(0, whole, VECTORS):
            self._mix_vectors(start, keys, first, min(VECTORS, whole - first))
        rest = columns - whole * vector
        for j in range_(keys if rest else 0, "j"):
            for c in span(rest, vector):
                self._add(whole * vector + c, start, j)

    def _mix_vectors(self, start: Expr, keys: Expr, first: int, count: int) -> None:
        vector = self.vector
        sums = register(f32, [count, vector], "sums")
        for n in range(count):
            for (lane,) in lanes(spatial(vector)):
                sums[n, lane] = self.mixed[(first + n) * vector + lane]
        for j in range_(keys, "j"):
            weight = let("weight", self.scores[j])
            for n in range(count):
                for (lane,) in lanes(spatial(vector)):
                    column = (first + n) * vector + lane
                    value = self.heads.element(2, self.batch, start + j, column)
                    sums[n, lane] = sums[n, lane] + weight * value
        for n in range(count):
            for (lane,) in lanes(spatial(vector)):
                self.mixed[(first + n) * vector + lane] = sums[n, lane]

    def _add(self, column: Expr, start: Expr, j: Expr) -> None:
        value = self.heads.element(2, self.batch, start + j, column)
        self.mixed[column] = self.mixed[column] + self.scores[j] * value

    def _finish(self) -> None:
        for c in span(self.heads.columns, self.vector):
            at = (*self.batch, self.at, c)
            result = self.heads.result(at, self.mixed[c], self.total[0])
            Tensor(self.heads.problem.output)[at] = result
