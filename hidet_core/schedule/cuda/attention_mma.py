"""The template of attention on tensor cores: its space, and what it costs (attention_block.py has
the program).
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.lang import build, ceildiv, parallel, threads
from hidet_core.target.nvidia import Cuda

from ..attention import Heads
from ..problem import Problem, Scheduled
from ..template import Template
from ..work import estimate, scalars_of, unravel
from .attention_block import CHUNK_BYTES, COLS, KINDS, Block, Extents, MmaConfig
from .split_keys import SplitKeys, estimated_parts, parts_of_keys
from .traffic import LAUNCH_NS

MAX_WIDTH = 128
MAX_COPIES = 16  # of a thread for each tile: their addresses are held in registers
MEET_CYCLES = (150.0, 100.0)  # likewise of any block: barriers, waiting for copies
TILE_CYCLES = (1500.0, 700.0)  # of a tile in a block that runs alone: with one stage, with more
MMA_CYCLES = 2.0  # of a multiprocessor, for a product of matrices
EXP_PER_CYCLE = 16.0
READ_BYTES = 128.0  # of shared memory in a cycle
L2_FACTOR = 2.5  # of the bandwidth of memory


class AttentionMma(Template):
    """attention of f16, bf16, or f32 where TF32 is allowed; heads of at most MAX_WIDTH elements."""

    ops = ("attention",)

    def accepts(self, problem: Problem) -> bool:
        heads = Heads(problem)
        sides = (heads.width, heads.columns)
        dtype = problem.inputs[0].dtype
        allowed = dtype in KINDS and (dtype != f32 or problem.allow_tf32)
        return allowed and all(side % COLS == 0 and side <= MAX_WIDTH for side in sides)

    def space(self, problem: Problem, target: Cuda) -> Iterator[MmaConfig]:
        for warps, keys, stages in itertools.product((1, 2, 4, 8), (16, 32, 64, 128), (1, 2, 3)):
            yield MmaConfig(warps, keys, stages)

    def check(self, problem: Problem, config: MmaConfig, target: Cuda) -> None:
        feature = f"mma_{KINDS[problem.inputs[0].dtype]}"
        require(feature in target.features, f"{target.name} has no {feature}")
        heads = Heads(problem)
        extents = Extents.of(heads)
        need, limit = extents.registers(config), target.registers_per_thread
        require(need <= limit, f"about {need} registers > {limit}")
        need, limit = extents.shared_bytes(config), target.shared_bytes_per_block
        require(need <= limit, f"{need} bytes of shared memory > {limit} on {target.name}")
        widest = max(extents.width, extents.columns)
        copies = -(-config.keys * widest // (extents.chunk * config.threads))
        require(copies <= MAX_COPIES, f"{copies} copies of a thread for a tile > {MAX_COPIES}")
        for what, block, size in (
            ("queries", config.block_q, heads.queries),
            ("keys", config.keys, heads.keys),
        ):
            if isinstance(size, int):
                require(block < 2 * max(size, 16), f"a tile of {block} {what}, there are {size}")
        if isinstance(heads.keys, int):
            tiles = -(-heads.keys // config.keys)
            require(config.stages <= max(tiles, 1), f"{config.stages} stages for {tiles} tiles")

    def cost(self, problem: Problem, config: MmaConfig, target: Cuda) -> float:
        heads = Heads(problem)
        extents = Extents.of(heads)
        queries, keys = heads.sizes()
        blocks = max(estimate(heads.batch) * -(-queries // config.block_q), 1)
        tiles = -(-keys // config.keys) * (0.6 if heads.is_causal else 1.0)
        parts = estimated_parts(heads, config.block_q, config.keys, target)
        blocks, tiles = blocks * parts, tiles / parts
        elements_ = config.keys * (extents.width + extents.columns)
        tile_bytes = elements_ * CHUNK_BYTES / extents.chunk
        products = elements_ / (COLS * extents.depth)
        busy = config.warps * max(products * MMA_CYCLES, tile_bytes / READ_BYTES)
        busy += config.block_q * config.keys * 2.5 / EXP_PER_CYCLE
        busy += MEET_CYCLES[config.stages > 1]
        resident = target.resident_blocks(
            config.threads, extents.registers(config), extents.shared_bytes(config)
        )
        each = -(-blocks // target.multiprocessors)
        alone = TILE_CYCLES[config.stages > 1] + 4 * products + config.keys * 2
        cycles = tiles * max(each * busy, -(-each // max(resident, 1)) * alone)
        moved = blocks * tiles * tile_bytes / (target.bytes_per_ns * L2_FACTOR)
        return LAUNCH_NS + max((cycles + TILE_CYCLES[0]) / target.clock_ghz, moved)

    def build(self, problem: Problem, config: MmaConfig, target: Cuda) -> Scheduled:
        heads, out = Heads(problem), problem.output
        down = ceildiv(heads.queries, config.block_q)
        count = parts_of_keys(heads, config.block_q, config.keys, target)
        slots = 4 + Extents.of(heads).columns // COLS * 4
        split = SplitKeys.of(count, product((*heads.batch, down)), slots, config.threads)
        params = list(dict.fromkeys((*problem.inputs, out, *split.workspace)))
        with build(problem.name, params, scalars_of(*params)) as slot:
            for group, at, part in parallel(product(heads.batch), down, count):
                for thread in threads(config.threads):
                    block = Block(heads, config, thread)
                    block.read(unravel(group, heads.batch), at * config.block_q, split, part)
                    split.finish(block, group * down + at, part, thread)
        return Scheduled(slot.program, {}, str(config), workspace=split.workspace)
