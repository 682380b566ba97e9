"""Tiles of operands on their way to tensor cores: a ring of stages in shared memory.

Asynchronous copies fill a stage while others are multiplied; `load_matrix` makes fragments of them.
A tile lies as its operand does in memory: [lines][block_k] where depth is contiguous ("k"),
[block_k][lines] where lines are ("line"). Rows are made of chunks of 16 bytes, and chunk c of row r
lies at place c ^ swizzle(r): then eight rows' chunks of one column lie in different banks, with no
padding (of 32 banks, 128 bytes in all).
"""

from __future__ import annotations

from typing import Any

from hidet_core.ir.dtypes import DType, f32, u32
from hidet_core.ir.expr import Expr, Load, is_const, wrap
from hidet_core.lang import (
    Tensor,
    copy_async,
    load_matrix,
    otherwise,
    repeat,
    round_tf32,
    shared,
    spatial,
    unroll,
    when,
)

from .contraction import ACCESS_BYTES, Operand

BANKS = 8  # chunks side by side that are read at once
MATRIX = 8  # rows of a matrix; of 16-bit elements also its columns
LEAST_COPY = 4  # bytes of an asynchronous copy


def swizzle(row: Any, chunks: int) -> Any:
    """Chunk c of a row lies at place c ^ this; of an int or an expression. The chunks of a column
    in eight rows from a multiple of eight on are in different banks; a row has a power of two.
    """
    return row % BANKS if chunks >= BANKS else row // (BANKS // chunks) % chunks


def swizzle_elements(row: Any, chunks: int) -> Any:
    """The same for lanes that read two chunks side by side in each of four rows, by elements."""
    return row % 4 * 2 % chunks


def copy_vector(operand: Operand) -> int:
    """Elements of a copy: as many as its address is known to be a multiple of, and one where they
    are too few for an asynchronous copy. A computed operand has no address.
    """
    size, vector = operand.dtype.bytes, operand.vector
    if operand.is_flat:
        vector = max(min(vector, operand.buffer.alignment // size), 1)
    return vector if vector * size >= LEAST_COPY else 1


class RingTile:
    """What one thread does with an operand's tiles of `lines` x block_k. thread: of `threads`."""

    def __init__(
        self, operand: Operand, size: tuple[int, int], stages: int, threads: int, thread: Expr
    ) -> None:
        lines, self.block_k = size
        self.operand, self.is_along_k = operand, operand.along == "k"
        self.chunk = ACCESS_BYTES // operand.dtype.bytes
        rows, cols = (lines, self.block_k) if self.is_along_k else (self.block_k, lines)
        self.chunks = cols // self.chunk
        self.vector = min(copy_vector(operand), self.chunk)
        self.reader = operand.reader(self.vector)
        self.tile = shared(operand.dtype, [stages, rows, cols], f"ring_{operand.buffer.name}")
        # who copies what: threads side by side vectors side by side
        across = min(threads, cols // self.vector)
        down = min(threads // across, rows)
        mapping = repeat(rows // down, cols // self.vector // across) * spatial(down, across)
        self.copiers = None if down * across == threads else thread < down * across
        outer, inner = mapping.step_shape[:2]
        self.rows = [mapping.task(thread, (i, 0))[0] for i in range(outer)]
        self.cols = [mapping.task(thread, (0, j))[1] * self.vector for j in range(inner)]

    def begin(self, group: Expr, first: Expr) -> None:
        """Compute where the tile's lines lie, whose first is given."""
        lines = self.rows if self.is_along_k else self.cols
        self.places = [self.reader.line(group, first + line) for line in lines]

    def copy(self, stage: Expr, first: Expr) -> None:
        """The tile that begins at depth `first`, into a stage: at the latest when it is waited for
        and all threads have met.
        """
        if self.copiers is None:
            return self._copy(stage, first)
        with when(self.copiers):
            return self._copy(stage, first)

    def _copy(self, stage: Expr, first: Expr) -> None:
        for d, depth in enumerate(self.cols if self.is_along_k else self.rows):
            k = first + depth
            inside, at = self.reader.inside(k, self.block_k), self.reader.depth(k)
            for i, line in enumerate(self.places):
                row, col = (i, d) if self.is_along_k else (d, i)
                place = self._place(self.rows[row], self.cols[col])
                self._move(self.tile[(stage, *place)], self.reader.load(line, at), inside)

    def _move(self, to: Expr, source: Expr, inside: Expr) -> None:
        assert isinstance(to, Load)
        if self.vector * self.operand.dtype.bytes >= LEAST_COPY:
            copy_async(to, source, self.vector, inside)
            return
        target = Tensor(to.buffer)
        if is_const(inside, True):
            target[to.indices] = source
            return
        with when(inside):
            target[to.indices] = source
        with otherwise():
            target[to.indices] = wrap(0, self.operand.dtype)

    # where elements lie

    def swizzle(self, row: Expr) -> Any:
        """What the places of chunks in a row are exchanged by."""
        return (swizzle_elements if self._is_read_by_elements else swizzle)(row, self.chunks)

    def _place(self, row: Expr, col: Expr) -> tuple[Expr, Expr]:
        chunk = (col // self.chunk) ^ self.swizzle(row)
        return row, chunk * self.chunk + col % self.chunk

    @property
    def _is_read_by_elements(self) -> bool:
        """Only matrices of 16-bit elements can be transposed on their way to registers."""
        return not self.is_along_k and self.operand.dtype.bytes == 4

    # fragments; `step` counts products in the tile's depth, each of two chunks

    def left(self, to: Tensor, stage: Expr, line: Expr, step: Expr, lane: Expr) -> None:
        """Fragments of 16 lines each, from `line` on (a multiple of 16), one in each row of `to`;
        of an operand along k.
        """
        for i in unroll(int(to.shape[0]), "i"):
            row = line + i * 2 * MATRIX + lane % (2 * MATRIX)
            chunk = (step * 2 + lane // (2 * MATRIX)) ^ self.swizzle(lane % (2 * MATRIX))
            load_matrix(to[i, 0], self.tile[stage, row, chunk * self.chunk], 4)
            self._round(to[i, 0], 4)

    def right(self, to: Tensor, stage: Expr, line: Expr, step: Expr, lane: Expr) -> None:
        """Fragments of 8 lines each, two in each row of `to`."""
        for j in unroll(int(to.shape[0]), "j"):
            first = line + j * 2 * MATRIX
            if self._is_read_by_elements:
                self._gather(to, (stage, first), (j, step), lane)
            elif self.is_along_k:
                row = lane // (2 * MATRIX) * MATRIX + lane % MATRIX
                chunk = (step * 2 + lane // MATRIX % 2) ^ self.swizzle(row)
                load_matrix(to[j, 0], self.tile[stage, first + row, chunk * self.chunk], 4)
            else:
                row = lane % (2 * MATRIX)
                chunk = (first // self.chunk + lane // (2 * MATRIX)) ^ self.swizzle(row)
                place = (stage, step * 2 * MATRIX + row, chunk * self.chunk)
                load_matrix(to[j, 0], self.tile[place], 4, transposed=True)
            self._round(to[j, 0], 4)

    def _gather(
        self, to: Tensor, at: tuple[Expr, Expr], row: tuple[Expr, Expr], lane: Expr
    ) -> None:
        """Two fragments of f32, element by element."""
        (stage, first), (j, step) = at, row
        for word in range(4):
            depth = step * MATRIX + word % 2 * 4 + lane % 4
            col = first + word // 2 * MATRIX + lane // 4
            to[j, word] = self.tile[(stage, *self._place(depth, col))]

    def _round(self, first: Expr, count: int) -> None:
        if self.operand.dtype == f32:
            round_tf32(first, count)


def words(dtype: DType) -> DType:
    """In which registers fragments of such elements are."""
    return f32 if dtype == f32 else u32
