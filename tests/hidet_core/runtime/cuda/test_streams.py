"""Runs in streams of the caller: order, captures into graphs of the caller; threads, processes."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from hidet_core._runtime import CudaArray, Error, Executable
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
from tests.emulator.cuda import compiled
from tests.emulator.hopper import headers

from .conftest import one_launch

CONSTANT = np.array([2.0, 0.5], np.float32)


def load(plan):
    return Executable(serialize(plan), [CONSTANT])


def device_arrays(x):
    return CudaArray(x), [CudaArray(np.zeros_like(x)) for _ in range(2)]


def assert_right(outputs, x):
    np.testing.assert_array_equal(outputs[0].numpy(), 4.5 * x)
    np.testing.assert_array_equal(outputs[1].numpy(), 3 * x)


def test_runs_follow_each_other_in_a_stream(gpu, diamond, rng):
    """Each takes what the one before stores; nobody waits in between."""
    executable = load(diamond)
    x = rng.integers(-4, 4, 6).astype(np.float32)
    first, (middle, aside) = device_arrays(x)
    _, outputs = device_arrays(x)
    with gpu.stream() as stream:
        for _ in range(3):
            executable.run([first], outputs=[middle, aside], stream=stream.value)
            executable.run([middle], outputs=outputs, stream=stream.value)
        gpu.call("cuStreamSynchronize", stream)
        assert_right(outputs, 4.5 * x)


def test_one_frame_in_several_streams(gpu, diamond, rng):
    """The arena of a run that has not ended is not used by the next one in another stream."""
    executable = load(diamond)
    x = rng.integers(-4, 4, 6).astype(np.float32)
    results = [device_arrays(x + turn) for turn in range(6)]
    with gpu.stream() as one, gpu.stream() as other:
        for turn, (array, outputs) in enumerate(results):
            stream = (one, other)[turn % 2]
            executable.run([array], outputs=outputs, stream=stream.value)
        executable.run([x])  # in its own stream, and back on the host
        gpu.call("cuStreamSynchronize", one)
        gpu.call("cuStreamSynchronize", other)
        for turn, (_, outputs) in enumerate(results):
            assert_right(outputs, x + turn)


def test_a_run_captured_by_the_caller(gpu, diamond, rng):
    executable = load(diamond)
    x = rng.integers(-4, 4, 6).astype(np.float32)
    array, outputs = device_arrays(x)
    with gpu.stream() as stream:
        executable.run([array], outputs=outputs, stream=stream.value)
        gpu.call("cuStreamBeginCapture_v2", stream, 0)
        executable.run([array], outputs=outputs, stream=stream.value)
        graph = gpu.captured(stream)
        replay = gpu.made("cuGraphInstantiateWithFlags", graph, 0)
        gpu.call("cuStreamSynchronize", stream)
        for turn in range(4):
            array.fill(x * turn)
            gpu.call("cuGraphLaunch", replay, stream)
            other = executable.run([x[:3]])  # does not touch what the graph uses
            gpu.call("cuStreamSynchronize", stream)
            np.testing.assert_array_equal(other[1], 3 * x[:3])
            assert_right(outputs, x * turn)
        gpu.call("cuGraphExecDestroy", replay)
        gpu.call("cuGraphDestroy", graph)


def test_what_cannot_be_captured(gpu, diamond, rng):
    """The caller's capture goes on after the error."""
    executable = load(diamond)
    x = rng.integers(-4, 4, 6).astype(np.float32)
    array, outputs = device_arrays(x)
    with gpu.stream() as stream:
        gpu.call("cuStreamBeginCapture_v2", stream, 0)
        with pytest.raises(
            ValueError, match=r"captured .*, but no run with these sizes came before"
        ):
            executable.run([array], outputs=outputs, stream=stream.value)
        with pytest.raises(ValueError, match="tensor 'x' is in memory of the host"):
            executable.run([x], outputs=outputs, stream=stream.value)
        gpu.call("cuGraphDestroy", gpu.captured(stream))
        executable.run([array], outputs=outputs, stream=stream.value)
        gpu.call("cuStreamSynchronize", stream)
    assert_right(outputs, x)


def test_threads_share_the_callers_stream(gpu, diamond, rng):
    executable = load(diamond)
    x = rng.integers(-4, 4, 6).astype(np.float32)
    cases = [device_arrays(x + worker) for worker in range(4)]
    with gpu.stream() as stream:

        def many(worker):
            array, outputs = cases[worker]
            for _ in range(5):
                executable.run([array], outputs=outputs, stream=stream.value)

        with ThreadPoolExecutor(4) as pool:
            list(pool.map(many, range(4)))
        gpu.call("cuStreamSynchronize", stream)
    for worker, (_, outputs) in enumerate(cases):
        assert_right(outputs, x + worker)


def test_the_callers_context_is_left_alone(gpu, diamond):
    executable = load(diamond)
    current = gpu.made("cuCtxGetCurrent")
    executable.run([np.zeros(3, np.float32)])
    assert gpu.made("cuCtxGetCurrent").value == current.value
    own = gpu.made("cuCtxCreate_v2", 0, 0)
    executable.run([np.zeros(3, np.float32)])
    assert gpu.made("cuCtxGetCurrent").value == own.value
    gpu.call("cuCtxDestroy_v2", own)


def error_in_child(action):
    """What a forked process prints before it ends by itself."""
    read, write = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            action()
            os.write(write, b"nothing")
        except BaseException as error:
            os.write(write, f"{type(error).__name__}: {error}".encode())
        os._exit(0)
    os.close(write)
    with os.fdopen(read) as pipe:
        text = pipe.read()
    os.waitpid(child, 0)
    return text


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_gets_an_error(gpu, diamond, image):
    executable = load(diamond)
    executable.run([np.zeros(3, np.float32)])
    text = error_in_child(lambda: executable.run([np.zeros(3, np.float32)]))
    assert "Error: CUDA was used before this process was forked" in text
    text = error_in_child(lambda: Executable(serialize(one_launch("add", image)), []))
    assert "start processes with 'spawn'" in text
    executable.run([np.zeros(3, np.float32)])  # the parent goes on


AT_EXIT = """
import numpy as np, pathlib, sys
from hidet_core._runtime import CudaArray, Executable
plan, constant = pathlib.Path(sys.argv[1]).read_bytes(), np.array([2, 0.5], np.float32)
executable = Executable(plan, [constant])
held = CudaArray(np.ones(5, np.float32))
for _ in range(3):
    outputs = executable.run([held])
print(outputs[0])
"""


def test_nothing_is_alive_at_exit(gpu, diamond, tmp_path):
    (tmp_path / "plan").write_bytes(serialize(diamond))
    command = [sys.executable, "-c", AT_EXIT, tmp_path / "plan"]
    environment = {**os.environ, "HIDET_EMULATOR_REPORT": "1"}
    done = subprocess.run(command, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    assert "[4.5 4.5 4.5 4.5 4.5]" in done.stdout
    assert "hidet emulator: 0 objects alive at exit" in done.stderr


@pytest.mark.parametrize(
    ("driver", "message"),
    [
        ("/nowhere/libcuda.so", "no CUDA driver: /nowhere/libcuda.so"),
        ("libm.so.6", "libm.so.6 is no CUDA driver: no cuInit"),
    ],
)
def test_drivers_that_are_none(monkeypatch, diamond, driver, message):
    monkeypatch.setenv("HIDET_CUDA_DRIVER", driver)
    with pytest.raises(Error, match=message):
        Executable(serialize(diamond), [CONSTANT])


# y = 2 x; the weights (here: none) could be loaded before the wait
EARLY = (
    headers()
    + """
extern "C" __global__ void twice(const float* x, float* y) {
  WAIT
  ht_grid_launch_dependents();
  if (threadIdx.x == 0) y[blockIdx.x] = 2 * x[blockIdx.x];
}
"""
)


def chain(source, length=4):
    """y = 2^length x, through kernels that start before the one before them ends."""
    temps = [Buffer(BufferKind.TEMP, 0, 20) for _ in range(length - 1)]
    launches = [
        Launch(0, (Argument(k, stored=False), Argument(k + 1)), (), 5, 1.0, f"twice{k}")
        for k in range(length)
    ]
    return Plan(
        symbols=(),
        inputs=(TensorSpec("x", f32, (5,)),),
        outputs=(TensorSpec("y", f32, (5,)),),
        buffers=(Buffer(BufferKind.INPUT, 0, 20), *temps, Buffer(BufferKind.OUTPUT, 0, 20)),
        kernels=(KernelCode("twice", compiled(source), threads=32, dependent=True),),
        launches=tuple(launches),
        name="chain",
        device="cuda",
    )


@pytest.mark.parametrize("use_graph", [True, False])
def test_kernels_that_start_early(gpu, rng, use_graph):
    plan = chain(EARLY.replace("WAIT", "ht_grid_wait();"))
    executable = Executable(serialize(plan), [], use_graph=use_graph)
    for _ in range(4):
        x = rng.standard_normal(5).astype(np.float32)
        np.testing.assert_array_equal(executable.run([x])[0], 16 * x)
    assert (gpu.count("graph_launches") > 0) >= use_graph


@pytest.mark.parametrize("runs", [1, 2], ids=["stream", "graph"])
def test_kernels_that_start_early_and_do_not_wait(gpu, runs):
    """That they started early is seen: what they read is not there yet."""
    executable = Executable(serialize(chain(EARLY.replace("WAIT", ""))), [], use_graph=runs == 2)
    with pytest.raises(Error, match=r"run of 'chain'.*(race|ht_grid_wait|griddepcontrol)"):
        for _ in range(runs):
            executable.run([np.ones(5, np.float32)])
    del executable
    gpu.reset()
