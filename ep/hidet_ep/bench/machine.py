"""What a figure was measured on: processor, GPU, cores, memory, versions. No host name, no path."""

import os
import platform
import shutil
import subprocess
from importlib import metadata
from pathlib import Path

import numpy as np
import onnxruntime as ort

CPUINFO = Path("/proc/cpuinfo")
VECTOR_FLAGS = ("avx2", "fma", "avx512f", "avx512_vnni", "avx512_bf16", "amx_tile", "asimd")
DISTRIBUTIONS = ("onnxruntime-ep-hidet", "onnx", "llvmlite", "nvidia-cuda-nvrtc")
DRIVER = "HIDET_CUDA_DRIVER"
EMULATED = "emulated: times mean nothing"
SMI = ["nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader"]


def describe_machine() -> dict[str, object]:
    info = _cpuinfo()
    flags = info.get("flags", info.get("Features", "")).split()
    return {
        "cpu": info.get("model name") or platform.processor() or platform.machine(),
        "vector": [flag for flag in VECTOR_FLAGS if flag in flags],
        "gpu": gpu(),
        "cores": len(os.sched_getaffinity(0)),
        "memory_gib": round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30),
        "os": platform.system(),
        "versions": versions(),
    }


def gpu() -> str | None:
    """Name and driver of the first GPU; None where there is none that its driver tells of."""
    if os.environ.get(DRIVER) == "emulated":
        return EMULATED
    if shutil.which(SMI[0]) is None:
        return None
    done = subprocess.run(SMI, capture_output=True, text=True, timeout=60)
    name, _, driver = (done.stdout.splitlines() or [""])[0].partition(", ")
    return f"{name} (driver {driver})" if done.returncode == 0 and name else None


def versions() -> dict[str, str]:
    found = {"python": platform.python_version(), "numpy": np.__version__}
    found["onnxruntime"] = ort.__version__
    for name in DISTRIBUTIONS:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _cpuinfo() -> dict[str, str]:
    """The fields of the first processor."""
    if not CPUINFO.exists():
        return {}
    first = CPUINFO.read_text().split("\n\n", 1)[0]
    pairs = (line.partition(":") for line in first.splitlines())
    return {key.strip(): value.strip() for key, _, value in pairs}
