"""Split-k: several blocks sum parts of a tile's k, and the last of them to be done adds all parts.

Each block stores its sums in a workspace and takes a ticket of the tile. Who finds that all others
have taken theirs adds the parts, in the order of the parts and not of the blocks' arrival, so that
results are the same in every run; what comes after a tile is done (the store, and the epilogue that
fusion makes of it) happens there, once. It leaves the ticket at zero for the next launch.
"""

from __future__ import annotations

from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import Dim
from hidet_core.ir.dtypes import DType, f32, i32
from hidet_core.ir.expr import Buffer, Expr, eq, wrap
from hidet_core.lang import (
    Tensor,
    atomic_add,
    barrier,
    lanes,
    range_,
    shared,
    spatial,
    unroll,
    when,
)

from .contraction import Contraction

VECTOR = 4  # sums of an access
MOST_BYTES = 64 << 20  # of parts: beyond, they would be a burden to the device's memory
SYMBOLIC_SPLITS = 4  # where sizes are not known: parts are so many times an output of f32


def check_splits(view: Contraction, splits: int, block_k: int) -> None:
    """Raises Rejected where a contraction cannot be, or should not be, in so many parts."""
    if splits == 1:
        return
    groups, rows, cols, depth = view.sizes()
    steps = -(-depth // block_k)
    require(steps >= 2 * splits, f"{splits} parts of {steps} steps")
    if not all(isinstance(dim, int) for dim in (view.groups, view.rows, view.cols)):
        require(splits <= SYMBOLIC_SPLITS, f"{splits} parts of a size that is not known")
    need = 4 * splits * groups * rows * cols
    require(need <= MOST_BYTES, f"{need} bytes of parts > {MOST_BYTES}")


@dataclass(frozen=True, eq=False)
class SplitK:
    """splits: parts of k; tiles: of the output; a tile's block has `threads`, each of which has
    `sums` sums, a multiple of 4.
    """

    splits: int
    parts: Buffer  # [splits, tiles, sums / 4, threads, 4]
    tickets: Buffer  # [tiles]

    @staticmethod
    def of(splits: int, tiles: Dim, threads: int, sums: int, dtype: DType = f32) -> SplitK:
        """With its workspace. dtype: of the sums."""
        shape = (splits, tiles, sums // VECTOR, threads, VECTOR)
        parts = Buffer("parts", dtype, shape, None, "global", 16)
        return SplitK(splits, parts, Buffer("tickets", i32, (tiles,), None, "global", 16))

    @property
    def workspace(self) -> dict[Buffer, bool]:
        """As in Scheduled; it is part of the program's parameters."""
        return {self.parts: False, self.tickets: True}

    def meet(self, tile: Expr, split: Expr, thread: Expr, sums: Tensor) -> Expr:
        """Store a thread's sums (registers, [rows, columns], columns a multiple of 4). The result
        is a condition, the same in all threads: whether this block is the tile's last.
        """
        parts, rows, cols = Tensor(self.parts), int(sums.shape[0]), int(sums.shape[1]) // VECTOR
        for i in unroll(rows, "i"):
            for j in unroll(cols, "j"):
                for (lane,) in lanes(spatial(VECTOR)):
                    at = (split, tile, i * cols + j, thread, lane)
                    parts[at] = sums[i, j * VECTOR + lane]
        barrier()
        arrived = shared(i32, [1], "arrived")
        with when(thread < 1):
            arrived[0] = atomic_add(Tensor(self.tickets), (tile,), 1)
        barrier()
        return eq(arrived[0], self.splits - 1)

    def total(self, tile: Expr, thread: Expr, sums: Tensor) -> None:
        """The last block: sums = all parts, in order; the ticket is zero again."""
        parts, rows, cols = Tensor(self.parts), int(sums.shape[0]), int(sums.shape[1]) // VECTOR
        with when(thread < 1):
            Tensor(self.tickets)[tile] = 0
        for i in unroll(rows, "i"):
            for j in unroll(cols * VECTOR, "j"):
                sums[i, j] = wrap(0, sums.dtype)
        for split in range_(self.splits, "part"):
            for i in unroll(rows, "i"):
                for j in unroll(cols, "j"):
                    for (lane,) in lanes(spatial(VECTOR)):
                        at = (split, tile, i * cols + j, thread, lane)
                        sums[i, j * VECTOR + lane] += parts[at]
