"""Tiles of a contraction's operands on their way from global memory through registers to shared.

A tile has `lines` x block_k elements; in shared memory it lies by depth, [block_k][lines], as f32.
Threads side by side take vectors that lie side by side in memory.
"""

from __future__ import annotations

from collections.abc import Iterator

from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Const, Expr, cast, is_const, wrap
from hidet_core.lang import lanes, otherwise, register, repeat, shared, spatial, when

from .contraction import Operand


def vector_of(operand: Operand, lines: int, block_k: int, threads: int) -> int:
    """The widest vectors, of which each thread gets as many as the others; 0 where there are too
    few elements for the threads. All are powers of two.
    """
    vector = min(operand.vector, block_k if operand.along == "k" else lines)
    while vector and lines * block_k // vector < threads:
        vector //= 2
    return vector


def elements(vector: int) -> Iterator[Expr]:
    """The elements of a vector, in lanes if it has several."""
    if vector == 1:
        yield wrap(0)
        return
    for (lane,) in lanes(spatial(vector)):
        yield lane


class TileCopy:
    """What one thread moves of an operand's tiles. first: the tile's first line; pad: elements
    after each row in shared memory, which has two tiles.
    """

    def __init__(
        self, operand: Operand, size: tuple[int, int], threads: int, thread: Expr, pad: int
    ) -> None:
        lines, self.block_k = size
        self.is_along_k = operand.along == "k"
        self.vector = vector_of(operand, lines, self.block_k, threads)
        self.reader = operand.reader(self.vector)
        if self.is_along_k:
            across = self.block_k // self.vector
            down = threads // across
            mapping = repeat(lines // down, 1) * spatial(down, across)
        else:
            across = min(threads, lines // self.vector)
            down = threads // across
            mapping = repeat(self.block_k // down, lines // self.vector // across) * spatial(
                down, across
            )
        outer, inner = mapping.step_shape[:2]
        rows = [mapping.task(thread, (i, 0))[0] for i in range(outer)]
        cols = [mapping.task(thread, (0, j))[1] * self.vector for j in range(inner)]
        self.lines, self.depths = (rows, cols) if self.is_along_k else (cols, rows)
        self.tile = shared(f32, [2, self.block_k, lines + pad], f"tile_{operand.buffer.name}")
        shape = [len(self.lines), len(self.depths), self.vector]
        self.next = register(operand.dtype, shape, f"next_{operand.buffer.name}")

    def begin(self, group: Expr, first: Expr) -> None:
        """Compute where the tile's lines lie, whose first is given."""
        self.places = [self.reader.line(group, first + line) for line in self.lines]

    def load(self, first: Expr) -> None:
        """The vectors of the step that begins at depth `first`, into registers."""
        for d, depth in enumerate(self.depths):
            k = first + depth
            inside, at = self.reader.inside(k, self.block_k), self.reader.depth(k)
            if is_const(inside, True):
                self._read(d, at)
                continue
            with when(inside):
                self._read(d, at)
            with otherwise():
                for i in range(len(self.lines)):
                    for lane in range(self.vector):
                        self.next[i, d, lane] = Const(0.0, self.next.dtype)

    def _read(self, d: int, depth: tuple[Expr, ...]) -> None:
        for i, line in enumerate(self.places):
            for lane in elements(self.vector):
                self.next[i, d, lane] = self.reader.load(line, depth, lane)

    def keep(self, buffer: Expr) -> None:
        """From registers into one of the two tiles."""
        for i, line in enumerate(self.lines):
            for d, depth in enumerate(self.depths):
                if self.is_along_k:
                    for step in range(self.vector):
                        self.tile[buffer, depth + step, line] = cast(self.next[i, d, step], f32)
                    continue
                for lane in elements(self.vector):
                    self.tile[buffer, depth, line + lane] = cast(self.next[i, d, lane], f32)
