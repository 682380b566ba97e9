"""Step "conformance": every intrinsic on the device against NumPy, and bit by bit the emulator.

wrong: cases whose output is not what NumPy says, within the case's tolerance. bits: cases whose
output the emulator does not give bit for bit; where a case has a tolerance (exp, ...), this is what
the two libraries differ by and no mistake. The device's outputs are kept in FILE.npz by case: the
fixtures against which the emulator is tested where there is no GPU.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from benchmarks.conformance import Case, cases, differs, run
from benchmarks.gpu.driver import CudaError, Device
from benchmarks.gpu.step import Output, main
from hidet_core.base.errors import HidetError
from hidet_core.emulator import compiler

FEW = 6  # cases of a dry run, of every kind


class Runner:
    """Runs cases on a device; one that fails poisons its context, so the next gets a new one."""

    def __init__(self, emulated: bool | None = None) -> None:
        self.emulated = emulated
        self.device: Device | None = None

    def __call__(self, case: Case) -> np.ndarray | str:
        """The output, or why there is none."""
        if self.device is None:
            self.device = Device(emulated=self.emulated)
        try:
            return run(self.device, case)
        except (CudaError, HidetError) as error:
            self.close()
            return " ".join(str(error).split())[-300:]

    def close(self) -> None:
        if self.device is not None:
            self.device.close()
            self.device = None


def conform(output: Output, args: argparse.Namespace) -> int:
    on_device, on_emulator = Runner(), Runner(emulated=True)
    with Device() as device:
        facts = device.facts()
    chosen = [case for case in cases().values() if case.needs <= facts["compute_capability"]]
    if args.tiny:
        chosen = chosen[:: max(1, len(chosen) // FEW)]
    output.note(device=facts["name"], emulated=facts["emulated"], cases=len(chosen))
    wrong: dict[str, str] = {}
    bits: dict[str, str] = {}
    outputs: dict[str, np.ndarray] = {}
    for number, case in enumerate(_until(output, chosen)):
        found = on_device(case)
        if isinstance(found, str):
            wrong[case.name] = found
            continue
        outputs[case.name] = found
        wrong |= _told(case, differs(case, found, case.expected))
        if compiler() is not None:
            bits |= _told(case, _bits(case, found, on_emulator(case)))
        output.note(run=number + 1, wrong=wrong, bits=bits)
    on_device.close()
    on_emulator.close()
    np.savez_compressed(args.outputs, **outputs)
    output.note(run=len(outputs), wrong=wrong, bits=bits)
    return 1 if wrong or not outputs else 0


def _until(output: Output, chosen: list[Case]) -> Iterator[Case]:
    """The cases, as long as there is time."""
    for case in chosen:
        if output.left <= 0:
            output.note(whole=False)
            return
        yield case


def _told(case: Case, why: str | None) -> dict[str, str]:
    return {} if why is None else {case.name: why}


def _bits(case: Case, found: np.ndarray, emulated: np.ndarray | str) -> str | None:
    """None: equal, NaNs of any payload included."""
    if isinstance(emulated, str):
        return f"the emulator fails: {emulated}"
    if np.array_equal(found.view(np.uint8), emulated.view(np.uint8)):
        return None
    same = found == emulated
    if found.dtype.kind == "f":
        same |= np.isnan(found) & np.isnan(emulated)
    count = int(np.size(same) - np.count_nonzero(same))
    return f"{count} of {same.size} elements differ" if count else None


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--outputs", type=Path, required=True, help="file for the outputs, .npz")


if __name__ == "__main__":
    sys.exit(main(conform, add))
