"""The space of register tiles of a contraction, and the cost model that orders it.

Costs count cycles of one core: multiply-adds, loads (broadcasts of `a`, vectors of `b`), what the
near caches and what lies beyond them can deliver. Sizes enter only here, never into the tiles.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from hidet_core.target.cpu import Cpu

from .contraction import TileConfig

CYCLES_PER_NS = 3.8
LOADS_PER_CYCLE = 2
FMA_LATENCY = 4.0  # cycles between steps that add to the same register
NEAR_SHARE, OWN_SHARE = 0.8, 0.7  # of L1 and L2 that operands may fill
L2_BYTES_PER_CYCLE, FAR_BYTES_PER_CYCLE, OTHERS_BYTES_PER_CYCLE = 30.0, 5.0, 6.0
# of the time of far loads that arithmetic does not hide: of b, of a read again, per row of a tile
FAR_SHARE, A_SHARE, ROW_SHARE = 0.8, 0.15, 0.03
L2_SHARE = 0.15  # likewise of loads from L2, where they do not set the pace
SCATTERED = 0.5  # of the time of far stores that is felt if each row is written in several passes
TILE_CYCLES, VECTOR_CYCLES, TASK_CYCLES = 20.0, 2.0, 40.0  # to begin and store a tile, a task
SYMBOLIC_ROWS = 256  # what a symbolic number of rows is taken for when tiles are compared

_TILES = (
    (14, 1), (12, 1), (8, 1), (6, 1), (4, 1), (1, 1), (2, 1),
    (14, 2), (13, 2), (12, 2), (10, 2), (8, 2), (7, 2), (6, 2), (4, 2), (2, 2), (1, 2),
    (9, 3), (8, 3), (7, 3), (6, 3), (5, 3), (4, 3), (2, 3), (1, 3),
    (7, 4), (6, 4), (5, 4), (4, 4), (3, 4), (2, 4), (1, 4),
    (5, 5), (4, 5), (3, 5), (4, 6), (3, 6), (2, 6), (1, 6), (3, 8), (2, 8), (1, 8),
)  # fmt: skip


def tile_space(target: Cpu) -> Iterator[TileConfig]:
    """Register tiles for any size of problem; those that do not fit the registers are rejected by
    their check.
    """
    for mr, nv in _TILES:
        for blocks in (1, 4, 16):
            for outer in ("panels", "rows"):
                yield TileConfig(mr, nv, blocks, outer)


@dataclass(frozen=True)
class ContractionSize:
    """groups x rows x cols x depth; a_bytes: of one group's `a` in memory (an image is smaller than
    rows * depth, since windows overlap).
    """

    groups: int
    rows: int
    cols: int
    depth: int
    a_bytes: int


def step_cycles(rows: int, config: TileConfig, size: ContractionSize, target: Cpu) -> float:
    """Cycles of one k step of a tile of `rows` rows."""
    nv = config.nv
    panel_bytes = size.depth * nv * target.vector_bytes
    block_bytes = rows * size.depth * 4
    near = panel_bytes + block_bytes <= NEAR_SHARE * target.l1_bytes
    from_l2 = 0 if near or size.rows <= rows else nv * target.vector_bytes + rows * 4
    spilled = max(0, rows * nv + min(nv, rows) + 1 - target.registers)
    return (
        max(
            rows * nv / target.fma_per_cycle,
            (rows + nv) / LOADS_PER_CYCLE,
            from_l2 / L2_BYTES_PER_CYCLE,
            FMA_LATENCY,
        )
        + L2_SHARE * from_l2 / L2_BYTES_PER_CYCLE
        + 0.5 * spilled
    )


def moved_cycles(config: TileConfig, size: ContractionSize, target: Cpu, threads: int) -> float:
    """Cycles, of all threads together, that operands from beyond the cores' own caches cost."""
    cache = OWN_SHARE * target.l2_bytes
    panels = -(-size.cols // (config.nv * target.lanes(4)))
    panel_bytes = size.depth * config.nv * target.vector_bytes
    chunks = max(-(-size.rows // (config.blocks * config.mr)), 1)
    a_bytes, b_bytes = size.a_bytes, size.depth * size.cols * 4
    by_panels = config.outer == "panels" or chunks == 1
    # read again for each panel unless the rows between two readings stay near
    kept = a_bytes if by_panels else a_bytes / chunks
    a_again = panels if kept + panel_bytes > cache else 1
    if by_panels:
        # with half of the next panel on its way
        b_again = -(-size.rows // config.mr) if 1.5 * panel_bytes > cache else 1
    else:
        b_again = chunks if b_bytes + kept > cache else min(chunks, threads)
    share = FAR_SHARE if config.outer == "panels" else 1.0  # only panels are asked for in advance
    far = share * b_bytes * b_again + A_SHARE * a_bytes * (a_again - 1)
    if a_bytes > cache * threads:  # the more rows at once, the less the hardware prefetches
        far += ROW_SHARE * config.mr * a_bytes
    # rows that other cores have just made
    others = a_bytes * (threads - 1) if config.outer == "panels" or chunks < threads else 0
    return size.groups * (far / FAR_BYTES_PER_CYCLE + others / OTHERS_BYTES_PER_CYCLE)


def contraction_cost(
    config: TileConfig, target: Cpu, size: ContractionSize, threads: int = 2
) -> float:
    """Predicted ns on one core, with a penalty for threads that wait for others."""
    panels = -(-size.cols // (config.nv * target.lanes(4)))
    full, rest = divmod(size.rows, config.mr)

    def tile(rows: int) -> float:
        step = step_cycles(rows, config, size, target)
        return size.depth * step + TILE_CYCLES + VECTOR_CYCLES * rows * config.nv

    blocks = full * tile(config.mr) + (tile(rest) if rest else 0.0)
    compute = size.groups * panels * blocks
    cycles = compute + moved_cycles(config, size, target, threads)
    out_bytes = 4 * size.groups * size.rows * size.cols
    if config.outer == "panels" and panels > 1 and out_bytes > OWN_SHARE * target.l2_bytes:
        cycles += SCATTERED * out_bytes / FAR_BYTES_PER_CYCLE
    tasks = size.groups * panels * -(-(full + bool(rest)) // config.blocks)
    tasks = max(tasks, 1)  # none where a size is 0
    idle = -(-tasks // threads) * threads / tasks
    return (cycles * idle + tasks * TASK_CYCLES) / CYCLES_PER_NS
