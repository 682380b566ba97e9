"""Predicted time of contractions in tiles: what every template of them is compared by.

    time = launch + waves of blocks, overlapped with bytes from memory + what split-k adds

A multiprocessor holds as many blocks at once as threads, registers and shared memory allow. Those
take a step of k together in the time that its pipes are busy with all their steps, but no faster
than one block alone can: a step waits for its loads (`wait`, less where loads are several steps
ahead). What is done at once overlaps, but not wholly: the longest counts, and a share of the
others. The multiprocessor with the most blocks sets the time: 133 equal blocks on 132
multiprocessors take twice as long as 132, which is what makes small tiles and split-k worth their
traffic at batch 1. Operands come through L2 at a rate per multiprocessor; what is read for the
first time comes from memory at the device's rate.

What that comes to, f32 on an H200: ResNet-50 at batch 1 gets tiles of 16 to 64 with k in 4 parts
from 28 x 28 pixels on, in 16 at 7 x 7, where one part would keep 64 multiprocessors busy; a square
product of 4096 gets 128 x 64 or more, in one part; heads and decoding stream their weights
(gemv.py) in 1.2 of the time that memory takes. The constants are rounded from published
micro-benchmarks of the A100 and H100; none was fitted, and nothing here was measured.
"""

from __future__ import annotations

from dataclasses import dataclass

from hidet_core.target.nvidia import Cuda

from ..work import estimate
from .contraction import Contraction
from .traffic import LAUNCH_NS

L2_BYTES = 40.0  # that a multiprocessor gets from L2 in a cycle while all of them ask
MEMORY_LATENCY = 650.0  # cycles until a load from memory is there
BLOCK_CYCLES = 1300.0  # to start a block, fetch its first operands and store its results
STORE_CYCLES = 600.0  # to store the results of a tile
OVERLAPPED = 0.75  # of the time of what does not take longest
APART = 0.9  # the same where warps that copy and warps that multiply go on apart
SPLIT_NS = 900.0  # fence, ticket, and the first of the parts that are read back
WORST = float("inf")


@dataclass(frozen=True)
class Size:
    """A contraction's sizes, symbols estimated. bytes: of the operands and the output in memory,
    each once; element: bytes of one.
    """

    groups: int
    rows: int
    cols: int
    depth: int
    element: int
    bytes: int

    @staticmethod
    def of(view: Contraction) -> Size:
        groups, rows, cols, depth = view.sizes()
        element = view.a.dtype.bytes
        b_groups = groups if view.b.has_groups else 1
        elements = estimate((view.a_elements,)) + b_groups * depth * cols + groups * rows * cols
        return Size(groups, rows, cols, depth, element, element * elements)


@dataclass(frozen=True)
class Block:
    """What a block needs and does. busy: cycles that a multiprocessor's pipes spend on a step of
    block_k, each pipe; wait: cycles that a step of a block takes at least. is_persistent: one block
    of a multiprocessor computes tile after tile, and some of its warps fetch for the next while
    others store one.
    """

    threads: int
    registers: int
    shared_bytes: int
    block_m: int
    block_n: int
    block_k: int
    busy: tuple[float, ...]
    wait: float
    splits: int = 1
    is_persistent: bool = False


def overlapped(*times: float, share: float = OVERLAPPED) -> float:
    """The time of things done at once: the longest, and a share of the others."""
    return max(times) * share + sum(times) * (1 - share)


def contraction_ns(size: Size, block: Block, target: Cuda) -> float:
    """Predicted nanoseconds; infinite where a block does not fit a multiprocessor."""
    resident = target.resident_blocks(block.threads, block.registers, block.shared_bytes)
    if resident < 1:
        return WORST
    start = BLOCK_CYCLES
    if block.is_persistent:
        resident, start = 1, STORE_CYCLES
    tiles = size.groups * -(-size.rows // block.block_m) * -(-size.cols // block.block_n)
    steps = -(-(-(-size.depth // block.block_k)) // block.splits)
    fetched = (block.block_m + block.block_n) * block.block_k * size.element
    share = APART if block.is_persistent else OVERLAPPED
    busy = overlapped(*block.busy, fetched / L2_BYTES, share=share)
    most = -(-tiles * block.splits // target.multiprocessors)  # blocks of one multiprocessor
    cycles = 0.0
    for together, times in ((resident, most // resident), (most % resident, 1)):
        if together and times:
            cycles += times * (steps * max(together * busy, block.wait) + start)
    time = overlapped(cycles / target.clock_ghz, size.bytes / target.bytes_per_ns)
    return LAUNCH_NS + time + _split_ns(block, tiles, target)


def _split_ns(block: Block, tiles: int, target: Cuda) -> float:
    """The parts are stored by all blocks and read back by the last of each tile, which has them
    all to itself.
    """
    if block.splits == 1:
        return 0.0
    part = block.block_m * block.block_n * 4
    alone = -(-tiles // target.multiprocessors) * part * block.splits / L2_BYTES
    stored = part * tiles * block.splits / (L2_BYTES * target.multiprocessors)
    return SPLIT_NS + (alone + stored) / target.clock_ghz
