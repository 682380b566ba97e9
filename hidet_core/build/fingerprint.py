"""Which compiler this is: a hash over its own sources, LLVM's version and the knobs that change
code.

It is part of every cache key, so that nobody ever runs a kernel made by another version of the
compiler.
"""

from __future__ import annotations

import functools
from pathlib import Path

from hidet_core.base import knobs
from hidet_core.base.hashing import stable_hash
from .llvm import TOOLCHAIN

PACKAGE = Path(__file__).resolve().parent.parent


def fingerprint() -> str:
    """The compiler as it is now."""
    return stable_hash((source_hash(PACKAGE), TOOLCHAIN, knobs.code_key()))


@functools.cache
def source_hash(folder: Path) -> str:
    """A hash over the names and contents of all Python sources below a folder, and of the headers
    that generated code includes; read once per process.
    """
    files = sorted([*folder.rglob("*.py"), *folder.rglob("codegen/*/*.h")])
    return stable_hash([(str(f.relative_to(folder)), f.read_bytes()) for f in files])
