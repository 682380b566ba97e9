"""Which row of nvidia.py a device is, and what an option's target means on this machine."""

from dataclasses import replace

import pytest

from hidet_core import _runtime
from hidet_core.base.errors import Unsupported
from hidet_core.target import CUDAS, gpu, host, resolve, runs_on
from hidet_core.target.gpu import cuda_row, described

H200 = {
    "name": "NVIDIA H200",
    "compute_capability": (9, 0),
    "multiprocessors": 132,
    "clock_khz": 1_980_000,
    "memory_bytes_per_second": 4.8e12,
    "threads_per_multiprocessor": 2048,
    "shared_bytes_per_multiprocessor": 233472,
    "shared_bytes_per_block": 232448,
    "emulated": False,
}


@pytest.mark.parametrize(
    ("capability", "arch"),
    [
        ((8, 0), "sm_80"),
        ((8, 7), "sm_86"),
        ((9, 0), "sm_90a"),
        ((10, 0), "sm_100a"),
        ((10, 3), "sm_100"),  # features of sm_100a are its alone
        ((12, 0), "sm_120"),
    ],
)
def test_the_code_for_a_capability(capability, arch):
    assert cuda_row(*capability, "a device").arch == arch


def test_a_device_that_is_too_old():
    with pytest.raises(Unsupported, match=r"T4: compute capability 7.5, expected 8.0 or newer"):
        cuda_row(7, 5, "T4")


def test_a_row_takes_the_sizes_of_the_device():
    row = described(H200)
    assert (row.name, row.device, row.multiprocessors) == ("sm_90a", "NVIDIA H200", 132)
    assert row.clock_ghz == pytest.approx(1.98) and 4000 < row.bytes_per_ns < 4800
    assert row.toolchain == "cuda" and row.flags == {"arch": "sm_90a"}
    emulated = described(H200 | {"emulated": True})
    assert emulated.toolchain == "emulated" and emulated.code_key != row.code_key


@pytest.mark.parametrize(
    ("code", "capability", "runs"),
    [
        ("sm_80", (8, 0), True),
        ("sm_80", (8, 9), True),
        ("sm_89", (8, 6), False),
        ("sm_86", (9, 0), False),
        ("sm_90a", (9, 0), True),
        ("sm_100a", (10, 3), False),  # features of one chip alone
    ],
)
def test_code_of_an_architecture_runs_on_newer_ones_of_its_generation(code, capability, runs):
    device = cuda_row(*capability, "a device")
    assert runs_on(CUDAS[code], device) is runs
    assert runs_on(CUDAS[code], replace(device, emulated=True))


def _no_device(ordinal):
    raise RuntimeError("libcuda.so.1: cannot open shared object file")


def test_targets_without_a_gpu(monkeypatch):
    monkeypatch.setattr(_runtime, "cuda_device", _no_device, raising=False)
    assert resolve("auto") == resolve("cpu") == host()
    assert resolve("sm_80") == CUDAS["sm_80"]
    with pytest.raises(Unsupported, match=r"CUDA device 1: libcuda.so.1: cannot open"):
        resolve("cuda", 1)


def test_targets_with_a_gpu(monkeypatch):
    emulated = H200 | {"emulated": True}
    monkeypatch.setattr(_runtime, "cuda_device", lambda ordinal: emulated, raising=False)
    assert resolve("auto") == resolve("cuda") == resolve("sm_90a") == gpu()
    assert resolve("cpu") == host()
    other = resolve("sm_80")
    assert other.arch == "sm_80" and other.emulated
