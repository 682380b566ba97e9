"""Ask the machine what it is: the only module that does.

`host()` is the `Cpu` of this machine: instruction set and LLVM's cpu and feature names through
llvmlite, cache sizes from sysfs (the row's defaults where the system does not tell).
"""

from __future__ import annotations

import functools
import re
from dataclasses import replace
from pathlib import Path

from llvmlite import binding

from hidet_core.base.errors import Unsupported

from .cpu import AVX2, AVX512, KB, MB, SINGLE_FMA, Cpu

CACHE_FOLDER = Path("/sys/devices/system/cpu/cpu0/cache")
_AVX512_NEEDS = ("avx512f", "avx512bw", "avx512dq", "avx512vl")
_AVX2_NEEDS = ("avx2", "fma", "f16c")


@functools.cache
def host() -> Cpu:
    """This machine as a target. Raises Unsupported on a CPU without AVX2, FMA and F16C."""
    features = binding.get_host_cpu_features()
    caches = cache_sizes(CACHE_FOLDER)
    if all(features.get(f) for f in _AVX512_NEEDS):
        row = AVX512
    elif all(features.get(f) for f in _AVX2_NEEDS):
        row = AVX2
    else:
        raise Unsupported("this CPU", f"HidetEP needs {', '.join(_AVX2_NEEDS)}")
    llvm_cpu = binding.get_host_cpu_name()
    # server parts, which have AMX, may go by the name of a client part of their generation
    is_single = llvm_cpu in SINGLE_FMA and not features.get("amx-tile")
    return replace(
        row,
        llvm_cpu=llvm_cpu,
        has_vnni=bool(features.get("avx512vnni" if row is AVX512 else "avxvnni")),
        fma_per_cycle=1 if is_single and row is AVX512 else row.fma_per_cycle,
        features=",".join(filter(None, (features.flatten(), row.features))),
        l1_bytes=caches.get(1, row.l1_bytes),
        l2_bytes=caches.get(2, row.l2_bytes),
        l3_bytes=caches.get(3, row.l3_bytes),
    )


def cache_sizes(folder: Path) -> dict[int, int]:
    """Bytes of the data cache of each level described below a sysfs cache folder; levels it does
    not tell are left out.
    """
    sizes: dict[int, int] = {}
    for index in sorted(folder.glob("index*")):
        try:
            level = int((index / "level").read_text())
            kind = (index / "type").read_text().strip()
            size = re.fullmatch(r"(\d+)([KM]?)", (index / "size").read_text().strip())
        except (OSError, ValueError):
            continue
        if kind != "Instruction" and size and int(size[1]) > 0:
            sizes[level] = int(size[1]) * {"": 1, "K": KB, "M": MB}[size[2]]
    return sizes
