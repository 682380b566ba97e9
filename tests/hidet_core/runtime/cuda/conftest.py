"""Plans for the emulated GPU, of kernels written in CUDA C++.

`gpu` is the emulated driver that the runtime loads (its counters, its last error), under each of
three scheduler seeds; nothing may be alive on it after a test. `row_sum_cuda` is the plan of
`row_sum_plan` for CUDA, `diamond` one with two branches that can run side by side.
"""

import contextlib
import ctypes
import gc
from dataclasses import replace

import pytest

from hidet_core.emulator import LIBRARY, compiler
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Var
from hidet_core.plan import Argument, Buffer, BufferKind, KernelCode, Launch, Plan, TensorSpec
from tests.emulator.cuda import compiled

SEEDS = (0, 1, 7)

# A block for each task, as everywhere. `scale` and `row_sum` as in the CPU's conftest.
SOURCE = """
extern "C" __global__ void scale(const float* x, const float* c, float* out) {
  if (threadIdx.x == 0) out[blockIdx.x] = x[blockIdx.x] * c[0] + x[blockIdx.x];
}
extern "C" __global__ void row_sum(const float* x, float* out, long long cols) {
  if (threadIdx.x > 0) return;
  float sum = 0;
  for (long long j = 0; j < cols; ++j) sum += x[blockIdx.x * cols + j];
  out[blockIdx.x] = sum;
}
extern "C" __global__ void add(const float* a, const float* b, float* out) {
  if (threadIdx.x == 0) out[blockIdx.x] = a[blockIdx.x] + b[blockIdx.x];
}
// Adds x to a workspace, whose values it gives and leaves zero.
extern "C" __global__ void ticket(const float* x, float* zero, float* out) {
  if (threadIdx.x > 0) return;
  zero[blockIdx.x] += x[blockIdx.x];
  out[blockIdx.x] = zero[blockIdx.x];
  zero[blockIdx.x] = 0;
}
extern "C" __global__ void vector(const float4* x, float* out) {
  if (threadIdx.x == 0) out[blockIdx.x] = x[blockIdx.x].x;
}
extern "C" __global__ void large(const float* x, float* out) {
  extern __shared__ float room[];
  room[16000 + threadIdx.x] = x[blockIdx.x];
  if (threadIdx.x == 0) out[blockIdx.x] = room[16000] * 2;
}
extern "C" __global__ void beyond(const float* x, float* out) {
  out[blockIdx.x] = x[blockIdx.x + (1ll << 40)];
}
"""


class Emulator:
    """The driver that the runtime uses, seen from outside."""

    def __init__(self, seed):
        self.seed = seed
        self.library = ctypes.CDLL(str(LIBRARY))
        self.library.hidetEmuCount.restype = ctypes.c_uint64
        self.library.hidetEmuLastError.restype = ctypes.c_char_p

    def count(self, name):
        return self.library.hidetEmuCount(name.encode())

    def call(self, name, *arguments):
        code = getattr(self.library, name)(*arguments)
        if code != 0:
            raise AssertionError(f"{name}: {code} {self.library.hidetEmuLastError()}")

    def made(self, name, *arguments):
        """The handle that a function puts where its first argument points."""
        handle = ctypes.c_void_p()
        self.call(name, ctypes.byref(handle), *arguments)
        return handle

    def captured(self, stream):
        """The graph at the end of a capture."""
        graph = ctypes.c_void_p()
        self.call("cuStreamEndCapture", stream, ctypes.byref(graph))
        return graph

    @contextlib.contextmanager
    def stream(self):
        """A stream of the caller's, in the context that the runtime uses."""
        self.call("cuInit", 0)
        self.call("cuCtxPushCurrent_v2", self.made("cuDevicePrimaryCtxRetain", 0))
        stream = self.made("cuStreamCreate", 1)
        try:
            yield stream
        finally:
            self.call("cuStreamDestroy_v2", stream)
            self.made("cuCtxPopCurrent_v2")
            self.call("cuDevicePrimaryCtxRelease_v2", 0)

    def reset(self):
        gc.collect()
        self.library.hidetEmuReset(0)


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed{seed}")
def gpu(request, monkeypatch):
    if compiler() is None:
        pytest.skip("no C++ compiler")
    monkeypatch.setenv("HIDET_CUDA_DRIVER", "emulated")
    monkeypatch.setenv("HIDET_EMULATOR_SEED", str(request.param))
    emulator = Emulator(request.param)
    gc.collect()
    assert emulator.count("objects") == 0, "another test has left something alive on the device"
    yield emulator
    gc.collect()
    assert emulator.count("objects") == 0


@pytest.fixture(scope="session")
def image():
    return compiled(SOURCE)


def kernel(symbol, image, **shape):
    return KernelCode(symbol, image, **({"threads": 32} | shape))


def reads(*buffers):
    return tuple(Argument(number, stored=False) for number in buffers)


def for_cuda(row_sum_plan, image):
    launches = tuple(
        replace(
            launch,
            args=(*(replace(arg, stored=False) for arg in launch.args[:-1]), launch.args[-1]),
        )
        for launch in row_sum_plan.launches
    )
    kernels = (kernel("scale", image), kernel("row_sum", image))
    return replace(row_sum_plan, device="cuda", kernels=kernels, launches=launches)


@pytest.fixture(scope="session")
def row_sum_cuda(row_sum_plan, image):
    return for_cuda(row_sum_plan, image)


@pytest.fixture(scope="session")
def diamond(image):
    """y = 3 x + 1.5 x and z = 3 x for x [n], through four launches; the constant is (2, 0.5)."""
    n = Var("n")
    size = n * 4
    temp = Buffer(BufferKind.TEMP, 0, size)
    buffers = (
        Buffer(BufferKind.INPUT, 0, size),
        Buffer(BufferKind.CONSTANT, 0, 8),
        temp,
        temp,
        Buffer(BufferKind.OUTPUT, 0, size),
        Buffer(BufferKind.OUTPUT, 1, size),
    )
    half = Argument(1, 4, stored=False)
    launches = (
        Launch(0, (*reads(0, 1), Argument(2)), (), n, 1.0, "left"),
        Launch(0, (*reads(0), half, Argument(3)), (), n, 1.0, "right"),
        Launch(1, (*reads(2, 3), Argument(4)), (), n, 1.0, "join"),
        Launch(0, (*reads(0, 1), Argument(5)), (), n, 1.0, "aside"),
    )
    return Plan(
        symbols=(n,),
        inputs=(TensorSpec("x", f32, (n,)),),
        outputs=(TensorSpec("y", f32, (n,)), TensorSpec("z", f32, (n,))),
        buffers=buffers,
        kernels=(kernel("scale", image), kernel("add", image)),
        launches=launches,
        name="diamond",
        device="cuda",
    )


def one_launch(symbol, image, *, n=5, alignment=1, **shape):
    """y = kernel(x) for x [n] (float4: [4 n])."""
    wide = 4 if symbol == "vector" else 1
    return Plan(
        symbols=(),
        inputs=(TensorSpec("x", f32, (wide * n,)),),
        outputs=(TensorSpec("y", f32, (n,)),),
        buffers=(
            Buffer(BufferKind.INPUT, 0, 4 * wide * n, alignment=alignment),
            Buffer(BufferKind.OUTPUT, 0, 4 * n),
        ),
        kernels=(kernel(symbol, image, **shape),),
        launches=(Launch(0, (*reads(0), Argument(1)), (), n, 1.0, f"run_{symbol}"),),
        name=symbol,
        device="cuda",
    )
