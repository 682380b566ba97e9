"""Step "conformance": every intrinsic on the device, bit by bit against the emulated device.

The outputs go beside the result, as arrays by case (.npz): fixtures for machines without a GPU.
Where no C++ compiler makes images for the emulated device, the outputs are compared with NumPy's.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any

import numpy as np

from benchmarks.conformance import Case, cases, differs, run
from benchmarks.gpu.driver import CudaError, Device
from benchmarks.gpu.step import Output, main
from hidet_core.base.errors import HidetError
from hidet_core.emulator import compiler

ERRORS = (CudaError, HidetError, OSError, ImportError, ValueError)


def output_of(case: Case, emulated: bool | None = None) -> np.ndarray:
    """On a device of its own: a kernel that fails poisons its context."""
    with Device(emulated=emulated) as device:
        return run(device, case)


def compare(case: Case) -> tuple[np.ndarray, str | None]:
    """The device's output, and how it differs, None: not at all."""
    result = output_of(case)
    problem = differs(case, result, case.expected)
    if compiler() is not None:
        problem = differs(case, result, output_of(case, emulated=True)) or problem
    return result, problem


def run_step(output: Output, args: argparse.Namespace) -> int:
    """Cases that fail do not stop the others."""
    with Device() as device:
        facts: dict[str, Any] = device.facts()
        output.note(device=facts, emulated=device.is_emulated)
    capability = tuple(facts["compute_capability"])
    table = list(cases().values())
    able = [case for case in table if case.needs <= capability]
    chosen = able[:: max(len(able) // 8, 1)] if args.tiny else able
    arrays, failures = {}, {}
    for number, case in enumerate(chosen):
        if output.left <= 0:
            output.note(whole=False, left_out=[case.name for case in chosen[number:]])
            break
        try:
            arrays[case.name], problem = compare(case)
        except ERRORS as error:
            problem = " ".join(str(error).split())[-500:]
        if problem is not None:
            failures[case.name] = problem
            print(problem, file=sys.stderr, flush=True)
        output.note(cases=number + 1, of=len(table), failures=failures)
    np.savez_compressed(output.path.with_suffix(".npz"), **arrays)
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main(run_step))
