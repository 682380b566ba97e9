"""Contractions on tensor cores: tiles come through a ring of stages in shared memory.

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)        of f16, bf16 or, as TF32, of f32

A block computes a tile of block_m x block_n, in steps of block_k. While the warps multiply one
stage, asynchronous copies fill the next ones (`ring.py`). A warp has a part of warp_m x warp_n of
the tile, in products of 16 x 8 with sums of f32 in registers. Matrix multiplication and convolution
(implicit GEMM) alike, any sizes: depths that do not exist are 0 when copied, lines that do not
exist are not stored. Split-k as in the template without tensor cores (`split_k.py`).
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import bf16, f16, f32, i8, i32, u8
from hidet_core.ir.expr import Expr, minimum, wrap
from hidet_core.lang import (
    barrier,
    build,
    ceildiv,
    copy_commit,
    copy_wait,
    let,
    mma,
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
from .contraction import Contraction, Operand, Packing, contraction, is_contraction
from .ring import LEAST_COPY, RingTile, copy_vector, words
from .split_k import SplitK, check_splits
from .tile_store import SHAPE_M, SHAPE_N, store_sums
from .waves import MEMORY_LATENCY, Block, Size, contraction_ns

# of products, by the operands' dtype; of 8-bit integers, the first operand's
KINDS = {f16: "f16", bf16: "bf16", f32: "tf32", u8: "u8", i8: "i8"}
SHAPE_BYTES = 32  # of a row of its depth
GROUP = 8  # rows of blocks that run at about the same time, so that they share b's tiles in L2
MOST_STAGES = 6
OTHER_REGISTERS = 44  # of a thread, for addresses and loops
PART_REGISTERS = 24  # for where parts of k lie
ISSUED = 4  # instructions of warps that a multiprocessor starts in a cycle
SHARED_BYTES = 128.0  # of shared memory that a multiprocessor reads or writes in a cycle
COPY_SLOTS = 4  # instructions for a copy
PLAIN_SLOTS = 14  # for an element that is loaded and stored one by one
PLAIN_LATENCY = 400.0  # cycles that such loads add to a step, because nothing else goes on
STEP_CYCLES = 80.0  # of a step: barrier, wait, addresses
CHAIN_CYCLES = 34.0  # from fragments' load to the first product


@dataclass(frozen=True)
class MmaConfig(Config):
    """block: the tile; warp: a warp's part of it; block_k: depth of a step, in elements; stages: of
    the ring; splits: parts of k.
    """

    block_m: int
    block_n: int
    block_k: int
    warp_m: int
    warp_n: int
    stages: int
    splits: int = 1

    @property
    def warps(self) -> tuple[int, int]:
        return self.block_m // self.warp_m, self.block_n // self.warp_n

    @property
    def threads(self) -> int:
        return self.warps[0] * self.warps[1] * 32

    @property
    def products(self) -> tuple[int, int]:
        """Of a warp, each way."""
        return self.warp_m // SHAPE_M, self.warp_n // SHAPE_N

    @property
    def sums(self) -> int:
        """Of a thread."""
        return self.products[0] * self.products[1] * 4

    @property
    def registers(self) -> int:
        """An estimate: sums, fragments of a step and of the next, where lines lie."""
        fragments = 2 * (4 * self.products[0] + 2 * self.products[1])
        parts = PART_REGISTERS if self.splits > 1 else 0
        return self.sums + fragments + parts + OTHER_REGISTERS

    def shared_bytes(self, element: int) -> int:
        return self.stages * self.block_k * (self.block_m + self.block_n) * element


class TensorCore(Template):
    """matmul and conv2d of 16-bit floats, and of f32 where TF32 is allowed."""

    ops = ("matmul", "conv2d")

    def accepts(self, problem: Problem) -> bool:
        dtype = problem.output.dtype
        allowed = dtype in (f16, bf16) or (dtype == f32 and problem.allow_tf32)
        return allowed and is_contraction(problem)

    def space(self, problem: Problem, target: Cuda) -> Iterator[MmaConfig]:
        element = problem.inputs[0].dtype.bytes
        tiles = itertools.product((16, 32, 64, 128, 256), (32, 64, 128, 256), (64, 128))
        for block_m, block_n, row_bytes in tiles:
            if block_m * block_n > 128 * 256:
                continue
            warp_m, warp_n = _warp(block_m, block_n)
            block_k = row_bytes // element
            stage = row_bytes * (block_m + block_n)
            for stages in ring_stages(stage, target):
                for splits in (1, 2, 4, 8, 16):
                    yield MmaConfig(block_m, block_n, block_k, warp_m, warp_n, stages, splits)

    def check(self, problem: Problem, config: MmaConfig, target: Cuda) -> None:
        dtype = problem.inputs[0].dtype
        kind, element = f"mma_{KINDS[dtype]}", dtype.bytes
        for feature in (kind, "cp_async", "ldmatrix"):
            require(feature in target.features, f"{target.name} has no {feature}")
        need, limit = config.registers, target.registers_per_thread
        require(need <= limit, f"about {need} registers > {limit}")
        need, limit = config.threads * config.registers, target.registers_per_multiprocessor
        require(need <= limit, f"about {need} registers of a block > {limit}")
        need, limit = config.shared_bytes(element), target.shared_bytes_per_block
        require(need <= limit, f"{need} bytes of shared memory > {limit} on {target.name}")
        view, _ = sized(problem)
        check_splits(view, config.splits, config.block_k)
        if isinstance(view.rows, int):
            fits = config.block_m < max(2 * view.rows, 2 * SHAPE_M)
            require(fits, f"a tile of {config.block_m} rows, the problem has {view.rows}")
        if isinstance(view.cols, int):
            fits = config.block_n < max(2 * view.cols, 64)
            require(fits, f"a tile of {config.block_n} columns, the problem has {view.cols}")

    def cost(self, problem: Problem, config: MmaConfig, target: Cuda) -> float:
        (view, size), element = sized(problem), problem.inputs[0].dtype.bytes
        (down, across), warps = config.products, config.threads // target.warp
        chunks = config.block_k * element // SHAPE_BYTES  # products in a step's depth
        rate = target.mma_per_cycle * 2 / element  # multiply-adds in a cycle
        multiplied = config.block_m * config.block_n * config.block_k / rate
        fetched = config.block_k * element * (config.block_m + config.block_n)
        read = warps * config.block_k * element * (config.warp_m + config.warp_n)
        slots = warps * chunks * (down * across + 2 * (down + across))
        latency = 0.0
        for operand, side in ((view.a, config.block_m), (view.b, config.block_n)):
            cost, late = copy_cost(operand, side)
            slots += cost * config.block_k / target.warp
            latency += late
        busy = (multiplied, (fetched + read) / SHARED_BYTES, slots / ISSUED)
        alone = chunks * (CHAIN_CYCLES + down * across * -(-warps // 4) * 8 * 256 * 4 / rate / 8)
        wait = max(MEMORY_LATENCY / (config.stages - 1), alone + STEP_CYCLES) + latency
        block = Block(
            config.threads, config.registers, config.shared_bytes(element), config.block_m,
            config.block_n, config.block_k, busy, wait, config.splits,
        )  # fmt: skip
        return contraction_ns(size, block, target)

    def build(self, problem: Problem, config: MmaConfig, target: Cuda) -> Scheduled:
        view = contraction(problem, Packing(config.block_n, config.block_k, "k"))
        down, across = ceildiv(view.rows, config.block_m), ceildiv(view.cols, config.block_n)
        tiles = product((view.groups, down, across))
        dtype = i32 if view.a.dtype.is_byte else f32
        split = SplitK.of(config.splits, tiles, config.threads, config.sums, dtype)
        workspace = split.workspace if config.splits > 1 else {}
        params = [*view.params, *workspace]
        with build(problem.name, params, scalars_of(*params)) as slot:
            for group, at, part in parallel(view.groups, wrap(down) * across, config.splits):
                m, n = raster(at, wrap(down), wrap(across))
                for thread in threads(config.threads):
                    block = self.sums_of(view, config, thread)
                    block.sum(group, (m * config.block_m, n * config.block_n), part)
                    if config.splits == 1:
                        block.store(group)
                        continue
                    tile = let("tile", group * (wrap(down) * across) + at)
                    with when(split.meet(tile, part, thread, block.sums)):
                        split.total(tile, thread, block.sums)
                        block.store(group)
        return Scheduled(slot.program, view.packed, str(config), workspace=workspace)

    def sums_of(self, view: Contraction, config: MmaConfig, thread: Expr) -> TileSums:
        return TileSums(view, config, thread)


@functools.lru_cache(maxsize=16)
def sized(problem: Problem) -> tuple[Contraction, Size]:
    """For all configs of a problem; b as it is once it is packed, if that can be."""
    view = contraction(problem, Packing(1, 64, "k"))
    return view, Size.of(view)


def copy_cost(operand: Operand, lines: int) -> tuple[float, float]:
    """(instructions of threads to copy one element of so many lines, cycles that they add to a
    step because they are not asynchronous).
    """
    vector = copy_vector(operand)
    if operand.is_flat and vector * operand.dtype.bytes >= LEAST_COPY:
        return lines / vector * COPY_SLOTS, 0.0
    return lines / vector * PLAIN_SLOTS, PLAIN_LATENCY


def _warp(block_m: int, block_n: int) -> tuple[int, int]:
    """A warp's part of a tile: of 8 warps for large tiles, 4, or fewer for small ones, that which
    reads least of shared memory.
    """
    size = block_m * block_n
    warps = 8 if size >= 128 * 128 else 4 if size >= 32 * 64 else 2
    parts = [
        (block_m // down, block_n // (warps // down)) for down in (1, 2, 4, 8) if warps % down == 0
    ]
    whole = [(m, n) for m, n in parts if m >= SHAPE_M and n >= 2 * SHAPE_N]
    return min(whole, key=lambda part: (part[0] + part[1], part))


def ring_stages(stage_bytes: int, target: Cuda) -> list[int]:
    """As many stages as fit where one block, or two, are on a multiprocessor."""
    found = []
    for blocks in (1, 2):
        whole = target.shared_bytes_per_multiprocessor // blocks - target.shared_bytes_reserved
        room = min(whole, target.shared_bytes_per_block)
        found.append(min(room // stage_bytes, MOST_STAGES))
    return sorted({stages for stages in found if stages >= 2}, reverse=True)


def raster(at: Expr, down: Expr, across: Expr) -> tuple[Expr, Expr]:
    """The tile that is number `at` in the order in which blocks start: by columns in groups of
    rows.
    """
    whole = across * GROUP
    first = let("first", at // whole * GROUP)
    rows = let("rows", minimum(down - first, GROUP))
    inside = let("inside", at % whole)
    return let("down", first + inside % rows), let("across", inside // rows)


class TileSums:
    """What one thread of a block does."""

    def __init__(self, view: Contraction, config: MmaConfig, thread: Expr) -> None:
        self.view, self.config = view, config
        self.down, self.across = config.products
        size_a, size_b = (config.block_m, config.block_k), (config.block_n, config.block_k)
        self.a = RingTile(view.a, size_a, config.stages, config.threads, thread)
        self.b = RingTile(view.b, size_b, config.stages, config.threads, thread)
        dtype = i32 if view.a.dtype.is_byte else f32
        self.sums = register(dtype, [self.down, self.across * 4], "sums")
        self.lane = let("lane", thread % 32)
        ((warp_m, warp_n),) = spatial(*config.warps).tasks(let("warp", thread // 32))
        self.line_m, self.line_n = warp_m * config.warp_m, warp_n * config.warp_n

    def sum(self, group: Expr, first: tuple[Expr, Expr], part: Expr) -> None:
        """The sums over a part of k of the tile whose first element is at (row, column)."""
        config = self.config
        self.first = first
        self.a.begin(group, first[0])
        self.b.begin(group, first[1])
        for i in unroll(self.down, "i"):
            for j in unroll(self.across * 4, "j"):
                self.sums[i, j] = wrap(0, self.sums.dtype)
        steps = wrap(ceildiv(wrap(self.view.depth), config.block_k))
        if config.splits == 1:
            return self._accumulate(wrap(0), steps)
        each = ceildiv(steps, config.splits)
        begin = let("begin", part * each)
        return self._accumulate(begin * config.block_k, let("steps", minimum(steps - begin, each)))

    def _accumulate(self, begin: Expr, steps: Expr) -> None:
        """The steps from depth `begin` on. Copies are stages - 1 steps ahead, a group each step, be
        it empty: so many may be on their way when a stage is waited for.

        Weights come first, for they are there before the kernels before this one are done.
        """
        stages, rings = self.config.stages, (self.a, self.b)
        early = rings
        if self.view.packed:
            early = (self.a,)
            for step in range_(stages - 1, "early"):
                self._copy((self.b,), step, begin, steps)
        for step in range_(stages - 1, "early"):
            self._copy(early, step, begin, steps)
            copy_commit()
        for step in range_(steps, "step"):
            self._arrived(stages - 2)
            barrier()  # all have what they waited for, and nobody reads the stage before any more
            self._copy(rings, step + (stages - 1), begin, steps)
            copy_commit()
            self._multiply(let("stage", step % stages))

    def _arrived(self, pending: int) -> None:
        copy_wait(pending)

    def _copy(self, rings: tuple[RingTile, ...], step: Expr, begin: Expr, steps: Expr) -> None:
        with when(step < steps):
            stage = let("stage", step % self.config.stages)
            first = let("k", begin + step * self.config.block_k)
            for ring in rings:
                ring.copy(stage, first)

    def _multiply(self, stage: Expr) -> None:
        """sums += a's tile * b's tile, from a stage."""
        dtype = self.view.a.dtype
        left = register(words(dtype), [self.down, 4], "left")
        right = register(words(dtype), [self.across // 2, 4], "right")
        for k in unroll(self.config.block_k * dtype.bytes // SHAPE_BYTES, "k"):
            self.a.left(left, stage, self.line_m, k, self.lane)
            self.b.right(right, stage, self.line_n, k, self.lane)
            for i in unroll(self.down, "i"):
                for j in unroll(self.across // 2, "j"):
                    for side in range(2):
                        mma(KINDS[dtype], self.sums[i, j * 8 + side * 4], left[i, 0],
                            right[j, side * 2])  # fmt: skip

    def store(self, group: Expr) -> None:
        """The sums into the output."""
        row, col = self.first
        first = row + self.line_m, col + self.line_n
        store_sums(self.view, group, first, self.sums, self.lane)
