"""Contractions on GPUs without tensor cores: register tiles fed from shared memory.

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)      of f32, f16 or bf16, summed in f32
A block computes a tile of block_m x block_n. Tiles of a and b go through registers into one of two
buffers in shared memory while the other is multiplied (Hidet, ASPLOS'23, section 3.1: double
buffering). The 32 threads of a warp stand 4 x 8; each has pieces of 4 x 4 sums, so that it reads
vectors of four. Matrix multiplication and convolution (implicit GEMM) alike, any sizes: depths that
do not exist are 0 when read, lines that do not exist are not stored.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, cast, wrap
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
from .tile_copy import TileCopy, elements, vector_of
from .traffic import LAUNCH_NS

PIECE = 4  # sums of a piece, each way: the floats of a vector
WARP_M, WARP_N = 4, 8  # threads of a warp
PAD = 4  # floats after each row of a's tile, which is stored by columns
STEP_CYCLES = 150.0  # of a block that runs alone, for the barrier and the loads of a step
ISSUED = 128  # instructions of threads that a multiprocessor starts in a cycle
L2_FACTOR = 2.5  # of the bandwidth of memory
COPY_SLOTS = 6  # instructions of a thread for an element on its way into shared memory
OTHER_REGISTERS = 40  # of a thread, for addresses and loops


@dataclass(frozen=True)
class TileConfig(Config):
    """warps: of a block, each way; pieces: of a thread, each way; block_k: depth of a step."""

    warps_m: int
    warps_n: int
    pieces_m: int
    pieces_n: int
    block_k: int

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
    def shared_bytes(self) -> int:
        return 2 * 4 * self.block_k * (self.block_m + PAD + self.block_n)

    @property
    def registers(self) -> int:
        """An estimate: sums, one step of operands, the tiles on their way."""
        sums = self.pieces_m * self.pieces_n * PIECE * PIECE
        on_the_way = self.block_k * (self.block_m + self.block_n) // self.threads
        return sums + PIECE * (self.pieces_m + self.pieces_n) + on_the_way + OTHER_REGISTERS


class Simt(Template):
    """matmul and conv2d of floats."""

    ops = ("matmul", "conv2d")

    def accepts(self, problem: Problem) -> bool:
        return is_contraction(problem)

    def space(self, problem: Problem, target: Cuda) -> Iterator[TileConfig]:
        warps = ((1, 1), (2, 1), (1, 2), (4, 1), (2, 2), (4, 2), (2, 4), (1, 4))
        for warps_m, warps_n in warps:
            for pieces_m, pieces_n in ((1, 1), (2, 1), (1, 2), (2, 2)):
                for block_k in (8, 16, 32):
                    yield TileConfig(warps_m, warps_n, pieces_m, pieces_n, block_k)

    def check(self, problem: Problem, config: TileConfig, target: Cuda) -> None:
        need, limit = config.registers, target.registers_per_thread
        require(need <= limit, f"about {need} registers > {limit}")
        need, limit = config.shared_bytes, target.shared_bytes_per_block
        require(need <= limit, f"{need} bytes of shared memory > {limit} on {target.name}")
        view = contraction(problem)
        for operand, side in ((view.a, config.block_m), (view.b, config.block_n)):
            fits = vector_of(operand, side, config.block_k, config.threads) > 0
            require(fits, f"{config.threads} threads for a tile of {side} x {config.block_k}")
        if isinstance(view.rows, int):
            fits = config.block_m < max(2 * view.rows, 2 * WARP_M * PIECE)
            require(fits, f"a tile of {config.block_m} rows, the problem has {view.rows}")

    def cost(self, problem: Problem, config: TileConfig, target: Cuda) -> float:
        groups, rows, cols, depth = contraction(problem).sizes()
        blocks = groups * -(-rows // config.block_m) * -(-cols // config.block_n)
        steps = -(-depth // config.block_k)
        resident = max(
            target.resident_blocks(config.threads, config.registers, config.shared_bytes), 1
        )
        per_multiprocessor = -(-blocks // target.multiprocessors)
        sums = config.pieces_m * config.pieces_n * PIECE * PIECE
        # a multiprocessor reads 32 floats of shared memory a cycle
        reads = PIECE * (config.pieces_m + config.pieces_n) * config.threads / 32
        multiplied = config.threads * sums / target.fma_per_cycle
        copied = (config.block_m + config.block_n) * COPY_SLOTS / ISSUED
        step = config.block_k * (max(multiplied, reads) + copied)
        alone = -(-per_multiprocessor // resident) * steps * (STEP_CYCLES + step)
        cycles = max(per_multiprocessor * steps * step, alone)
        moved = blocks * steps * config.block_k * 4 * (config.block_m + config.block_n)
        moving = moved / (target.bytes_per_ns * L2_FACTOR)
        return LAUNCH_NS + max(cycles / target.clock_ghz, moving)

    def build(self, problem: Problem, config: TileConfig, target: Cuda) -> Scheduled:
        view = contraction(problem, Packing(config.block_n, config.block_k))
        params = view.params
        with build(problem.name, params, scalars_of(*params)) as slot:
            grid = (ceildiv(view.rows, config.block_m), ceildiv(view.cols, config.block_n))
            for group, down, across in parallel(view.groups, *grid):
                for thread in threads(config.threads):
                    block = _Block(view, config, thread)
                    block.write(group, down * config.block_m, across * config.block_n)
        return Scheduled(slot.program, view.packed, str(config))


class _Block:
    """What one thread of a block does."""

    def __init__(self, view: Contraction, config: TileConfig, thread: Expr) -> None:
        self.view, self.config, self.thread = view, config, thread
        self.rows, self.cols = config.pieces_m * PIECE, config.pieces_n * PIECE
        size_a, size_b = (config.block_m, config.block_k), (config.block_n, config.block_k)
        self.a = TileCopy(view.a, size_a, config.threads, thread, PAD)
        self.b = TileCopy(view.b, size_b, config.threads, thread, 0)
        self.sums = register(f32, [self.rows, self.cols], "sums")

    def write(self, group: Expr, row: Expr, col: Expr) -> None:
        """The tile of the output whose first element is at (row, col)."""
        self.a.begin(group, row)
        self.b.begin(group, col)
        for i in unroll(self.rows, "i"):
            for j in unroll(self.cols, "j"):
                self.sums[i, j] = 0.0
        self._accumulate(wrap(0), ceildiv(wrap(self.view.depth), self.config.block_k))
        self._store(group, row, col)

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
        for k in unroll(self.config.block_k, "k"):
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

    def _store(self, group: Expr, row: Expr, col: Expr) -> None:
        down, across = self._pieces()
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
                    out.store(place, n + lane, cast(self.sums[i, first + lane], dtype))
