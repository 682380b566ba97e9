"""What the driver counts, and a launch that is made to fail."""

import ctypes

import numpy as np
import pytest

from tests.emulator.cuda import CudaError

SOURCE = """
extern "C" __global__ void scale(float* x) { x[threadIdx.x] *= 2.0f; }
"""
NAMES = ("launches", "copies_to_device", "copies_to_host", "copies_on_device", "allocations")


def count(cuda, name):
    cuda.library.hidetEmuCount.restype = ctypes.c_uint64
    return cuda.library.hidetEmuCount(name.encode())


def counts(cuda):
    return tuple(count(cuda, name) for name in NAMES)


def test_copies_launches_and_living_memory(cuda):
    assert counts(cuda) == (0, 0, 0, 0, 0)
    array = np.ones(32, np.float32)
    pointer = cuda.upload(array)
    assert counts(cuda) == (0, 1, 0, 0, 1)
    cuda.launch(cuda.kernel(SOURCE, "scale"), 1, 32, pointer)
    assert cuda.download(pointer, 32, np.float32)[0] == 2
    assert counts(cuda) == (1, 1, 1, 0, 1)
    other = cuda.alloc(array.nbytes)
    cuda.cuMemcpyDtoD_v2(other, pointer, ctypes.c_size_t(array.nbytes))
    assert counts(cuda) == (1, 1, 1, 1, 2)
    assert count(cuda, "bytes") == 2 * array.nbytes
    cuda.cuMemFree_v2(pointer)
    cuda.cuMemFree_v2(other)
    assert (count(cuda, "allocations"), count(cuda, "bytes")) == (0, 0)
    assert count(cuda, "bananas") == 2**64 - 1


def test_a_launch_that_is_to_fail(cuda):
    pointer = cuda.upload(np.ones(32, np.float32))
    kernel = cuda.kernel(SOURCE, "scale")
    cuda.hidetEmuFailLaunch(2)
    cuda.launch(kernel, 1, 32, pointer)
    with pytest.raises(CudaError, match="was to fail") as caught:
        cuda.launch(kernel, 1, 32, pointer)
        cuda.cuCtxSynchronize()
    assert caught.value.code == 719
    with pytest.raises(CudaError):
        cuda.cuCtxSynchronize()
