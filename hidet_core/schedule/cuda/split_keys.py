"""Attention with few queries (decoding): several blocks take parts of the keys, and the last of
them to be done joins what all have found (Dao et al., 2023: Flash-Decoding).

    part p: top_p, sum_p, mixed_p of its keys
    top = max over p;  sum = sum_p exp(top_p - top) over p;  mixed likewise;  result = mixed / sum

As in split_k.py a block stores its part in a workspace and takes a ticket; the parts are joined in
their order, so that results are the same in every run. How many there are is found when it runs:
one where the blocks fill the device without.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hidet_core.compute.dims import Dim, dim_expr, product, simplify
from hidet_core.ir.dtypes import f32, i32, i64
from hidet_core.ir.expr import Buffer, Expr, cast, eq, maximum, minimum, select, unary, wrap
from hidet_core.lang import (
    Tensor,
    atomic_add,
    barrier,
    ceildiv,
    let,
    range_,
    register,
    shared,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..attention import Heads, larger

BLOCKS_OF_A_MULTIPROCESSOR = 2
LEAST_TILES = 2  # of keys in a part


@dataclass(frozen=True)
class Row:
    """What a thread knows of a query: registers of its top and sum, and of its columns."""

    top: tuple[Tensor, int]
    total: tuple[Tensor, int]
    mixed: tuple[Tensor, Sequence[tuple[int, int]]]


class PartOfKeys(Protocol):
    """A block that has seen its keys."""

    @property
    def known(self) -> list[Row]: ...

    def store(self) -> None: ...


def parts_of_keys(heads: Heads, block_q: int, block_k: int, target: Cuda) -> Dim:
    """How many parts of keys there are; 1 where queries are known to be more than a block's."""
    queries = heads.queries
    if isinstance(queries, int) and queries > block_q:
        return 1
    blocks = dim_expr(product((*heads.batch, ceildiv(queries, block_q))))
    wanted = wrap(BLOCKS_OF_A_MULTIPROCESSOR * target.multiprocessors) // maximum(blocks, 1)
    most = ceildiv(dim_expr(heads.keys), LEAST_TILES * block_k)
    return simplify(maximum(minimum(wanted, most), 1))


def estimated_parts(heads: Heads, block_q: int, block_k: int, target: Cuda) -> int:
    """That number for costs: 1 where it is not known."""
    count = parts_of_keys(heads, block_q, block_k, target)
    return count if isinstance(count, int) else 1


@dataclass(frozen=True, eq=False)
class SplitKeys:
    """count: of parts of a tile of queries, which are numbers of the grid's; slots: numbers of a
    thread.
    """

    count: Dim
    parts: Buffer  # [count, tiles, slots, threads], none where there is one part
    tickets: Buffer  # [tiles]

    @staticmethod
    def of(count: Dim, tiles: Dim, slots: int, threads: int) -> SplitKeys:
        stored = simplify(minimum(dim_expr(count) - 1, 1) * count)
        parts = Buffer("parts", f32, (stored, tiles, slots, threads), None, "global", 16)
        return SplitKeys(count, parts, Buffer("tickets", i32, (tiles,), None, "global", 16))

    @property
    def workspace(self) -> dict[Buffer, bool]:
        """As in Scheduled; it is part of the program's parameters. None for a single part."""
        is_one = isinstance(self.count, int) and self.count == 1
        return {} if is_one else {self.parts: False, self.tickets: True}

    def share(self, tiles: Expr, part: Expr) -> tuple[Expr, Expr]:
        """(first, how many) of the tiles of keys of a part."""
        if not self.workspace:
            return wrap(0), tiles
        each = let("each", ceildiv(tiles, self.count))
        first = let("first_tile", part * each)
        left = tiles - first
        return first, minimum(each, select(left > 0, left, 0))

    def finish(self, block: PartOfKeys, tile: Expr, part: Expr, thread: Expr) -> None:
        """The results, stored by the block that is done last."""
        if not self.workspace:
            block.store()
            return
        tile = let("tile", tile)
        with when(self._meet(tile, part, thread, block.known)):
            self._join(tile, thread, block.known)
            block.store()

    def _meet(self, tile: Expr, part: Expr, thread: Expr, rows: Sequence[Row]) -> Expr:
        """Store a thread's rows. The result is a condition, the same in all threads: whether this
        block is the tile's last.
        """
        count, parts = wrap(self.count), Tensor(self.parts)
        arrived = shared(i32, [1], "arrived")
        with when(count > 1):
            for slot, (held, at) in enumerate(_numbers(rows)):
                parts[part, tile, slot, thread] = held[at]
        barrier()
        with when(thread < 1):
            arrived[0] = 0
            with when(count > 1):
                arrived[0] = atomic_add(Tensor(self.tickets), (tile,), 1)
        barrier()
        return eq(cast(arrived[0], i64), count - 1)

    def _join(self, tile: Expr, thread: Expr, rows: Sequence[Row]) -> None:
        """The last block: a thread's rows of all parts; the ticket is zero again."""
        with when(wrap(self.count) > 1):
            with when(thread < 1):
                Tensor(self.tickets)[tile] = 0
            slot = 0
            for row in rows:
                slot = self._join_row(tile, thread, row, slot)

    def _join_row(self, tile: Expr, thread: Expr, row: Row, slot: int) -> int:
        """Joins a row whose numbers begin at a slot; gives the slot behind."""
        parts = Tensor(self.parts)
        numbers = _numbers([row])
        top = register(f32, [1], "joined")
        top[0] = -math.inf
        for part in range_(self.count, "part"):
            top[0] = larger(parts[part, tile, slot, thread], top[0])
        shift = let("shift", select(eq(top[0], -math.inf), 0.0, top[0]))
        for held, at in numbers[1:]:
            held[at] = 0.0
        for part in range_(self.count, "part"):
            factor = let("factor", unary("exp", parts[part, tile, slot, thread] - shift))
            for n, (held, at) in enumerate(numbers[1:], slot + 1):
                held[at] += parts[part, tile, n, thread] * factor
        return slot + len(numbers)


def _numbers(rows: Sequence[Row]) -> list[tuple[Tensor, tuple[int, ...] | int]]:
    """Of each row its top, its sum, its columns."""
    found: list[tuple[Tensor, tuple[int, ...] | int]] = []
    for row in rows:
        mixed, places = row.mixed
        found += [row.top, row.total, *((mixed, place) for place in places)]
    return found
