"""Every intrinsic of generated CUDA kernels (`ht_...`), each in a small kernel with random inputs.

`cases()` is the table. A case runs on anything that looks like benchmarks/gpu/driver.py's Device:
the emulated driver in tests, against NumPy; a GPU in scripts/gpu_report.py, bit by bit against the
emulated driver, where its outputs are kept as fixtures.
"""

from benchmarks.conformance.arithmetic import arithmetic_cases
from benchmarks.conformance.case import Case, differs, run, source_of
from benchmarks.conformance.hopper import hopper_cases
from benchmarks.conformance.warp import warp_cases
from benchmarks.conformance.wgmma import wgmma_cases


def cases() -> dict[str, Case]:
    """All, by name."""
    every = [*arithmetic_cases(), *warp_cases(), *hopper_cases(), *wgmma_cases()]
    return {case.name: case for case in every}


__all__ = ["Case", "cases", "differs", "run", "source_of"]
