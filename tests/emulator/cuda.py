"""The emulated driver for tests: its functions as methods, and a few conveniences."""

import atexit
import ctypes
import functools
import shutil
import tempfile
from pathlib import Path

import numpy as np

from hidet_core.emulator import LIBRARY, compile_image

compiled = functools.lru_cache(maxsize=None)(compile_image)


@functools.cache
def private_library():
    """A copy of the driver: another library, so to reset its state does not end the use of the one
    that the runtime may have loaded into this process.
    """
    folder = tempfile.mkdtemp(prefix="hidet_emulator_")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    loaded = ctypes.CDLL(shutil.copy(LIBRARY, Path(folder) / "libprivate.so"))
    loaded.hidetEmuLastError.restype = ctypes.c_char_p
    return loaded


class CudaError(Exception):
    """A call that did not return CUDA_SUCCESS: its code and the emulator's text."""

    def __init__(self, code, text):
        super().__init__(f"{code}: {text}")
        self.code = code


class Cuda:
    """The driver's functions as methods that raise CudaError, and a few conveniences."""

    def __init__(self, library, seed):
        self.library = library
        self.seed = seed
        self.check(library.hidetEmuReset(seed))

    def start(self):
        self.cuInit(0)
        context = ctypes.c_void_p()
        self.cuDevicePrimaryCtxRetain(ctypes.byref(context), 0)
        self.cuCtxSetCurrent(context)
        return self

    def check(self, code):
        if code != 0:
            raise CudaError(code, self.library.hidetEmuLastError().decode())

    def __getattr__(self, name):
        function = getattr(self.library, name)
        return lambda *arguments: self.check(function(*arguments))

    def out(self, kind, name, *arguments):
        """The value a function puts where its first argument points."""
        value = kind()
        getattr(self, name)(ctypes.byref(value), *arguments)
        return value

    def alloc(self, size):
        return self.out(ctypes.c_uint64, "cuMemAlloc_v2", ctypes.c_size_t(size))

    def upload(self, array):
        """A device copy of the array."""
        pointer = self.alloc(array.nbytes)
        self.cuMemcpyHtoD_v2(pointer, address(array), ctypes.c_size_t(array.nbytes))
        return pointer

    def download(self, pointer, shape, dtype):
        array = np.empty(shape, dtype)
        self.cuMemcpyDtoH_v2(address(array), pointer, ctypes.c_size_t(array.nbytes))
        return array

    def kernel(self, source, name="kernel"):
        module = self.out(ctypes.c_void_p, "cuModuleLoadData", compiled(source))
        return self.out(ctypes.c_void_p, "cuModuleGetFunction", module, name.encode())

    def launch(self, kernel, grid, block, *arguments, shared=0, stream=None):
        """cuLaunchKernel; grid and block are ints or triples, arguments ctypes values."""
        self.cuLaunchKernel(
            kernel, *triple(grid), *triple(block), shared, stream, parameters(*arguments), None
        )

    def launch_early(self, kernel, grid, block, *arguments, shared=0, stream=None):
        """cuLaunchKernelEx of a kernel that waits by itself for those before it."""
        attribute = Attribute(PROGRAMMATIC, 0, (ctypes.c_int * 16)(1))
        config = Config(triple(grid), triple(block), shared, stream, ctypes.pointer(attribute), 1)
        self.cuLaunchKernelEx(ctypes.byref(config), kernel, parameters(*arguments), None)


PROGRAMMATIC = 6  # CU_LAUNCH_ATTRIBUTE_PROGRAMMATIC_STREAM_SERIALIZATION


class Attribute(ctypes.Structure):
    """CUlaunchAttribute."""

    _fields_ = [("id", ctypes.c_int), ("pad", ctypes.c_int), ("value", ctypes.c_int * 16)]


class Config(ctypes.Structure):
    """CUlaunchConfig."""

    _fields_ = [
        ("grid", ctypes.c_uint * 3),
        ("block", ctypes.c_uint * 3),
        ("shared", ctypes.c_uint),
        ("stream", ctypes.c_void_p),
        ("attributes", ctypes.POINTER(Attribute)),
        ("count", ctypes.c_uint),
    ]


def triple(extent):
    return (extent, 1, 1) if isinstance(extent, int) else extent


def parameters(*arguments):
    """kernelParams of ctypes values, which must outlive the call."""
    pointers = (ctypes.c_void_p * max(len(arguments), 1))()
    pointers[: len(arguments)] = [ctypes.addressof(argument) for argument in arguments]
    pointers.kept = arguments
    return pointers


def address(array):
    return ctypes.c_void_p(array.ctypes.data)
