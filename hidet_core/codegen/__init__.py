"""Lowered programs to LLVM IR text for CPUs and to CUDA C++ for GPUs; and the interpreter that runs
programs in NumPy.
"""

from .cuda import emit_cuda, launch_of
from .interpreter import interpret
from .llvm import emit

__all__ = ["emit", "emit_cuda", "interpret", "launch_of"]
