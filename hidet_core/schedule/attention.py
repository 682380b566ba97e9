"""What the attention templates of all targets share: sizes, elements and maths of a problem.

Definitions of the operator (ops/attention.py), in order: scores, row_max, row_sum, the result.
Their maths (scale, mask, what an empty row becomes) is taken from them; templates only decide who
computes which product when.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from hidet_core.ir.expr import Buffer, Expr, Select, cast, is_const, load, select, wrap

from .problem import Problem
from .reducing import find_reduce, instantiate, with_total

Dim = int | Expr
SYMBOLIC_ROWS = 256  # what a symbolic number of queries or keys is taken for


@dataclass(frozen=True, eq=False)
class Heads:
    """An attention problem: `batch` x [queries, width] x [keys, width] x [keys, columns]."""

    problem: Problem

    @property
    def batch(self) -> tuple[Dim, ...]:
        return self.problem.output.shape[:-2]

    @property
    def queries(self) -> Dim:
        return self.problem.output.shape[-2]

    @property
    def keys(self) -> Dim:
        return self.problem.inputs[1].shape[-2]

    @property
    def width(self) -> int:
        """Elements of a query and of a key: a constant, the graph pass sees to it."""
        return int(self.problem.inputs[0].shape[-1])  # type: ignore[arg-type]

    @property
    def columns(self) -> int:
        return int(self.problem.output.shape[-1])  # type: ignore[arg-type]

    @property
    def is_causal(self) -> bool:
        return bool(self.problem.attrs["causal"])

    @property
    def has_mask(self) -> bool:
        return len(self.problem.inputs) > 3

    def element(self, place: int, batch: Sequence[Expr], row: Expr, column: Expr) -> Expr:
        """An element of q, k or v (place 0, 1, 2), in the dtype of the scores."""
        value = load(self.problem.inputs[place], *self.index(place, batch, row, column))
        return cast(value, self.problem.definitions[0].out.dtype)

    def index(self, place: int, batch: Sequence[Expr], row: Expr, column: Expr) -> list[Expr]:
        """The index of an element of q, k or v."""
        return [*_batch_index(self.problem.inputs[place], batch), row, column]

    @property
    def has_row_mask(self) -> bool:
        """Whether the mask has one row for all queries, which is worth keeping at hand."""
        if not self.has_mask:
            return False
        shape = self.problem.inputs[3].shape
        if not shape:
            return False
        return not is_const(shape[-1], 1) and (len(shape) < 2 or is_const(shape[-2], 1))

    def mask_number(self, batch: Sequence[Expr], key: Expr) -> Expr:
        """An element of a mask of one row as a number: 1 and 0 of a bool."""
        buffer = self.problem.inputs[3]
        index = (*_batch_index(buffer, batch), *((0, key) if len(buffer.shape) > 1 else (key,)))
        value = load(buffer, *index)
        dtype = self.problem.definitions[0].out.dtype
        return select(value, 1.0, 0.0) if value.dtype.is_bool else cast(value, dtype)

    def score(
        self,
        pair: tuple[Expr, ...],
        product: Expr,
        mask: Callable[[], Expr] | None = None,
        seen: bool = False,
    ) -> Expr:
        """The score of a pair (*batch, query, key), of the product of the two: scaled and masked.
        mask: the mask's number, where it is at hand. seen: the query is known to see the key.
        """
        scores = self.problem.definitions[0]
        axes = dict(zip(scores.axes, pair, strict=True))
        known = {} if mask is None else {self.problem.inputs[3]: self._mask_value(mask())}
        value = instantiate(scores.value, axes, known)
        node = find_reduce(value)
        assert node is not None, "scores are sums"
        if seen and self.is_causal:
            assert isinstance(value, Select), "what is not seen is decided last"
            value = value.a
        return with_total(value, node, product)

    def _mask_value(self, number: Expr) -> Expr:
        """What the definition wants of a number that was kept."""
        dtype = self.problem.inputs[3].dtype
        return number > 0.5 if dtype.is_bool else cast(number, dtype)

    def result(self, at: Sequence[Expr], mixed: Expr, total: Expr) -> Expr:
        """The result at an index, of the sum of values by weights and the sum of weights."""
        last, row_sum = self.problem.definitions[-1], self.problem.definitions[2]
        value = instantiate(last.value, dict(zip(last.axes, at, strict=True)), {row_sum.out: total})
        node = find_reduce(value)
        assert node is not None, "results are sums"
        return with_total(value, node, mixed)

    def seen(self, last_query: Expr) -> Expr:
        """How many keys queries up to and including the last one may see, from the first on."""
        return last_query + 1 + wrap(self.keys) - self.queries

    @property
    def left(self) -> int | None:
        """How far back a query sees, None where all the way."""
        return self.problem.attrs.get("left")

    def unseen(self, first_query: Expr) -> Expr:
        """How many keys, from the first on, queries from the first one on do not see."""
        if self.left is None:
            return wrap(0)
        before = first_query + wrap(self.keys) - self.queries - self.left
        return select(before > 0, before, 0)

    def sizes(self) -> tuple[int, int]:
        """(queries, keys) for estimates; of the keys as many as one query sees."""
        sides = (self.queries, self.keys)
        rows, cols = (side if isinstance(side, int) else SYMBOLIC_ROWS for side in sides)
        return rows, cols if self.left is None else min(cols, rows + self.left)


def _batch_index(buffer: Buffer, batch: Sequence[Expr]) -> list[Expr]:
    """Indices of a buffer's batch dims at a batch index of the result (1 is broadcast)."""
    dims = buffer.shape[:-2]
    offset = len(batch) - len(dims)
    return [wrap(0) if is_const(wrap(dim), 1) else batch[k + offset] for k, dim in enumerate(dims)]


def larger(a: Expr, b: Expr) -> Expr:
    """The larger one; a NaN need not be kept, since its weight is NaN too."""
    return select(a > b, a, b)
