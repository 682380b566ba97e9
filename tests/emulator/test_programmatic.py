"""Kernels that start before the kernel before them has ended: what they may not know is a race."""

import ctypes
import os
import subprocess
import sys

import numpy as np
import pytest

from hidet_core.emulator import LIBRARY
from tests.emulator.cuda import CudaError
from tests.emulator.hopper import headers

SIZE = 64

# out[t] = in[t] + weights[t]: each stage of a chain; WAIT is a statement or nothing
SOURCE = (
    headers()
    + """
extern "C" __global__ void kernel(const float* in, const float* weights, float* out) {
  const int t = threadIdx.x;
  const float weight = weights[t];
  BEFORE
  WAIT
  ht_grid_launch_dependents();
  out[t] = in[t] + weight;
}
"""
)
WAITING = SOURCE.replace("BEFORE", "").replace("WAIT", "ht_grid_wait();")


class Chain:
    """Three kernels, each adding the weights to what the last one wrote."""

    def __init__(self, cuda, source):
        self.cuda, self.kernel = cuda, cuda.kernel(source)
        self.weights = cuda.upload(np.arange(SIZE, dtype=np.float32))
        self.values = [cuda.upload(np.zeros(SIZE, np.float32)) for _ in range(4)]
        self.stream = cuda.out(ctypes.c_void_p, "cuStreamCreate", 1)

    def run(self):
        for source, target in zip(self.values[:-1], self.values[1:], strict=True):
            arguments = source, self.weights, target
            self.cuda.launch_early(self.kernel, 1, SIZE, *arguments, stream=self.stream)

    def check(self):
        self.cuda.cuStreamSynchronize(self.stream)
        out = self.cuda.download(self.values[-1], SIZE, np.float32)
        np.testing.assert_array_equal(out, 3 * np.arange(SIZE))


def test_chain_in_a_stream(cuda_seeds):
    chain = Chain(cuda_seeds, WAITING)
    chain.run()
    chain.check()


def test_chain_in_a_captured_graph(cuda_seeds):
    chain = Chain(cuda_seeds, WAITING)
    cuda_seeds.cuStreamBeginCapture_v2(chain.stream, 0)
    chain.run()
    graph = ctypes.c_void_p()
    cuda_seeds.cuStreamEndCapture(chain.stream, ctypes.byref(graph))
    executable = cuda_seeds.out(ctypes.c_void_p, "cuGraphInstantiateWithFlags", graph, 0)
    for _ in range(2):
        cuda_seeds.cuGraphLaunch(executable, chain.stream)
        chain.check()


@pytest.mark.parametrize("captured", [False, True], ids=["stream", "graph"])
def test_missing_wait_is_caught(cuda_seeds, captured):
    chain = Chain(cuda_seeds, SOURCE.replace("BEFORE", "").replace("WAIT", ""))
    with pytest.raises(CudaError, match=r"griddepcontrol\.wait") as caught:
        if captured:
            cuda_seeds.cuStreamBeginCapture_v2(chain.stream, 0)
        chain.run()
        if captured:
            graph = ctypes.c_void_p()
            cuda_seeds.cuStreamEndCapture(chain.stream, ctypes.byref(graph))
            executable = cuda_seeds.out(ctypes.c_void_p, "cuGraphInstantiateWithFlags", graph, 0)
            cuda_seeds.cuGraphLaunch(executable, chain.stream)
        cuda_seeds.cuStreamSynchronize(chain.stream)
    assert caught.value.code == 719


@pytest.mark.parametrize(
    ("before", "text"),
    [
        ("out[t] = in[t];", r"race: read not ordered after a write.*griddepcontrol\.wait"),
        ("out[t] = weight;", r"race: before griddepcontrol\.wait, when the kernel before may"),
        ("float x = in[t]; if (x < 0) weight_of[t] = x;", r"griddepcontrol\.wait"),
    ],
)
def test_access_before_the_wait_is_caught(cuda_seeds, before, text):
    source = WAITING.replace(
        "const float weight = weights[t];", "const float weight = weights[t];" + before
    )
    chain = Chain(cuda_seeds, source.replace("weight_of", "out"))
    with pytest.raises(CudaError, match=text):
        chain.run()
        cuda_seeds.cuStreamSynchronize(chain.stream)


def test_one_thread_waits_for_the_block(cuda_seeds):
    wait = "if (t == 5) ht_grid_wait(); ht_barrier();"
    chain = Chain(cuda_seeds, SOURCE.replace("BEFORE", "").replace("WAIT", wait))
    chain.run()
    chain.check()
    alone = Chain(cuda_seeds, SOURCE.replace("BEFORE", "").replace("WAIT", wait[:28]))
    with pytest.raises(CudaError, match=r"griddepcontrol\.wait"):
        alone.run()
        cuda_seeds.cuStreamSynchronize(alone.stream)


@pytest.mark.parametrize("trigger", ["", "ht_grid_launch_dependents(); "])
def test_a_kernel_that_ends_without_waiting_is_caught(cuda_seeds, trigger):
    """It does nothing wrong itself: the kernels after it would know too little."""
    leave = f"if (in == out) {{ {trigger}return; }} const float weight"
    chain = Chain(cuda_seeds, WAITING.replace("const float weight", leave))
    chain.run()
    chain.check()
    chain.values[2] = chain.values[1]
    with pytest.raises(CudaError, match=r"no thread of it came to griddepcontrol\.wait"):
        chain.run()
        cuda_seeds.cuStreamSynchronize(chain.stream)


def test_what_another_kernel_did_before_is_known(cuda_seeds):
    """Weights that a plain kernel wrote, with an event between, need no wait."""
    chain = Chain(cuda_seeds, WAITING)
    zeros = cuda_seeds.upload(np.zeros(SIZE, np.float32))
    cuda_seeds.launch(
        chain.kernel, 1, SIZE, zeros, chain.weights, chain.values[3], stream=chain.stream
    )
    event = cuda_seeds.out(ctypes.c_void_p, "cuEventCreate", 0)
    cuda_seeds.cuEventRecord(event, chain.stream)
    arguments = zeros, chain.values[3], chain.values[1]
    cuda_seeds.launch_early(chain.kernel, 1, SIZE, *arguments, stream=chain.stream)
    cuda_seeds.cuStreamSynchronize(chain.stream)
    out = cuda_seeds.download(chain.values[1], SIZE, np.float32)
    np.testing.assert_array_equal(out, np.arange(SIZE))


def test_programmatic_edges_leave_a_kernel_by_its_port(cuda_seeds):
    chain = Chain(cuda_seeds, WAITING)
    graph = cuda_seeds.out(ctypes.c_void_p, "cuGraphCreate", 0)
    nodes = [
        cuda_seeds.out(ctypes.c_void_p, "cuGraphAddEmptyNode", graph, None, ctypes.c_size_t(0))
        for _ in range(2)
    ]
    edge = (ctypes.c_ubyte * 8)(1, 0, 1)
    with pytest.raises(CudaError, match="programmatic edges"):
        cuda_seeds.cuGraphAddDependencies_v2(
            graph, ctypes.byref(nodes[0]), ctypes.byref(nodes[1]), edge, ctypes.c_size_t(1)
        )
    assert chain.kernel


def test_seed_of_the_environment():
    """Blocks run in descending order under seed 1: the first one writes last."""
    program = (
        "import ctypes, sys; from tests.emulator.cuda import Cuda\n"
        f"library = ctypes.CDLL({str(LIBRARY)!r}); library.hidetEmuReset = lambda seed: 0\n"
        "cuda = Cuda(library, 0).start()\n"
        "data = cuda.alloc(4)\n"
        "source = 'extern \"C\" __global__ void kernel(int* x) { atomicExch(x, blockIdx.x); }'\n"
        "cuda.launch(cuda.kernel(source), 3, 1, data); cuda.cuCtxSynchronize()\n"
        "print(cuda.download(data, 1, 'int32')[0])\n"
    )
    for seed, last in (("0", "2"), ("1", "0")):
        done = subprocess.run(
            [sys.executable, "-c", program],
            env=os.environ | {"HIDET_EMULATOR_SEED": seed},
            capture_output=True,
            text=True,
            check=True,
        )
        assert done.stdout.strip() == last
