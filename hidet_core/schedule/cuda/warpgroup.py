"""Contractions on the tensor cores of Hopper: products of whole warpgroups, out of shared memory.

What `tensor_core.py` does, with `wgmma` in place of `mma`: 128 threads multiply 64 rows by all
columns of the tile, and read both operands where the ring of stages has them, which is swizzled as
`wgmma` wants it. No fragments go through registers, so the tensor cores run at their full rate,
and tiles are larger. For operands of 16-bit floats whose depth is contiguous.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hidet_core.base.errors import require
from hidet_core.ir.dtypes import bf16, f16
from hidet_core.ir.expr import Expr
from hidet_core.ir.intrinsics import GROUP_DEPTH, GROUP_ROWS, WARPGROUP
from hidet_core.lang import (
    copy_wait,
    fence_proxy_async,
    let,
    wgmma,
    wgmma_commit,
    wgmma_fence,
    wgmma_results,
    wgmma_wait,
)
from hidet_core.target.nvidia import Cuda

from ..problem import Problem
from .contraction import ACCESS_BYTES, Contraction
from .tensor_core import (
    ISSUED,
    KINDS,
    SHAPE_M,
    SHARED_BYTES,
    STEP_CYCLES,
    MmaConfig,
    TensorCore,
    TileSums,
    copy_cost,
    ring_stages,
    sized,
)
from .waves import MEMORY_LATENCY, Block, contraction_ns

RATE = 2  # of wgmma's products to those of mma.sync, which `mma_per_cycle` counts
LEAST_ROWS = 33  # fewer leave most of a warpgroup's 64 rows empty
REGISTERS = 60  # of a thread, beside the sums
GROUP_CYCLES = 60.0  # from a fence to the first sum that may be used


class GroupConfig(MmaConfig):
    """Warps have 16 rows and all columns of the tile; four of them are a warpgroup."""

    @property
    def registers(self) -> int:
        return self.sums + REGISTERS


class Warpgroup(TensorCore):
    """matmul and conv2d of 16-bit floats."""

    def accepts(self, problem: Problem) -> bool:
        return super().accepts(problem) and problem.output.dtype in (f16, bf16)

    def space(self, problem: Problem, target: Cuda) -> Iterator[GroupConfig]:
        element = problem.output.dtype.bytes
        for block_m, block_n, row_bytes in itertools.product(
            (64, 128, 256), (32, 64, 96, 128, 192, 256), (128, 64)
        ):
            if block_m * block_n > 128 * 256:
                continue
            for stages in ring_stages(row_bytes * (block_m + block_n), target):
                for splits in (1, 2, 4, 8):
                    yield GroupConfig(
                        block_m, block_n, row_bytes // element, SHAPE_M, block_n, stages, splits
                    )

    def check(self, problem: Problem, config: MmaConfig, target: Cuda) -> None:
        require("wgmma" in target.features, f"{target.name} has no wgmma")
        super().check(problem, config, target)
        for lines in (config.block_m, config.block_n):
            copied = min(config.threads * ACCESS_BYTES // _row_bytes(problem, config), lines)
            require(lines % copied == 0, f"{lines} rows are not copied {copied} at a time")
        view, _ = sized(problem)
        require(view.a.along == view.b.along == "k", "the depth of an operand is not contiguous")
        if isinstance(view.rows, int):
            require(view.rows >= LEAST_ROWS, f"{view.rows} rows, a product has {GROUP_ROWS}")

    def cost(self, problem: Problem, config: MmaConfig, target: Cuda) -> float:
        (view, size), element = sized(problem), problem.output.dtype.bytes
        depth, tile = config.block_k, config.block_m + config.block_n
        groups = config.threads // WARPGROUP
        multiplied = config.block_m * config.block_n * depth / (RATE * target.mma_per_cycle)
        fetched = depth * element * tile
        read = groups * depth * element * (GROUP_ROWS + config.block_n)
        copies = [copy_cost(view.a, config.block_m), copy_cost(view.b, config.block_n)]
        slots = sum(cost * depth / target.warp for cost, _ in copies)
        busy = (multiplied, (fetched + read) / SHARED_BYTES, slots / ISSUED)
        alone = multiplied + GROUP_CYCLES + STEP_CYCLES
        wait = max(MEMORY_LATENCY / (config.stages - 1), alone)
        wait += sum(latency for _, latency in copies)
        block = Block(
            config.threads, config.registers, config.shared_bytes(element), config.block_m,
            config.block_n, depth, busy, wait, config.splits,
        )  # fmt: skip
        return contraction_ns(size, block, target)

    def sums_of(self, view: Contraction, config: MmaConfig, thread: Expr) -> TileSums:
        return _GroupSums(view, config, thread)


class _GroupSums(TileSums):
    """What one thread of a warpgroup does: its sums are those of a warp with 16 rows."""

    def __init__(self, view: Contraction, config: MmaConfig, thread: Expr) -> None:
        super().__init__(view, config, thread)
        self.group_line = let("group_line", thread // WARPGROUP * GROUP_ROWS)

    def _arrived(self, pending: int) -> None:
        copy_wait(pending)
        fence_proxy_async()

    def _multiply(self, stage: Expr) -> None:
        """The stage is read when this returns: the next copies go there."""
        kind = KINDS[self.view.a.dtype]
        a, b = self.a.tile[stage, self.group_line, 0], self.b.tile[stage, 0, 0]
        shape = (self.config.block_n, self.config.block_k * self.view.a.dtype.bytes)
        wgmma_fence()
        for step in range(self.config.block_k // GROUP_DEPTH):
            wgmma(kind, self.sums[0, 0], a, b, shape, step)
        wgmma_commit()
        wgmma_wait(0)
        wgmma_results(self.sums[0, 0], self.config.block_n // 2)


def _row_bytes(problem: Problem, config: MmaConfig) -> int:
    return config.block_k * problem.output.dtype.bytes
