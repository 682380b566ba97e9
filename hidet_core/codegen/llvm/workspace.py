"""Where the local buffers of a task are: small ones on the stack, large ones in a workspace.

Whoever calls a kernel gives it `workspace_bytes(program)` of memory per thread, so that a host's
threads may have small stacks. Each buffer has its own pointer, which aliases nothing.
"""

from __future__ import annotations

import math

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.expr import Buffer, Const
from hidet_core.ir.stmt import Program

STACK_BYTES = 4096  # a buffer up to this size is on the stack
MAX_BYTES = 64 << 20  # of all buffers of a task
ALIGNMENT = 64


def workspace_bytes(program: Program) -> int:
    """What a thread that runs tasks of the program needs; the same before and after lowering."""
    return sum(_rounded(size) for size in _large(program).values())


def workspace_offsets(program: Program) -> dict[Buffer, int]:
    """The place of each large buffer in the workspace, in bytes. Raises CompilerBug where they are
    too large for any machine.
    """
    offsets: dict[Buffer, int] = {}
    top = 0
    for buffer, size in _large(program).items():
        offsets[buffer] = top
        top += _rounded(size)
    if top > MAX_BYTES:
        why = f"the local buffers of a task have {top} bytes, at most {MAX_BYTES} are possible"
        raise CompilerBug("codegen", why)
    return offsets


def elements(buffer: Buffer) -> int:
    """The elements of a local buffer. Raises CompilerBug for a symbolic shape."""
    size = math.prod(dim.value if isinstance(dim, Const) else dim for dim in buffer.shape)
    if not isinstance(size, int):
        why = f"local buffer {buffer.name} has a symbolic shape {buffer.shape}"
        raise CompilerBug("codegen", why)
    return size


def _large(program: Program) -> dict[Buffer, int]:
    sizes = {buffer: elements(buffer) * buffer.dtype.bytes for buffer in program.locals}
    return {buffer: size for buffer, size in sizes.items() if size > STACK_BYTES}


def _rounded(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT
