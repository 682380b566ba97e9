"""Lowered programs to LLVM IR text."""

from .emit import emit

__all__ = ["emit"]
