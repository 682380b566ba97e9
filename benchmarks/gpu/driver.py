"""The CUDA driver by ctypes, for benchmarks: a device, memory, streams, graphs, timed.

    with Device() as device:
        kernel = device.kernel(SOURCE, "copy")
        device.median_ns(lambda: kernel.launch(132, 256, x, y), 20)
It loads what the runtime loads: HIDET_CUDA_DRIVER (a path, or "emulated"), else libcuda.so.1.
Sources are CUDA C++ as generated kernels are, so that NVRTC and the emulator both take them.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import statistics
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hidet_core.build.toolchains import compile_here
from hidet_core.emulator import LIBRARY
from hidet_core.target import Cuda
from hidet_core.target.gpu import described

NON_BLOCKING = 1
MAX_DYNAMIC_SHARED, REGISTERS, LOCAL_BYTES = 8, 4, 3  # attributes of functions
PROGRAMMATIC = 6  # attribute of a launch: may begin before the kernel before it ends
ATTRIBUTES = {
    "shared_bytes_per_block": 97,
    "clock_khz": 13,
    "multiprocessors": 16,
    "memory_clock_khz": 36,
    "bus_bits": 37,
    "l2_bytes": 38,
    "threads_per_multiprocessor": 39,
    "major": 75,
    "minor": 76,
    "shared_bytes_per_multiprocessor": 81,
    "blocks_per_multiprocessor": 106,
}
Handle, Size = ctypes.c_void_p, ctypes.c_size_t


class CudaError(Exception):
    """A call of the driver failed: function, error's name, and the emulator's text."""


class _Attribute(ctypes.Structure):
    _fields_ = (("id", ctypes.c_int), ("pad", ctypes.c_char * 4), ("value", ctypes.c_uint * 16))


class _Config(ctypes.Structure):
    _fields_ = (
        ("extent", ctypes.c_uint * 6),
        ("shared", ctypes.c_uint),
        ("stream", Handle),
        ("attributes", ctypes.POINTER(_Attribute)),
        ("count", ctypes.c_uint),
    )


@dataclass(frozen=True)
class Memory:
    """Bytes of the device."""

    address: int
    nbytes: int


@dataclass(eq=False)
class Kernel:
    """A function of a module. shared: dynamic bytes of a block."""

    device: Device
    handle: Handle
    shared: int = 0
    programmatic: bool = False  # launched so that it may begin before its predecessor ends
    kept: list[Any] = field(default_factory=list)

    def launch(self, grid: int, block: int, *arguments: Memory | int | float) -> None:
        """On the device's stream. Integers are 64 bits, floats 32."""
        values = [_argument(argument) for argument in arguments]
        pointers = (Handle * max(len(values), 1))(*map(ctypes.addressof, values))
        mark = _Attribute(PROGRAMMATIC, b"", (1,))
        config = _Config((grid, 1, 1, block, 1, 1), self.shared, self.device.stream)
        config.attributes, config.count = ctypes.pointer(mark), int(self.programmatic)
        self.device.call(
            "cuLaunchKernelEx", ctypes.byref(config), self.handle, pointers, None
        )  # the driver has copied the arguments when it returns

    def attribute(self, number: int) -> int:
        return self.device.out(ctypes.c_int, "cuFuncGetAttribute", number, self.handle).value


class Device:
    """One device with a stream. Use as a context manager: what was made is released at its end."""

    def __init__(self, ordinal: int = 0, emulated: bool | None = None) -> None:
        chosen = os.environ.get("HIDET_CUDA_DRIVER", "") or "libcuda.so.1"
        self.is_emulated = chosen == "emulated" if emulated is None else emulated
        self.library = ctypes.CDLL(str(LIBRARY) if self.is_emulated else chosen)
        self.call("cuInit", 0)
        self.ordinal = self.out(ctypes.c_int, "cuDeviceGet", ordinal).value
        context = self.out(Handle, "cuDevicePrimaryCtxRetain", self.ordinal)
        self.call("cuCtxSetCurrent", context)
        self.stream = self.out(Handle, "cuStreamCreate", NON_BLOCKING)
        self.begin = self.out(Handle, "cuEventCreate", 0)
        self.end = self.out(Handle, "cuEventCreate", 0)
        self.limits = {
            name: self.out(ctypes.c_int, "cuDeviceGetAttribute", number, self.ordinal).value
            for name, number in ATTRIBUTES.items()
        }
        self._memory: list[int] = []
        self._modules: list[Handle] = []

    # ---- the driver's functions ----------------------------------------------------------------

    def call(self, name: str, *arguments: Any) -> None:
        code = getattr(self.library, name)(*arguments)
        if code != 0:
            raise CudaError(f"{name}: {self._text(code)}")

    def out(self, kind: Any, name: str, *arguments: Any) -> Any:
        """What a function puts where its first argument points."""
        value = kind()
        self.call(name, ctypes.byref(value), *arguments)
        return value

    def _text(self, code: int) -> str:
        name = ctypes.c_char_p()
        self.library.cuGetErrorName(code, ctypes.byref(name))
        said = f"{(name.value or b'').decode()} ({code})"
        if self.is_emulated:
            last = self.library.hidetEmuLastError
            last.restype = ctypes.c_char_p
            said += f": {last().decode()}"
        return said

    # ---- the device ----------------------------------------------------------------------------

    def facts(self) -> dict[str, Any]:
        """What the driver says of the device, in the terms of `target.gpu.described`."""
        name = ctypes.create_string_buffer(256)
        self.call("cuDeviceGetName", name, len(name), self.ordinal)
        limits = dict(self.limits)
        rate = limits.pop("memory_clock_khz") * 1e3 * 2 * limits.pop("bus_bits") / 8
        total = self.out(Size, "cuDeviceTotalMem_v2", self.ordinal).value
        return {
            "name": name.value.decode(),
            "compute_capability": (limits.pop("major"), limits.pop("minor")),
            **limits,
            "memory_bytes_per_second": rate,
            "memory_bytes": total,
            "driver": self.out(ctypes.c_int, "cuDriverGetVersion").value,
            "emulated": self.is_emulated,
        }

    def target(self) -> Cuda:
        """The device as the compiler sees it."""
        return described(self.facts())

    # ---- memory --------------------------------------------------------------------------------

    def alloc(self, nbytes: int) -> Memory:
        address = self.out(ctypes.c_uint64, "cuMemAlloc_v2", Size(max(nbytes, 1))).value
        self._memory.append(address)
        return Memory(address, nbytes)

    def upload(self, array: np.ndarray) -> Memory:
        array = np.ascontiguousarray(array)
        memory = self.alloc(array.nbytes)
        self.write(memory, array)
        return memory

    def write(self, memory: Memory, array: np.ndarray) -> None:
        if array.nbytes:
            self.call(
                "cuMemcpyHtoD_v2", ctypes.c_uint64(memory.address), _host(array), Size(array.nbytes)
            )

    def download(self, memory: Memory, dtype: Any) -> np.ndarray:
        array = np.empty(memory.nbytes // np.dtype(dtype).itemsize, dtype)
        self.call(
            "cuMemcpyDtoH_v2", _host(array), ctypes.c_uint64(memory.address), Size(array.nbytes)
        )
        return array

    def free(self, memory: Memory) -> None:
        self._memory.remove(memory.address)
        self.call("cuMemFree_v2", ctypes.c_uint64(memory.address))

    # ---- kernels -------------------------------------------------------------------------------

    def compile(self, source: str) -> bytes:
        """The image of a source for this device."""
        return compile_here(source, self.target())

    def load(self, image: bytes, name: str, shared: int = 0) -> Kernel:
        """A kernel of an image that launches with so many dynamic bytes of shared memory."""
        module = self.out(Handle, "cuModuleLoadData", image)
        self._modules.append(module)
        kernel = Kernel(self, self.out(Handle, "cuModuleGetFunction", module, name.encode()))
        kernel.kept.append(module)
        if shared:
            self.call("cuFuncSetAttribute", kernel.handle, MAX_DYNAMIC_SHARED, shared)
            kernel.shared = shared
        return kernel

    def unload(self, kernel: Kernel) -> None:
        (module,) = kernel.kept
        self._modules.remove(module)
        self.call("cuModuleUnload", module)

    def kernel(self, source: str, name: str, shared: int = 0) -> Kernel:
        return self.load(self.compile(source), name, shared)

    # ---- time ----------------------------------------------------------------------------------

    def synchronize(self) -> None:
        self.call("cuStreamSynchronize", self.stream)

    @contextlib.contextmanager
    def graph(self, work: Callable[[], None]) -> Iterator[Callable[[], None]]:
        """`work`, captured once, as a function that replays it on the stream."""
        self.call("cuStreamBeginCapture_v2", self.stream, 2)
        try:
            work()
        finally:
            graph = self.out_of_capture()
        try:
            executable = Handle()
            self.call("cuGraphInstantiateWithFlags", ctypes.byref(executable), graph, 0)
        finally:
            self.call("cuGraphDestroy", graph)
        try:
            yield lambda: self.call("cuGraphLaunch", executable, self.stream)
            self.synchronize()
        finally:
            self.call("cuGraphExecDestroy", executable)

    def out_of_capture(self) -> Handle:
        graph = Handle()
        self.call("cuStreamEndCapture", self.stream, ctypes.byref(graph))
        return graph

    def elapsed_ns(self, work: Callable[[], None]) -> float:
        """Device time of what `work` puts on the stream."""
        self.call("cuEventRecord", self.begin, self.stream)
        work()
        self.call("cuEventRecord", self.end, self.stream)
        self.call("cuEventSynchronize", self.end)
        milliseconds = ctypes.c_float()
        self.call("cuEventElapsedTime", ctypes.byref(milliseconds), self.begin, self.end)
        return milliseconds.value * 1e6

    def samples_ns(self, work: Callable[[], None], repeats: int, warm_up: int = 2) -> list[float]:
        for _ in range(warm_up):
            work()
        return [self.elapsed_ns(work) for _ in range(repeats)]

    def median_ns(self, work: Callable[[], None], repeats: int = 11, warm_up: int = 2) -> float:
        return statistics.median(self.samples_ns(work, repeats, warm_up))

    # ---- the end -------------------------------------------------------------------------------

    def close(self) -> None:
        """Release everything; errors are not said, as the device may have failed before."""
        library = self.library
        library.cuStreamSynchronize(self.stream)
        for address in self._memory:
            library.cuMemFree_v2(ctypes.c_uint64(address))
        for module in self._modules:
            library.cuModuleUnload(module)
        for event in (self.begin, self.end):
            library.cuEventDestroy_v2(event)
        library.cuStreamDestroy_v2(self.stream)
        library.cuDevicePrimaryCtxRelease_v2(self.ordinal)
        self._memory, self._modules = [], []

    def __enter__(self) -> Device:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def per_second(amount: float, nanoseconds: float) -> float:
    """amount in a second; 0 where no time was measured."""
    return amount / nanoseconds * 1e9 if nanoseconds > 0 else 0.0


def noise(nbytes: int, dtype: Any = np.float32, seed: int = 0) -> np.ndarray:
    """Random numbers of order one: zeros hide mistakes, and run faster than real data."""
    rng = np.random.default_rng(seed)
    return rng.standard_normal(nbytes // np.dtype(dtype).itemsize, np.float32).astype(dtype)


def spread(samples: Sequence[float]) -> dict[str, float]:
    p10, median, p90 = (float(v) for v in np.percentile(samples, (10, 50, 90)))
    return {"median_ns": median, "p10_ns": p10, "p90_ns": p90, "runs": len(samples)}


def _argument(value: Memory | int | float) -> Any:
    if isinstance(value, Memory):
        return ctypes.c_uint64(value.address)
    return ctypes.c_float(value) if isinstance(value, float) else ctypes.c_int64(value)


def _host(array: np.ndarray) -> Handle:
    return Handle(array.ctypes.data)
