"""Lowered programs to LLVM IR text for CPUs; and the interpreter that runs programs in NumPy."""

from .interpreter import interpret
from .llvm import emit

__all__ = ["emit", "interpret"]
