"""Kernels with large buffers on the stack, called by threads that have small ones."""

import subprocess
import sys

import pytest

from hidet_core.ir.dtypes import f32
from hidet_core.plan import (
    Argument,
    Buffer,
    BufferKind,
    KernelCode,
    Launch,
    Plan,
    TensorSpec,
    serialize,
)

# What fails here ends the process. Two callers at once, several times; the pool's threads help.
CALLERS = """
import pathlib, sys, threading
import numpy as np
from hidet_core._runtime import Executable
executable = Executable(pathlib.Path(sys.argv[1]).read_bytes(), [])
right = []
def call():
    for _ in range(3):
        (y,) = executable.run([], threads=int(sys.argv[3]))
        right.append(bool((y == np.arange(20)).all()))
threading.stack_size(int(sys.argv[2]))
callers = [threading.Thread(target=call) for _ in range(2)]
for caller in callers: caller.start()
for caller in callers: caller.join()
call()
print(right.count(True), len(right))
"""


@pytest.fixture
def plan(objects):
    return Plan(
        symbols=(),
        inputs=(),
        outputs=(TensorSpec("y", f32, (20,)),),
        buffers=(Buffer(BufferKind.OUTPUT, 0, 80),),
        kernels=(KernelCode("deep", objects["deep"]),),
        launches=(Launch(0, (Argument(0),), (), 20, 1e5, "deep"),),
        name="deep",
    )


@pytest.mark.parametrize("threads", [1, 2])
@pytest.mark.parametrize("kilobytes", [256, 512, 1024, 8192])
def test_threads_with_small_stacks(plan, tmp_path, kilobytes, threads):
    (tmp_path / "plan").write_bytes(serialize(plan))
    arguments = [tmp_path / "plan", str(kilobytes * 1024), str(threads)]
    done = subprocess.run(
        [sys.executable, "-c", CALLERS, *arguments], capture_output=True, text=True
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, "9 9\n", "")
