"""The compilers: LLVM for CPUs, NVRTC for NVIDIA GPUs, g++ for the emulated GPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

from hidet_core.base.errors import CompilerBug, Unsupported
from hidet_core.target import Target

from . import emulated, llvm, nvrtc


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
    "emulated": Toolchain("g++", emulated.translate, emulated.toolchain),
}


def is_installed(target: Target) -> bool:
    """Whether the compiler for a target is there."""
    try:
        TOOLCHAINS[target.toolchain].version()
    except Unsupported:
        return False
    return True


def assembly(text: str, target: Target) -> str:
    """The machine code of a source as text, for people."""
    if target.kind == "cpu":
        return llvm.assembly(text, target)
    return f"// no disassembler for {target.name}\n"


def compile_here(text: str, target: Target) -> bytes:
    """The binary of a source, compiled in this process. Raises CompilerBug or Rejected."""
    toolchain = TOOLCHAINS[target.toolchain]
    try:
        return toolchain.translate(text, **target.flags)
    except ValueError as error:
        raise CompilerBug(toolchain.name, str(error)) from error
