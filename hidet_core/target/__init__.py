"""Device descriptions: rows of data the compiler is parameterised by. Only `probe.py` and `gpu.py`
ask the machine.
"""

from __future__ import annotations

from dataclasses import replace

from hidet_core.base.errors import Unsupported

from .cpu import AVX2, AVX512, AVX512_VNNI, CPUS, Cpu
from .gpu import gpu, runs_on
from .nvidia import CUDAS, Cuda
from .probe import host

Target = Cpu | Cuda

TARGETS = ("auto", "cpu", "cuda", *CUDAS)

__all__ = [
    "AVX2",
    "AVX512",
    "AVX512_VNNI",
    "CPUS",
    "CUDAS",
    "TARGETS",
    "Cpu",
    "Cuda",
    "Target",
    "gpu",
    "host",
    "resolve",
    "runs_on",
]


def resolve(name: str, ordinal: int = 0) -> Target:
    """The target of an option's value, one of TARGETS; ordinal: of the GPU.

    `auto` is the GPU where there is one, else the CPU. An architecture by name need not be that of
    a device here: its kernels can be compiled, not run. Raises Unsupported where `cuda` has no
    device.
    """
    if name == "cpu":
        return host()
    if name == "cuda":
        return gpu(ordinal)
    try:
        found = gpu(ordinal)
    except Unsupported:
        return host() if name == "auto" else CUDAS[name]
    if name in ("auto", found.name):
        return found
    return replace(CUDAS[name], emulated=found.emulated)
