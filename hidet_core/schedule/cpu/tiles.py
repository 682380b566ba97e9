"""The space of register tiles of a contraction, and the cost model that orders it.

Costs count cycles of one core: multiply-adds on `fma_per_cycle` units, loads (broadcasts of `a`,
vectors of `b`) on two ports, `b` streamed from the cache level its panel fits in. Sizes enter only
here, never into the tiles themselves.
"""

from __future__ import annotations

from collections.abc import Iterator

from hidet_core.target.cpu import Cpu

from .contraction import TileConfig

CYCLES_PER_NS = 3.8
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
            yield TileConfig(mr, nv, blocks)


def tile_cycles(mr: int, nv: int, target: Cpu) -> float:
    """Cycles of one k step of an mr x nv tile with its operands in the nearest cache."""
    fma = mr * nv / 2
    loads = (mr + nv) / 2
    spilled = max(0, mr * nv + min(nv, mr) + 1 - target.registers)
    latency = 4.0 if mr * nv < 8 else 0.0
    return max(fma, loads, latency) + 0.5 * spilled


def contraction_cost(
    config: TileConfig, target: Cpu, size: tuple[int, int, int, int], threads: int = 2
) -> float:
    """Predicted ns on one core of groups x rows x cols x depth, with a penalty for idle threads."""
    groups, rows, cols, depth = size
    lanes = target.lanes(4)
    width = config.nv * lanes
    panels = -(-cols // width)
    full, rest = divmod(rows, config.mr)
    panel_bytes = depth * width * 4
    step = tile_cycles(config.mr, config.nv, target)
    streamed = config.nv * 64 / _stream_bytes_per_cycle(panel_bytes, rows, config.mr, target)
    per_tile = depth * max(step, streamed) + 20 + 2.5 * config.mr * config.nv
    cycles = full * per_tile
    if rest:
        cycles += (
            depth * max(tile_cycles(rest, config.nv, target), streamed)
            + 20
            + 2.5 * rest * config.nv
        )
    tasks = groups * panels * -(-(-(-rows // config.mr)) // config.blocks)
    tasks = max(tasks, 1)  # none where a size is 0
    idle = -(-tasks // threads) * threads / tasks
    return (
        groups * panels * cycles * (idle if tasks < 8 * threads else 1.0) / CYCLES_PER_NS
        + tasks * 20
    )


def _stream_bytes_per_cycle(panel_bytes: int, rows: int, mr: int, target: Cpu) -> float:
    """Bytes of `b` per cycle from the level of cache that holds a panel between row blocks."""
    if rows <= mr:
        return 8.0  # read once, from memory
    if panel_bytes <= target.l1_bytes * 0.6:
        return 128.0
    if panel_bytes <= target.l2_bytes * 0.7:
        return 48.0
    return 14.0
