"""Matrix multiplication on GPUs without tensor cores: register tiles fed from shared memory.

    out[g, m, n] = sum over k of a[g, m, k] * b[g, k, n]                      all of f32
A block computes a tile of block_m x block_n. Tiles of a and b go through registers into one of two
buffers in shared memory while the other is multiplied (Hidet, ASPLOS'23, section 3.1: double
buffering). The 32 threads of a warp stand 4 x 8; each has pieces of 4 x 4 sums, so that it reads
vectors of four. Any sizes: what lies outside is 0 when read, and not stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product, simplify
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Expr, is_const, load, select, wrap
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    lanes,
    let,
    parallel,
    range_,
    register,
    repeat,
    shared,
    spatial,
    threads,
    unroll,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import TYPICAL_DIM, estimate, scalars_of, unravel
from .traffic import LAUNCH_NS

PIECE = 4  # sums of a piece, each way: the floats of a vector
WARP_M, WARP_N = 4, 8  # threads of a warp
PAD = 4  # floats after each row of a's tile, which is stored by columns
SYMBOLIC_ROWS = 256  # what a symbolic number of rows is taken for
STEP_CYCLES = 150.0  # of a block that runs alone, for the barrier and the loads of a step
L2_FACTOR = 2.5  # of the bandwidth of memory
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


class Matmul(Template):
    """matmul of f32 with any batch dims."""

    ops = ("matmul",)

    def accepts(self, problem: Problem) -> bool:
        return problem.output.dtype == f32

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
        for what, side in (("a", config.block_m), ("b", config.block_n)):
            elements = side * config.block_k
            fits = elements % config.threads == 0 and config.threads % config.block_k == 0
            require(fits, f"{config.threads} threads do not share {elements} elements of {what}")
        covers = config.threads % config.block_n == 0 or config.block_n % config.threads == 0
        require(covers, f"{config.threads} threads do not fill rows of {config.block_n}")
        rows = problem.output.shape[-2]
        if isinstance(rows, int):
            fits = config.block_m < max(2 * rows, 2 * WARP_M * PIECE)
            require(fits, f"a tile of {config.block_m} rows, the problem has {rows}")

    def cost(self, problem: Problem, config: TileConfig, target: Cuda) -> float:
        groups, rows, cols, depth = _sizes(problem)
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
        step = config.block_k * max(multiplied, reads)
        alone = -(-per_multiprocessor // resident) * steps * (STEP_CYCLES + step)
        cycles = max(per_multiprocessor * steps * step, alone)
        moved = blocks * steps * config.block_k * 4 * (config.block_m + config.block_n)
        moving = moved / (target.bytes_per_ns * L2_FACTOR)
        return LAUNCH_NS + max(cycles / target.clock_ghz, moving)

    def build(self, problem: Problem, config: TileConfig, target: Cuda) -> Scheduled:
        a, b, out = problem.inputs[0], problem.inputs[1], problem.output
        batch, (rows, cols) = out.shape[:-2], out.shape[-2:]
        params = [*dict.fromkeys((a, b)), out]
        with build(problem.name, params, scalars_of(a, b, out)) as slot:
            grid = (ceildiv(rows, config.block_m), ceildiv(cols, config.block_n))
            for group, down, across in parallel(product(batch), *grid):
                for thread in threads(config.threads):
                    block = _Block(problem, config, thread, unravel(group, batch))
                    block.write(down * config.block_m, across * config.block_n)
        return Scheduled(slot.program, {}, str(config))


def _sizes(problem: Problem) -> tuple[int, int, int, int]:
    """(groups, rows, columns, depth) for estimates."""
    out, depth = problem.output, problem.inputs[0].shape[-1]
    rows = out.shape[-2] if isinstance(out.shape[-2], int) else SYMBOLIC_ROWS
    cols = out.shape[-1] if isinstance(out.shape[-1], int) else TYPICAL_DIM
    depth = depth if isinstance(depth, int) else TYPICAL_DIM
    return estimate(tuple(out.shape[:-2])), rows, cols, depth


def _batch_of(buffer: Buffer, batch: Sequence[Expr]) -> list[Expr]:
    """Indices of a buffer's batch dims at a batch index of the output (1 is broadcast)."""
    dims = buffer.shape[:-2]
    offset = len(batch) - len(dims)
    return [wrap(0) if is_const(wrap(dim), 1) else batch[k + offset] for k, dim in enumerate(dims)]


class _Block:
    """What one thread of a block does."""

    def __init__(
        self, problem: Problem, config: TileConfig, thread: Expr, batch: Sequence[Expr]
    ) -> None:
        self.a, self.b, self.out = problem.inputs[0], problem.inputs[1], problem.output
        self.config, self.thread, self.batch = config, thread, batch
        self.depth = wrap(self.a.shape[-1])
        block_m, block_n, block_k = config.block_m, config.block_n, config.block_k
        self.tile_a = shared(f32, [2, block_k, block_m + PAD], "tile_a")
        self.tile_b = shared(f32, [2, block_k, block_n], "tile_b")
        self.rows, self.cols = config.pieces_m * PIECE, config.pieces_n * PIECE
        self.sums = register(f32, [self.rows, self.cols], "sums")
        # who loads what of the tiles: threads side by side elements side by side
        self.down_a = config.threads // block_k
        self.across_b = min(config.threads, block_n)
        self.down_b = config.threads // self.across_b
        self.copy_a = repeat(block_m // self.down_a, 1) * spatial(self.down_a, block_k)
        self.copy_b = repeat(block_k // self.down_b, block_n // self.across_b) * spatial(
            self.down_b, self.across_b
        )
        self.next_a = register(f32, self.copy_a.step_shape[:1], "next_a")
        self.next_b = register(f32, self.copy_b.step_shape[:2], "next_b")

    def write(self, row: Expr, col: Expr) -> None:
        """The tile of the output whose first element is at (row, col)."""
        for i in unroll(self.rows, "i"):
            for j in unroll(self.cols, "j"):
                self.sums[i, j] = 0.0
        steps = ceildiv(self.depth, self.config.block_k)
        self._load(row, col, wrap(0))
        self._keep(wrap(0))
        barrier()
        for step in range_(steps, "step"):
            now = let("now", step % 2)
            self._load(row, col, (step + 1) * self.config.block_k)
            self._multiply(now)
            self._keep(1 - now)
            barrier()
        self._store(row, col)

    def _load(self, row: Expr, col: Expr, first: Expr) -> None:
        """The tiles of the step that begins at depth `first`, into registers."""
        rows, cols = wrap(self.out.shape[-2]), wrap(self.out.shape[-1])
        for i, k in self.copy_a.on(self.thread):
            at = (*_batch_of(self.a, self.batch), row + i, first + k)
            inside = (row + i < rows) & (first + k < self.depth)
            self.next_a[i // self.down_a] = select(inside, load(self.a, *at), 0.0)
        for k, j in self.copy_b.on(self.thread):
            at = (*_batch_of(self.b, self.batch), first + k, col + j)
            inside = (first + k < self.depth) & (col + j < cols)
            step = (k // self.down_b, j // self.across_b)
            self.next_b[step] = select(inside, load(self.b, *at), 0.0)

    def _keep(self, buffer: Expr) -> None:
        """The tiles from registers into a buffer; a's by columns."""
        for i, k in self.copy_a.on(self.thread):
            self.tile_a[buffer, k, i] = self.next_a[i // self.down_a]
        for k, j in self.copy_b.on(self.thread):
            self.tile_b[buffer, k, j] = self.next_b[k // self.down_b, j // self.across_b]

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
            for x, first in enumerate(down):
                for (lane,) in lanes(spatial(PIECE)):
                    part_a[x * PIECE + lane] = self.tile_a[buffer, k, first + lane]
            for y, first in enumerate(across):
                for (lane,) in lanes(spatial(PIECE)):
                    part_b[y * PIECE + lane] = self.tile_b[buffer, k, first + lane]
            for i in unroll(self.rows, "i"):
                for j in unroll(self.cols, "j"):
                    self.sums[i, j] += part_a[i] * part_b[j]

    def _store(self, row: Expr, col: Expr) -> None:
        down, across = self._pieces()
        for x, first in enumerate(down):
            for y, start in enumerate(across):
                for i in unroll(PIECE, "i"):
                    self._store_line((row + first + i, col + start), (x * PIECE + i, y * PIECE))

    def _store_line(self, at: tuple[Expr, Expr], sums: tuple[Expr, int]) -> None:
        """Four sums side by side; a vector where the last axis is made of such."""
        rows, cols = self.out.shape[-2:]
        (row, col), (i, j) = at, sums
        if simplify(cols % PIECE) == 0:
            with when((row < wrap(rows)) & (col < wrap(cols))):
                for (lane,) in lanes(spatial(PIECE)):
                    Tensor(self.out)[(*self.batch, row, col + lane)] = self.sums[i, j + lane]
            return
        for step in unroll(PIECE, "j"):
            with when((row < wrap(rows)) & (col + step < wrap(cols))):
                Tensor(self.out)[(*self.batch, row, col + step)] = self.sums[i, j + step]
