"""Lowered programs to LLVM IR text for CPUs and to CUDA C++ for GPUs; and the interpreter that runs
programs in NumPy.
"""

from __future__ import annotations

from hidet_core.ir.stmt import Program
from hidet_core.target import Target

from .cuda import emit_cuda, launch_of
from .interpreter import interpret
from .llvm import emit, workspace_bytes

__all__ = ["emit", "emit_cuda", "emit_for", "interpret", "launch_of", "workspace_bytes"]


def emit_for(program: Program, target: Target) -> str:
    """The source of a lowered program in the language of the target's compiler."""
    return emit(program, cpu=target) if target.kind == "cpu" else emit_cuda(program)
