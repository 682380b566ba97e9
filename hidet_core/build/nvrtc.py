"""CUDA C++ text to the bytes of a cubin, with NVRTC: no GPU, no toolkit, only wheels (extra [cuda]).

A kernel whose registers are spilled to memory is Rejected: another config of its schedule does
better. What the kernel uses is read from the log of ptxas.
"""

from __future__ import annotations

import functools
import re
from dataclasses import dataclass
from importlib import metadata
from typing import Any

from hidet_core.base.errors import Rejected, Unsupported

OPTIONS = ("--std=c++17", "--ptxas-options=-v")
_SPILLS = re.compile(r"(\d+) bytes stack frame, (\d+) bytes spill stores, (\d+) bytes spill loads")
_LOSSES = re.compile(r"\(C75\d\d\) (Potential Performance Loss: [^\n]*)")
_REGISTERS = re.compile(r"Used (\d+) registers")


@dataclass(frozen=True)
class Usage:
    """What one thread of a kernel uses. spill_bytes: stored and loaded because registers ran out;
    stack_bytes: of memory, for arrays that are not in registers. losses: where ptxas gave up what the
    source asked for (setmaxnreg ignored, wgmma one after the other).
    """

    registers: int
    stack_bytes: int
    spill_bytes: int
    losses: tuple[str, ...] = ()


@functools.cache
def toolchain() -> str:
    """Which NVRTC this is, for keys. Raises Unsupported where it is not installed."""
    nvrtc = _library()
    try:
        return f"nvrtc {metadata.version('nvidia-cuda-nvrtc')}"
    except metadata.PackageNotFoundError:  # a toolkit's library
        return f"nvrtc {'.'.join(map(str, nvrtc.nvrtcVersion()[1:]))}"


def translate(text: str, arch: str) -> bytes:
    """The cubin of a source. Raises ValueError with the log, or Rejected where it spills."""
    image, used = compile_measured(text, arch)
    if used.spill_bytes:
        why = f"{used.spill_bytes} bytes of registers are spilled on {arch}"
        raise Rejected(f"{why} ({used.registers} registers a thread)")
    if used.losses:
        raise Rejected(f"ptxas on {arch}: {'; '.join(used.losses)}")
    return image


def compile_measured(text: str, arch: str) -> tuple[bytes, Usage]:
    """The cubin, spills or not, and what it uses. Raises ValueError with the log."""
    nvrtc = _library()
    program = _checked(nvrtc, nvrtc.nvrtcCreateProgram(text.encode(), b"kernel.cu", 0, None, None))
    try:
        options = [f"--gpu-architecture={arch}", *OPTIONS]
        encoded = [option.encode() for option in options]
        (status,) = nvrtc.nvrtcCompileProgram(program, len(encoded), encoded)
        log = bytearray(_checked(nvrtc, nvrtc.nvrtcGetProgramLogSize(program)))
        _checked(nvrtc, nvrtc.nvrtcGetProgramLog(program, log))
        said = bytes(log).decode(errors="replace").strip("\0 \n")
        if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
            raise ValueError(said or status.name)
        image = bytearray(_checked(nvrtc, nvrtc.nvrtcGetCUBINSize(program)))
        _checked(nvrtc, nvrtc.nvrtcGetCUBIN(program, image))
        return bytes(image), usage(said)
    finally:
        nvrtc.nvrtcDestroyProgram(program)


def usage(log: str) -> Usage:
    """What ptxas says of the kernels of a program, the most of each."""
    frames = [tuple(map(int, found)) for found in _SPILLS.findall(log)]
    registers = [int(found) for found in _REGISTERS.findall(log)]
    return Usage(
        max(registers, default=0),
        max((stack for stack, _, _ in frames), default=0),
        sum(stores + loads for _, stores, loads in frames),
        tuple(_LOSSES.findall(log)),
    )


@functools.cache
def _library() -> Any:
    try:
        from cuda.bindings import nvrtc

        nvrtc.nvrtcVersion()  # loads the library
    except (ImportError, RuntimeError) as error:
        why = f"NVRTC is missing ({error}): pip install 'onnxruntime-ep-hidet[cuda]'"
        raise Unsupported("the CUDA target", why) from error
    return nvrtc


def _checked(nvrtc: Any, result: tuple[Any, ...]) -> Any:
    status, *values = result
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise ValueError(f"NVRTC: {status.name}")
    return values[0] if values else None
