"""Tests that need HIDET_CUDA_DRIVER=emulated from the start of their process.

The provider looks for a driver when it is imported, so such tests run in a child. A folder's
conftest.py takes `pytest_pycollect_makemodule` from here: each of its files becomes one test, which
runs the whole file with pytest in a child process (`pytest FILE` with the variable set runs it
directly). A file that has a line `SEEDS = (0, 1)` runs under each of these seeds of the emulator's
scheduler (HIDET_TEST_SEED). The child fails too if device memory is alive at its end.
"""

import ctypes
import gc
import os
import re
import subprocess
import sys
from pathlib import Path

import onnxruntime
import pytest

from hidet_core.emulator import LIBRARY, compiler

ROOT = Path(__file__).parents[1]
DRIVER, SEED = "HIDET_CUDA_DRIVER", "HIDET_TEST_SEED"
SEEDS = re.compile(r"^SEEDS = \(([\d, ]+)\)", re.MULTILINE)
SECONDS = 1800
LEAK = "device memory is alive at the end: {} allocations of {} bytes"


def is_child():
    return os.environ.get(DRIVER) == "emulated"


class InChild(pytest.Item):
    """A file of tests, run in a child process."""

    seed = "0"

    def runtest(self):
        if compiler() is None:
            pytest.skip("no C++ compiler")
        # a "worker" of this session: it uses our cache folder, and leaves it there
        environment = {
            **os.environ,
            DRIVER: "emulated",
            SEED: self.seed,
            "PYTEST_XDIST_WORKER": "emulated",
        }
        command = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "--color=no"]
        done = subprocess.run(
            [*command, str(self.path)],
            cwd=ROOT,
            env=environment,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        if done.returncode != 0:
            raise ChildFailed(f"{done.stdout}\n{done.stderr}\nexit code {done.returncode}")

    def repr_failure(self, excinfo, style=None):
        if isinstance(excinfo.value, ChildFailed):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self):
        return self.path, 0, f"{self.path.name} on the emulated GPU, {self.name}"


class ChildFailed(Exception):
    """The child's whole output."""


class ChildFile(pytest.File):
    def collect(self):
        found = SEEDS.search(self.path.read_text())
        for seed in re.findall(r"\d+", found[1]) if found else ("0",):
            item = InChild.from_parent(self, name=f"seed{seed}")
            item.seed = seed
            yield item


def pytest_pycollect_makemodule(module_path, parent):
    if is_child():
        return None  # as usual
    return ChildFile.from_parent(parent, path=module_path)


def pytest_sessionstart():
    if is_child():
        driver().hidetEmuReset(int(os.environ.get(SEED, "0")))


def pytest_sessionfinish(session):
    """In the child: without sessions and the plugin nothing may be left on the device."""
    if not is_child() or session.exitstatus != 0:
        return
    gc.collect()
    onnxruntime.unregister_execution_provider_library("HidetEP")
    if count("allocations") > 0:
        print(LEAK.format(count("allocations"), count("bytes")))
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def driver():
    """The emulated driver that this process uses."""
    library = ctypes.CDLL(str(LIBRARY))
    library.hidetEmuCount.restype = ctypes.c_uint64
    return library


def count(name):
    """A number of the emulated driver: "launches", "copies_to_device", ..."""
    return driver().hidetEmuCount(name.encode())


class Counted:
    """What the driver did inside of a `with` block: counted["launches"]."""

    NAMES = (
        "launches",
        "graph_launches",
        "copies_to_device",
        "copies_to_host",
        "copies_on_device",
        "allocations",
    )

    def __enter__(self):
        self.before = {name: count(name) for name in self.NAMES}
        return self

    def __exit__(self, *_):
        self.made = {name: count(name) - self.before[name] for name in self.NAMES}

    def __getitem__(self, name):
        return self.made[name]

    @property
    def copies(self):
        return {name: self.made[name] for name in self.NAMES if name.startswith("copies")}
