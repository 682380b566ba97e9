"""How a program is launched on a GPU: the threads of a block, and where its shared buffers lie."""

from __future__ import annotations

import math
from dataclasses import dataclass

from hidet_core.ir.expr import Buffer
from hidet_core.ir.intrinsics import GRID_WAIT, INTRINSICS
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import Call, For, Place, Program

SWIZZLE_ALIGNMENT = 1024  # of those that warpgroups' products read and tensor loads write
LOAD = "tensor_load"
ALIGNMENT = 16  # bytes, of shared buffers: that of the widest access


@dataclass(frozen=True)
class Launch:
    """threads: of a block. offsets: in bytes, of the shared buffers in the block's arena, which has
    shared_bytes. dependent: it waits by itself for the kernels before it.
    """

    threads: int
    shared_bytes: int
    offsets: dict[Buffer, int]
    alignment: int  # of the arena
    dependent: bool = False


def launch_of(program: Program) -> Launch:
    """One thread where the program has no threads loop."""
    threads = 1
    for node in walk(program.body):
        if isinstance(node, For) and node.kind == "threads":
            threads = int(node.extent.value)  # type: ignore[attr-defined]
            break  # there is one, and it is far up
    swizzled = {
        operand.buffer
        for node in walk(program.body)
        if isinstance(node, Call) and (INTRINSICS[node.name].by == "warpgroup" or node.name == LOAD)
        for operand in node.operands
        if isinstance(operand, Place) and operand.buffer.scope == "shared" and operand.count > 1
    }
    offsets: dict[Buffer, int] = {}
    top = 0
    for buffer in program.locals:
        if buffer.scope == "shared":
            if buffer in swizzled:
                top = -(-top // SWIZZLE_ALIGNMENT) * SWIZZLE_ALIGNMENT
            offsets[buffer] = top
            size = math.prod(int(dim) for dim in buffer.shape) * buffer.dtype.bytes
            top += -(-size // ALIGNMENT) * ALIGNMENT
    alignment = SWIZZLE_ALIGNMENT if swizzled else ALIGNMENT
    dependent = any(
        isinstance(node, Call) and node.name == GRID_WAIT for node in walk(program.body)
    )
    return Launch(threads, top, offsets, alignment, dependent)
