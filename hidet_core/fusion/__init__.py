"""Post-scheduling fusion: prologues and epilogues are written into a program that is already
scheduled.
"""

from .epilogue import Step, fuse_epilogue
from .name_shared import name_shared
from .prologue import fuse_prologue, inline
from .signature import trim_signature

__all__ = [
    "Step",
    "fuse_epilogue",
    "fuse_prologue",
    "inline",
    "name_shared",
    "trim_signature",
]
