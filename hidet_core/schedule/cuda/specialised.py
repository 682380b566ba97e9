"""Contractions on Hopper whose warpgroups have roles: one copies, the others multiply.

As in `warpgroup.py`, products are those of `wgmma`, out of a ring of stages in shared memory. But
the tiles come by TMA: one thread asks for whole boxes of the operands (ir/tensor_map.py), and the
hardware computes addresses, fills what lies outside of a tensor with zeros, and tells a barrier
object when the bytes are there. So a producer warpgroup of few registers runs ahead through the
ring, and one or two consumers (two with the registers that it gave up) have a step of products in
flight all the time:

    producer    wait until a stage is empty; announce its bytes; ask for a's box and b's
    consumer    wait until it is full; start its products; when those before are done, that stage
                is empty

Blocks are persistent: one on each multiprocessor takes every so many-th tile of the output, and
while its consumers store a tile, the producer is at the next one. For operands as they are in
memory (a prologue would have to compute what TMA copies), in rows of a multiple of 16 bytes.
What it can't take, `warpgroup.py` does.
"""

from __future__ import annotations

import functools
import itertools
from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import Dim, product, simplify
from hidet_core.ir.dtypes import bf16, f16, f32
from hidet_core.ir.expr import Expr, both, eq, is_const, minimum, wrap
from hidet_core.ir.intrinsics import GROUP_DEPTH, GROUP_ROWS, WARP, WARPGROUP
from hidet_core.ir.tensor_map import ALIGNMENT
from hidet_core.lang import (
    barrier,
    build,
    ceildiv,
    let,
    mbarrier_arrive,
    mbarrier_expect,
    mbarrier_fence,
    mbarrier_init,
    mbarrier_wait,
    otherwise,
    parallel,
    range_,
    register,
    registers_decrease,
    registers_increase,
    shared,
    tensor_prefetch,
    threads,
    u64,
    unroll,
    wgmma,
    wgmma_commit,
    wgmma_fence,
    wgmma_results,
    wgmma_wait,
    when,
)
from hidet_core.target.nvidia import Cuda

from ..config import Config
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import scalars_of
from .boxes import BLOCK_K, ROW_BYTES, Boxes, operand_boxes
from .contraction import Contraction, Packing, contraction, is_contraction
from .tensor_core import KINDS, SHARED_BYTES, raster
from .tile_store import store_sums
from .warpgroup import LEAST_ROWS, RATE, REGISTERS
from .waves import MEMORY_LATENCY, Block, Size, contraction_ns

FEATURES = ("wgmma", "tma", "mbarrier")
PRODUCER_REGISTERS, CONSUMER_REGISTERS = 40, 232  # with two consumers: all of a multiprocessor's
MOST_STAGES = 8
WARPS = WARPGROUP // WARP
STEP_CYCLES = 40.0  # from the arrival of a stage to its first product
SETUP_NS = 700.0  # barrier objects, tensor maps, the exchange of registers: once in a launch


@dataclass(frozen=True)
class SpecialisedConfig(Config):
    """block: the tile; stages: of the ring, of BLOCK_K elements of depth each."""

    block_m: int
    block_n: int
    stages: int

    @property
    def consumers(self) -> int:
        return self.block_m // GROUP_ROWS

    @property
    def threads(self) -> int:
        return (self.consumers + 1) * WARPGROUP

    @property
    def exchanges(self) -> bool:
        """Whether consumers take registers of the producer: one alone has as many as it may."""
        return self.consumers > 1

    @property
    def stage_bytes(self) -> int:
        return (self.block_m + self.block_n) * ROW_BYTES

    @property
    def shared_bytes(self) -> int:
        objects = -(-self.stages * u64.dtype.bytes // ALIGNMENT) * ALIGNMENT
        return self.stages * self.stage_bytes + 2 * objects


class Specialised(Template):
    """matmul and conv2d with windows of 1 x 1, of 16-bit floats."""

    ops = ("matmul", "conv2d")

    def accepts(self, problem: Problem) -> bool:
        return problem.output.dtype in (f16, bf16) and is_contraction(problem)

    def space(self, problem: Problem, target: Cuda) -> Iterator[SpecialisedConfig]:
        room = target.shared_bytes_per_block
        for block_m, block_n in itertools.product((64, 128), (32, 64, 96, 128, 160, 192, 256)):
            whole = SpecialisedConfig(block_m, block_n, 1)
            most = min(room // whole.shared_bytes, MOST_STAGES)
            for stages in sorted({most, (most + 1) // 2}, reverse=True):
                if stages >= 2:
                    yield SpecialisedConfig(block_m, block_n, stages)

    def check(self, problem: Problem, config: SpecialisedConfig, target: Cuda) -> None:
        for feature in FEATURES:
            require(feature in target.features, f"{target.name} has no {feature}")
        require(not any(problem.computed[:2]), "TMA copies operands as they are in memory")
        need, limit = config.shared_bytes, target.shared_bytes_per_block
        require(need <= limit, f"{need} bytes of shared memory > {limit} on {target.name}")
        need = config.block_n // 2 + REGISTERS
        limit = CONSUMER_REGISTERS if config.exchanges else target.registers_per_thread
        require(need <= limit, f"about {need} registers > {limit}")
        require(_is_product(problem), "TMA copies no windows, nor parts of channels")
        view, _ = sized(problem)
        operand_boxes(view, config.block_m, config.block_n)
        if isinstance(view.rows, int):
            require(view.rows >= LEAST_ROWS, f"{view.rows} rows, a product has {GROUP_ROWS}")
            fits = config.block_m < 2 * view.rows
            require(fits, f"a tile of {config.block_m} rows, the problem has {view.rows}")
        if isinstance(view.cols, int):
            fits = config.block_n < max(2 * view.cols, 64)
            require(fits, f"a tile of {config.block_n} columns, the problem has {view.cols}")

    def cost(self, problem: Problem, config: SpecialisedConfig, target: Cuda) -> float:
        _, size = sized(problem)
        multiplied = config.block_m * config.block_n * BLOCK_K / (RATE * target.mma_per_cycle)
        read = config.consumers * (GROUP_ROWS + config.block_n) * ROW_BYTES
        busy = (multiplied, (config.stage_bytes + read) / SHARED_BYTES)
        wait = max(MEMORY_LATENCY / (config.stages - 1), multiplied, STEP_CYCLES)
        registers = target.registers_per_multiprocessor // config.threads // 8 * 8
        block = Block(
            config.threads, registers, config.shared_bytes, config.block_m, config.block_n,
            BLOCK_K, busy, wait, is_persistent=True,
        )  # fmt: skip
        return SETUP_NS + contraction_ns(size, block, target)

    def build(self, problem: Problem, config: SpecialisedConfig, target: Cuda) -> Scheduled:
        view = contraction(problem, Packing(config.block_n, BLOCK_K, "k"))
        a, b = operand_boxes(view, config.block_m, config.block_n)
        tiles = _Tiles.of(view, config, target)
        params = [a.map, b.map, view.out.buffer]
        with build(problem.name, params, scalars_of(*params)) as slot:
            for (block,) in parallel(tiles.blocks):
                for thread in threads(config.threads):
                    ring = _Ring(config, a, b, thread)
                    role = let("role", thread // WARPGROUP)
                    with when(eq(role, config.consumers)):
                        ring.produce(tiles, block, thread)
                    with otherwise():
                        ring.consume(tiles, block, role, thread)
        return Scheduled(slot.program, view.packed, str(config))


def _is_product(problem: Problem) -> bool:
    """Whether each row of the output is made of one row of the input, in order."""
    if problem.op == "matmul":
        return True
    attrs, window = problem.attrs, problem.inputs[1].shape[:2]
    plain = attrs["strides"] == (1, 1) and attrs["groups"] == 1 and not any(attrs["pads"])
    return plain and window == (1, 1)


@functools.lru_cache(maxsize=16)
def sized(problem: Problem) -> tuple[Contraction, Size]:
    """For all configs of a problem; b as it is once it is packed, if that can be."""
    view = contraction(problem, Packing(1, BLOCK_K, "k"))
    return view, Size.of(view)


@dataclass(frozen=True, eq=False)
class _Tiles:
    """Which tiles of the output a block computes."""

    view: Contraction
    config: SpecialisedConfig
    down: Expr
    across: Expr
    count: Dim
    blocks: Dim
    steps: Expr  # of depth, of each

    @staticmethod
    def of(view: Contraction, config: SpecialisedConfig, target: Cuda) -> _Tiles:
        down, across = ceildiv(view.rows, config.block_m), ceildiv(view.cols, config.block_n)
        count = product((view.groups, down, across))
        blocks = simplify(minimum(wrap(count), target.multiprocessors))
        steps = wrap(ceildiv(wrap(view.depth), BLOCK_K))
        return _Tiles(view, config, wrap(down), wrap(across), count, blocks, steps)

    def each(self, block: Expr) -> Iterator[tuple[Expr, tuple[Expr, Expr, Expr]]]:
        """(number of the tile among the block's, (group, row, column) of its first element)."""
        for turn in range_(ceildiv(wrap(self.count) - block, wrap(self.blocks)), "turn"):
            tile = let("tile", block + turn * wrap(self.blocks))
            inside, group = tile, wrap(0)
            if not is_const(wrap(self.view.groups), 1):
                size = self.down * self.across
                group, inside = let("group", tile // size), let("at", tile % size)
            m, n = raster(inside, self.down, self.across)
            yield turn, (group, m * self.config.block_m, n * self.config.block_n)


class _Ring:
    """The stages, with a barrier object each for being full and for being empty. Step `number` of a
    block, counted through all its tiles, uses stage number % stages, for the number // stages-th
    time.
    """

    def __init__(self, config: SpecialisedConfig, a: Boxes, b: Boxes, thread: Expr) -> None:
        self.config, self.boxes, stages = config, (a, b), config.stages
        self.tiles = a.ring(stages, "ring_a"), b.ring(stages, "ring_b")
        self.full, self.empty = shared(u64, [stages], "full"), shared(u64, [stages], "empty")
        with when(eq(thread, 0)):
            for stage in range_(stages, "stage"):
                mbarrier_init(self.full[stage], 1)
                mbarrier_init(self.empty[stage], config.consumers * WARPS)
            mbarrier_fence()
            for boxes in self.boxes:
                tensor_prefetch(boxes.map)
        barrier()

    def _place(self, number: Expr) -> tuple[Expr, Expr]:
        """(stage, parity of the phase in which it is full)."""
        stages = self.config.stages
        return let("stage", number % stages), let("parity", number // stages % 2)

    def produce(self, tiles: _Tiles, block: Expr, thread: Expr) -> None:
        """What the producer warpgroup does: one of its threads."""
        if self.config.exchanges:
            registers_decrease(PRODUCER_REGISTERS)
        with when(eq(thread % WARPGROUP, 0)):
            for turn, (group, m, n) in tiles.each(block):
                for step in range_(tiles.steps, "step"):
                    stage, parity = self._place(turn * tiles.steps + step)
                    mbarrier_wait(self.empty[stage], 1 - parity)
                    full = self.full[stage]
                    mbarrier_expect(full, self.config.stage_bytes)
                    for boxes, ring, line in zip(self.boxes, self.tiles, (m, n), strict=True):
                        boxes.load(ring, stage, (group, line, step * BLOCK_K), full)

    def consume(self, tiles: _Tiles, block: Expr, role: Expr, thread: Expr) -> None:
        """What a consumer warpgroup does: 64 rows of the tile, all columns."""
        config = self.config
        if config.exchanges:
            registers_increase(CONSUMER_REGISTERS)
        sums = register(f32, [1, config.block_n // 2], "sums")
        for turn, (group, m, n) in tiles.each(block):
            for item in unroll(config.block_n // 2, "item"):
                sums[0, item] = 0.0
            first = turn * tiles.steps
            for step in range_(tiles.steps, "step"):
                stage, parity = self._place(first + step)
                mbarrier_wait(self.full[stage], parity)
                self._multiply(sums[0, 0], stage, role)
                wgmma_wait(1)
                self._free(first + step - 1, step > 0, thread)
            wgmma_wait(0)
            wgmma_results(sums[0, 0], config.block_n // 2)
            self._free(first + tiles.steps - 1, tiles.steps > 0, thread)
            row = m + role * GROUP_ROWS + thread % WARPGROUP // WARP * 16
            store_sums(tiles.view, group, (row, n), sums, thread % WARP)

    def _multiply(self, sums: Expr, stage: Expr, role: Expr) -> None:
        (left, right), (_, boxes) = self.tiles, self.boxes
        kind, shape = KINDS[left.dtype], (self.config.block_n, ROW_BYTES)
        a = left[stage, role * GROUP_ROWS, 0]
        b = right[(stage, *[0] * (len(right.shape) - 1))]
        wgmma_fence()
        for step in range(BLOCK_K // GROUP_DEPTH):
            wgmma(kind, sums, a, b, shape, step, boxes.is_turned)
        wgmma_commit()

    def _free(self, number: Expr, condition: Expr, thread: Expr) -> None:
        """The warp has no product in flight that reads the stage of a step."""
        with when(both(condition, eq(thread % WARP, 0))):
            mbarrier_arrive(self.empty[number % self.config.stages])
