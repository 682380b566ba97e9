"""The compilers, by kind of target: LLVM for CPUs, NVRTC for NVIDIA GPUs."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hidet_core.base.errors import CompilerBug
from hidet_core.target import Target

from . import llvm, nvrtc


class Toolchain(NamedTuple):
    """translate(text, **target.flags): the binary; raises ValueError or Rejected. version(): which
    compiler that is, for keys; raises Unsupported where there is none.
    """

    name: str
    translate: Callable[..., bytes]
    version: Callable[[], str]


TOOLCHAINS = {
    "cpu": Toolchain("LLVM", llvm.translate, lambda: llvm.TOOLCHAIN),
    "cuda": Toolchain("NVRTC", nvrtc.translate, nvrtc.toolchain),
}


def compile_here(text: str, target: Target) -> bytes:
    """The binary of a source, compiled in this process. Raises CompilerBug or Rejected."""
    toolchain = TOOLCHAINS[target.kind]
    try:
        return toolchain.translate(text, **target.flags)
    except ValueError as error:
        raise CompilerBug(toolchain.name, str(error)) from error
