"""Every intrinsic on the emulated device against NumPy, and through NVRTC where it is installed."""

import ctypes
import dataclasses
import re
from dataclasses import dataclass

import numpy as np
import pytest

from benchmarks.conformance import cases, differs, run, source_of
from benchmarks.conformance.case import FOLDER
from hidet_core.emulator import compiler
from tests.emulator.cuda import Cuda, private_library
from tests.emulator.nvrtc import compile_for_device

CASES = cases()
SEEDS = (0, 1, 7)


@dataclass(frozen=True)
class Memory:
    address: int
    nbytes: int


@dataclass(frozen=True)
class Kernel:
    handle: ctypes.c_void_p


class Device:
    """The emulated driver as benchmarks/gpu/driver.py shows a device."""

    stream = None

    def __init__(self, seed):
        self.cuda = Cuda(private_library(), seed).start()

    def call(self, name, *arguments):
        getattr(self.cuda, name)(*arguments)

    def upload(self, array):
        return Memory(self.cuda.upload(array).value, array.nbytes)

    def download(self, memory, dtype):
        count = memory.nbytes // np.dtype(dtype).itemsize
        return self.cuda.download(ctypes.c_uint64(memory.address), count, dtype)

    def synchronize(self):
        self.cuda.cuCtxSynchronize()

    def kernel(self, source, name, shared):
        handle = self.cuda.kernel(source, name)
        self.cuda.cuFuncSetAttribute(handle, 8, shared)
        return Kernel(handle)


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
@pytest.mark.parametrize("name", CASES)
def test_emulated(name):
    case = CASES[name]
    device = Device(SEEDS[len(name) % len(SEEDS)])
    assert differs(case, run(device, case), case.expected) is None


@pytest.mark.parametrize("name", CASES)
def test_for_a_device(name):
    case = CASES[name]
    assert compile_for_device(source_of(case), "sm_90a") == ""


def test_differences_are_seen():
    case = CASES["ht_add i32"]
    wrong = case.expected.copy()
    wrong[5] += 1
    assert re.search(r"1 of 256 elements differ; at \(5,\)", differs(case, wrong, case.expected))
    near = CASES["ht_exp"]
    assert differs(near, near.expected * np.float32(1 + 1e-6), near.expected) is None
    exact = dataclasses.replace(near, rtol=0.0)
    assert differs(exact, near.expected * np.float32(1 + 1e-6), near.expected) is not None


def test_every_intrinsic_has_a_case():
    """Of the headers of instructions; of the arithmetic, those that differ from C++'s own."""
    used = "\n".join(source_of(case)[-4000:] for case in CASES.values())
    for header in ("instructions.h", "hopper.h", "programmatic.h"):
        text = (FOLDER / header).read_text()
        names = set(re.findall(r"^HT_DEV \S+ (ht_\w+)\(", text, re.MULTILINE))
        names -= {"ht_address", "ht_tf32_of", "ht_shared_address"}  # called by the others
        names = {name for name in names if "emu" not in name and "word" not in name}
        assert names and not [name for name in names if f"{name}(" not in used.replace("<", "(")]
