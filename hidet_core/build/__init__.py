"""Source to machine code: LLVM, NVRTC, worker processes, the on-disk kernel cache."""

from .builder import Builder
from .cache import KernelCache
from .llvm import compile_object
from .pool import Pool
from .toolchains import assembly, is_installed

__all__ = ["Builder", "KernelCache", "Pool", "assembly", "compile_object", "is_installed"]
