"""Source to object code: LLVM, worker processes, the on-disk kernel cache."""

from .llvm import compile_object

__all__ = ["compile_object"]
