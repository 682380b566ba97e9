"""Lowered programs to source: LLVM IR text for CPUs; and the interpreter that runs any program in
NumPy.
"""

from .llvm import emit

__all__ = ["emit"]
