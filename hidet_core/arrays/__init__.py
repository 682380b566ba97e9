"""Tensor programs on NumPy arrays: what users run their own kernels with (docs/tutorial.md)."""

from .arguments import BadArgument
from .kernel import ArrayKernel, compile_kernel, kernel

__all__ = ["ArrayKernel", "BadArgument", "compile_kernel", "kernel"]
