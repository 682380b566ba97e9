"""Lowered programs to LLVM IR text."""

from .emit import emit
from .workspace import workspace_bytes

__all__ = ["emit", "workspace_bytes"]
