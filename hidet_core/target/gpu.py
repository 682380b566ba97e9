"""The NVIDIA GPU of this machine as a target: a row of nvidia.py with the sizes of the device.

`gpu()` asks the driver that the runtime uses (HIDET_CUDA_DRIVER; libcuda.so.1). `cuda_row` picks
the row for a compute capability: code for another major version does not run on a device.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hidet_core import _runtime
from hidet_core.base.errors import Unsupported

from .nvidia import CUDAS, Cuda

OLDEST = (8, 0)
MEMORY_EFFICIENCY = 0.9  # of the bus, at best


def gpu(ordinal: int = 0) -> Cuda:
    """The device as a target. Raises Unsupported where there is no driver, or no such device that
    we have code for.
    """
    try:
        found = _runtime.cuda_device(ordinal)
    except (RuntimeError, ValueError) as error:
        raise Unsupported(f"CUDA device {ordinal}", str(error)) from error
    return described(found)


def described(found: dict[str, Any]) -> Cuda:
    """The row of what `_runtime.cuda_device` says of a device."""
    major, minor = found["compute_capability"]
    return replace(
        cuda_row(major, minor, found["name"]),
        device=found["name"],
        multiprocessors=found["multiprocessors"],
        clock_ghz=found["clock_khz"] / 1e6,
        bytes_per_ns=found["memory_bytes_per_second"] / 1e9 * MEMORY_EFFICIENCY,
        threads_per_multiprocessor=found["threads_per_multiprocessor"],
        shared_bytes_per_multiprocessor=found["shared_bytes_per_multiprocessor"],
        shared_bytes_per_block=found["shared_bytes_per_block"],
        emulated=found["emulated"],
    )


def cuda_row(major: int, minor: int, device: str) -> Cuda:
    """The row of a compute capability, or that of the nearest older one with the same features.

    Raises Unsupported for devices before OLDEST.
    """
    if (major, minor) < OLDEST:
        oldest = ".".join(map(str, OLDEST))
        raise Unsupported(device, f"compute capability {major}.{minor}, expected {oldest} or newer")
    rows = {_capability(row): row for row in CUDAS.values()}
    if (major, minor) in rows:
        return rows[major, minor]
    same = [known for known in rows if known[0] == major and known <= (major, minor)]
    if same:
        nearest = rows[max(same)]
        return replace(nearest, name=f"sm_{major}{minor}", arch=_baseline(nearest.arch))
    # a generation that we do not know: what all have since Ada
    return replace(rows[8, 9], name=f"sm_{major}{minor}", arch=f"sm_{major}{minor}")


def runs_on(code: Cuda, device: Cuda) -> bool:
    """Whether code for one architecture runs on a device of another: on newer ones of the same
    major version, unless it uses features of one chip alone. The emulated GPU runs all.
    """
    if device.emulated or code.arch == device.arch:
        return True
    (major, minor), (device_major, device_minor) = _capability(code), _capability(device)
    is_portable = _baseline(code.arch) == code.arch
    return is_portable and major == device_major and minor <= device_minor


def _capability(row: Cuda) -> tuple[int, int]:
    number = int(row.arch.removeprefix("sm_").rstrip("af"))
    return divmod(number, 10)


def _baseline(arch: str) -> str:
    """The architecture without the features of one chip alone (sm_90a -> sm_90)."""
    return arch.rstrip("af")
