"""Source to object code: LLVM, worker processes, the on-disk kernel cache."""

from .builder import Builder
from .cache import KernelCache
from .llvm import assembly, compile_object
from .pool import Pool

__all__ = ["Builder", "KernelCache", "Pool", "assembly", "compile_object"]
