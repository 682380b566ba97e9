"""Contractions on GPUs without tensor cores: register tiles fed from shared memory.

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)      of f32, f16 or bf16, summed in f32
A block computes a tile of block_m x block_n. Tiles of a and b go through registers into one of two
buffers in shared memory while the other is multiplied (Hidet, ASPLOS'23, section 3.1: double
buffering). The 32 threads of a warp stand 4 x 8; each has pieces of 4 x 4 sums, so that it reads
vectors of four. Matrix multiplication and convolution (implicit GEMM) alike, any sizes: depths that
do not exist are 0 when read, lines that do not exist are not stored.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, minimum, wrap
from hidet_core.ir.widen import narrowed
from hidet_core.lang import (
    barrier,
    build,
    ceildiv,
    let,
    parallel,
    range_,
    register,
    spatial,
    threads,
    unroll,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import scalars_of
from .contraction import Contraction, Packing, contraction, is_contraction
from .split_k import SplitK, check_splits
from .tile_copy import TileCopy, elements, vector_of
from .waves import MEMORY_LATENCY, Block, Size, contraction_ns

PIECE = 4  # sums of a piece, each way: the floats of a vector
WARP_M, WARP_N = 4, 8  # threads of a warp
PAD = 4  # floats after each row of a's tile, which is stored by columns
STEP_CYCLES = 12.0  # of a warp that runs alone, for a depth: reads, then what depends on them
ISSUED = 4  # instructions of warps that a multiprocessor starts in a cycle
READ_CYCLES = 2.0  # of shared memory, for a warp's vectors of four, some of which are the same
COPY_SLOTS = 4  # instructions of a thread for a vector on its way, beside its stores
UNROLL = 8  # depths of a step
COMPUTED_SLOTS = 8  # instructions for an element that a prologue computes, about
OTHER_REGISTERS = 40  # of a thread, for addresses and loops


@dataclass(frozen=True)
class TileConfig(Config):
    """warps: of a block, each way; pieces: of a thread, each way; block_k: depth of a step;
    splits: parts of k.
    """

    warps_m: int
    warps_n: int
    pieces_m: int
    pieces_n: int
    block_k: int
    splits: int = 1

    @property
    def threads(self) -> int:
        return self.warps_m * self.warps_n * WARP_M * WARP_N

    @property
    def block_m(self) -> int:
        return self.warps_m * self.pieces_m * WARP_M * PIECE

    @property
    def block_n(self) -> int:
        return self.warps_n * self.pieces_n * WARP_N * PIECE

    @property
    def sums(self) -> int:
        """Of a thread."""
        return self.pieces_m * self.pieces_n * PIECE * PIECE

    @property
    def shared_bytes(self) -> int:
        return 2 * 4 * self.block_k * (self.block_m + PAD + self.block_n)

    @property
    def registers(self) -> int:
        """An estimate: sums, one step of operands, the tiles on their way."""
        on_the_way = self.block_k * (self.block_m + self.block_n) // self.threads
        return self.sums + PIECE * (self.pieces_m + self.pieces_n) + on_the_way + OTHER_REGISTERS


class Simt(Template):
    """matmul and conv2d of floats."""

    ops = ("matmul", "conv2d")

    def accepts(self, problem: Problem) -> bool:
        return is_contraction(problem)

    def space(self, problem: Problem, target: Cuda) -> Iterator[TileConfig]:
        warps = ((1, 1), (2, 1), (1, 2), (2, 2), (4, 2), (2, 4))
        pieces = ((1, 1), (2, 1), (1, 2), (2, 2))
        for (warps_m, warps_n), (pieces_m, pieces_n) in itertools.product(warps, pieces):
            for block_k, splits in itertools.product((8, 16, 32), (1, 2, 4, 8, 16)):
                yield TileConfig(warps_m, warps_n, pieces_m, pieces_n, block_k, splits)

    def check(self, problem: Problem, config: TileConfig, target: Cuda) -> None:
        need, limit = config.registers, target.registers_per_thread
        require(need <= limit, f"about {need} registers > {limit}")
        need, limit = config.shared_bytes, target.shared_bytes_per_block
        require(need <= limit, f"{need} bytes of shared memory > {limit} on {target.name}")
        view, _ = _sized(problem)
        check_splits(view, config.splits, config.block_k)
        for operand, side in ((view.a, config.block_m), (view.b, config.block_n)):
            fits = vector_of(operand, side, config.block_k, config.threads) > 0
            require(fits, f"{config.threads} threads for a tile of {side} x {config.block_k}")
        if isinstance(view.rows, int):
            fits = config.block_m < max(2 * view.rows, 2 * WARP_M * PIECE)
            require(fits, f"a tile of {config.block_m} rows, the problem has {view.rows}")

    def cost(self, problem: Problem, config: TileConfig, target: Cuda) -> float:
        view, size = _sized(problem)
        warps, sums = config.threads // target.warp, config.pieces_m * config.pieces_n * PIECE**2
        pieces = config.pieces_m + config.pieces_n
        # a step of k, in instructions of warps: multiply, read pieces, copy tiles
        multiplied, read = config.block_k * warps * sums, config.block_k * warps * pieces
        copied, stored = 0.0, 0.0
        for operand, side in ((view.a, config.block_m), (view.b, config.block_n)):
            vector = vector_of(operand, side, config.block_k, config.threads)
            vectors = side * config.block_k / vector / target.warp
            stores = vectors * (vector if operand.along == "k" else 1)
            computed = COMPUTED_SLOTS if not operand.is_flat else 0
            copied += vectors * (COPY_SLOTS + vector * computed) + stores
            stored += stores
        busy = (
            multiplied * target.warp / target.fma_per_cycle,
            (multiplied + read + copied) / ISSUED,
            read * READ_CYCLES + stored,
        )
        block = Block(
            config.threads, config.registers, config.shared_bytes, config.block_m, config.block_n,
            config.block_k, busy, MEMORY_LATENCY + config.block_k * STEP_CYCLES, config.splits,
        )  # fmt: skip
        return contraction_ns(size, block, target)

    def build(self, problem: Problem, config: TileConfig, target: Cuda) -> Scheduled:
        view = contraction(problem, Packing(config.block_n, config.block_k))
        down, across = ceildiv(view.rows, config.block_m), ceildiv(view.cols, config.block_n)
        tiles = product((view.groups, down, across))
        split = SplitK.of(config.splits, tiles, config.threads, config.sums)
        workspace = split.workspace if config.splits > 1 else {}
        params = [*view.params, *workspace]
        with build(problem.name, params, scalars_of(*params)) as slot:
            for group, m, n, part in parallel(view.groups, down, across, config.splits):
                tile = (group * down + m) * across + n
                for thread in threads(config.threads):
                    block = _Block(view, config, thread)
                    block.sum(group, (m * config.block_m, n * config.block_n), part)
                    if config.splits == 1:
                        block.store(group)
                        continue
                    with when(split.meet(tile, part, thread, block.sums)):
                        split.total(tile, thread, block.sums)
                        block.store(group)
        return Scheduled(slot.program, view.packed, str(config), workspace=workspace)


@functools.lru_cache(maxsize=16)
def _sized(problem: Problem) -> tuple[Contraction, Size]:
    """For all configs of a problem."""
    view = contraction(problem)
    return view, Size.of(view)


class _Block:
    """What one thread of a block does."""

    def __init__(self, view: Contraction, config: TileConfig, thread: Expr) -> None:
        self.view, self.config, self.thread = view, config, thread
        self.rows, self.cols = config.pieces_m * PIECE, config.pieces_n * PIECE
        size_a, size_b = (config.block_m, config.block_k), (config.block_n, config.block_k)
        self.a = TileCopy(view.a, size_a, config.threads, thread, PAD)
        self.b = TileCopy(view.b, size_b, config.threads, thread, 0)
        self.sums = register(f32, [self.rows, self.cols], "sums")

    def sum(self, group: Expr, first: tuple[Expr, Expr], part: Expr) -> None:
        """The sums over a part of k of the tile whose first element is at (row, column)."""
        config = self.config
        self.first = first
        self.a.begin(group, first[0])
        self.b.begin(group, first[1])
        for i in unroll(self.rows, "i"):
            for j in unroll(self.cols, "j"):
                self.sums[i, j] = 0.0
        steps = wrap(ceildiv(wrap(self.view.depth), config.block_k))
        if config.splits == 1:
            return self._accumulate(wrap(0), steps)
        each = ceildiv(steps, config.splits)
        begin = let("begin", part * each)
        return self._accumulate(begin * config.block_k, minimum(steps - begin, each))

    def _accumulate(self, first: Expr, steps: Expr) -> None:
        """The steps from depth `first` on: while a tile is on its way, that before is multiplied.
        (One loop, with a turn more than there are steps: each copy is written once.)
        """
        for step in range_(steps + 1, "step"):
            now = let("now", step % 2)
            with when(step < steps):
                for tile in (self.a, self.b):
                    tile.load(first + step * self.config.block_k)
            with when(step > 0):
                self._multiply(1 - now)
            with when(step < steps):
                for tile in (self.a, self.b):
                    tile.keep(now)
            barrier()

    def _pieces(self) -> tuple[list[Expr], list[Expr]]:
        """The first row of each of the thread's pieces, and their first columns, in the tile."""
        config = self.config
        warp, lane = self.thread // (WARP_M * WARP_N), self.thread % (WARP_M * WARP_N)
        ((warp_m, warp_n),) = spatial(config.warps_m, config.warps_n).tasks(warp)
        ((lane_m, lane_n),) = spatial(WARP_M, WARP_N).tasks(lane)
        down = [(warp_m * config.pieces_m + x) * WARP_M + lane_m for x in range(config.pieces_m)]
        across = [(warp_n * config.pieces_n + y) * WARP_N + lane_n for y in range(config.pieces_n)]
        return [x * PIECE for x in down], [y * PIECE for y in across]

    def _multiply(self, buffer: Expr) -> None:
        """sums += a's tile * b's tile, from a buffer."""
        down, across = self._pieces()
        part_a = register(f32, [self.rows], "part_a")
        part_b = register(f32, [self.cols], "part_b")
        for k in self._depths():
            for part, tile, pieces in (
                (part_a, self.a.tile, down),
                (part_b, self.b.tile, across),
            ):
                for x, first in enumerate(pieces):
                    for lane in elements(PIECE):
                        part[x * PIECE + lane] = tile[buffer, k, first + lane]
            for i in unroll(self.rows, "i"):
                for j in unroll(self.cols, "j"):
                    self.sums[i, j] += part_a[i] * part_b[j]

    def _depths(self) -> Iterator[Expr]:
        """Those of a step: a loop over unrolled pieces, so that the code stays in its cache."""
        for outer in range_(self.config.block_k // UNROLL, "k"):
            for inner in unroll(UNROLL, "u"):
                yield outer * UNROLL + inner

    def store(self, group: Expr) -> None:
        """The sums into the output."""
        (row, col), (down, across) = self.first, self._pieces()
        for x, first in enumerate(down):
            for i in unroll(PIECE, "i"):
                m = let("m", row + first + i)
                with when(m < wrap(self.view.rows)):
                    place = self.view.out.row(group, m)
                    for y, start in enumerate(across):
                        self._store_line(place, col + start, (x * PIECE + i, y * PIECE))

    def _store_line(self, place: tuple[Expr, ...], col: Expr, sums: tuple[Expr, int]) -> None:
        """Four sums side by side; vectors where the last axis is made of such."""
        out, (i, j) = self.view.out, sums
        vector, dtype = min(out.vector, PIECE), out.buffer.dtype
        for step in unroll(PIECE // vector, "j"):
            n, first = col + step * vector, j + step * vector
            with when(n < wrap(self.view.cols)):
                for lane in elements(vector):
                    out.store(place, n + lane, narrowed(self.sums[i, first + lane], dtype))
