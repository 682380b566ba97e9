"""Allocation, copies, fills."""

import ctypes

import numpy as np
import pytest

from tests.emulator.cuda import CudaError, address

INVALID_VALUE, OUT_OF_MEMORY, NOT_FOUND = 1, 2, 500
size = ctypes.c_size_t


def code(match, call, *arguments):
    with pytest.raises(CudaError, match=match) as caught:
        call(*arguments)
    return caught.value.code


def test_memory_is_counted(cuda):
    def free():
        left, total = size(), size()
        cuda.cuMemGetInfo_v2(ctypes.byref(left), ctypes.byref(total))
        assert total.value == 16 << 30
        return left.value

    before = free()
    pointer = cuda.alloc(1000)
    assert pointer.value % 256 == 0
    assert before - free() == 1000
    cuda.cuMemFree_v2(pointer)
    assert free() == before


def test_allocations_that_fail(cuda):
    assert code("0 bytes", cuda.alloc, 0) == INVALID_VALUE
    assert code("bytes asked for", cuda.alloc, 1 << 40) == OUT_OF_MEMORY


def test_frees_that_fail(cuda):
    pointer = cuda.alloc(64)
    inside = ctypes.c_uint64(pointer.value + 8)
    assert code("8 bytes into allocation", cuda.cuMemFree_v2, inside) == INVALID_VALUE
    cuda.cuMemFree_v2(pointer)
    assert code("double free", cuda.cuMemFree_v2, pointer) == INVALID_VALUE
    cuda.cuMemFree_v2(ctypes.c_uint64(0))
    host = cuda.out(ctypes.c_void_p, "cuMemAllocHost_v2", size(64))
    assert code("no start of device", cuda.cuMemFree_v2, host) == INVALID_VALUE
    cuda.cuMemFreeHost(host)


def test_copies_go_round(cuda):
    data = np.arange(100, dtype=np.float32)
    first, second = cuda.upload(data), cuda.alloc(400)
    cuda.cuMemcpyDtoD_v2(second, first, size(400))
    np.testing.assert_array_equal(cuda.download(second, 100, np.float32), data)
    cuda.cuMemcpy(first, ctypes.c_uint64(second.value + 40), size(40))
    expected = np.concatenate([data[10:20], data[10:]])
    np.testing.assert_array_equal(cuda.download(first, 100, np.float32), expected)


def test_copies_over_an_end(cuda):
    pointer, data = cuda.alloc(64), np.zeros(32, np.float32)
    late = ctypes.c_uint64(pointer.value + 32)
    wide = size(64)
    assert code("behind", cuda.cuMemcpyHtoD_v2, late, address(data), wide) == INVALID_VALUE
    assert code("behind", cuda.cuMemcpyDtoH_v2, address(data), late, wide) == INVALID_VALUE
    assert code("behind", cuda.cuMemcpyDtoD_v2, late, pointer, wide) == INVALID_VALUE
    assert code("null", cuda.cuMemcpyHtoD_v2, pointer, None, wide) == INVALID_VALUE
    host = ctypes.c_uint64(data.ctypes.data)
    assert code("no allocation|behind|before", cuda.cuMemcpyDtoD_v2, pointer, host, wide) == 1
    cuda.cuMemcpyHtoD_v2(pointer, None, size(0))


@pytest.mark.parametrize(
    ("name", "value", "dtype"),
    [("D8", 7, np.uint8), ("D16", 0x1234, np.uint16), ("D32", 0x12345678, np.uint32)],
)
def test_fills(cuda_seeds, name, value, dtype):
    pointer = cuda_seeds.upload(np.zeros(10, dtype))
    width = np.dtype(dtype).itemsize
    inner = ctypes.c_uint64(pointer.value + 2 * width)
    getattr(cuda_seeds, f"cuMemset{name}_v2")(inner, value, size(5))
    getattr(cuda_seeds, f"cuMemset{name}Async")(inner, value + 1, size(2), None)
    expected = [0, 0, value + 1, value + 1, value, value, value, 0, 0, 0]
    np.testing.assert_array_equal(cuda_seeds.download(pointer, 10, dtype), expected)


def test_fills_that_fail(cuda):
    pointer = cuda.alloc(64)
    odd = ctypes.c_uint64(pointer.value + 2)
    assert code("no multiple of 4", cuda.cuMemsetD32_v2, odd, 0, size(1)) == INVALID_VALUE
    assert code("behind", cuda.cuMemsetD8_v2, pointer, 0, size(65)) == INVALID_VALUE


def test_what_a_pointer_is(cuda):
    device = cuda.alloc(64)
    host = cuda.out(ctypes.c_void_p, "cuMemHostAlloc", size(64), 0)
    kinds = [
        cuda.out(ctypes.c_uint, "cuPointerGetAttribute", 2, pointer).value
        for pointer in (device, host)
    ]
    assert kinds == [2, 1]
    mapped = cuda.out(ctypes.c_uint64, "cuMemHostGetDevicePointer_v2", host, 0)
    assert mapped.value == host.value
    base, extent = ctypes.c_uint64(), size()
    inside = ctypes.c_uint64(device.value + 63)
    cuda.cuMemGetAddressRange_v2(ctypes.byref(base), ctypes.byref(extent), inside)
    assert (base.value, extent.value) == (device.value, 64)
    behind = ctypes.c_uint64(device.value + 64)
    assert code("behind", cuda.cuMemGetAddressRange_v2, None, None, behind) == NOT_FOUND


def test_stream_ordered_memory(cuda_seeds):
    cuda = cuda_seeds
    stream = cuda.out(ctypes.c_void_p, "cuStreamCreate", 0)
    pool = cuda.out(ctypes.c_void_p, "cuDeviceGetDefaultMemPool", 0)
    threshold = ctypes.c_uint64(1 << 20)
    cuda.cuMemPoolSetAttribute(pool, 4, ctypes.byref(threshold))
    read = ctypes.c_uint64()
    cuda.cuMemPoolGetAttribute(pool, 4, ctypes.byref(read))
    assert read.value == 1 << 20
    first = cuda.out(ctypes.c_uint64, "cuMemAllocAsync", size(256), stream)
    second = cuda.out(ctypes.c_uint64, "cuMemAllocFromPoolAsync", size(256), pool, stream)
    cuda.cuMemsetD8Async(first, 3, size(256), stream)
    cuda.cuMemcpyDtoDAsync_v2(second, first, size(256), stream)
    cuda.cuMemFreeAsync(first, stream)
    cuda.cuStreamSynchronize(stream)
    assert (cuda.download(second, 256, np.uint8) == 3).all()
    cuda.cuMemFreeAsync(second, stream)
    cuda.cuStreamSynchronize(stream)
    cuda.cuMemPoolTrimTo(pool, size(0))
    cuda.cuMemPoolGetAttribute(pool, 7, ctypes.byref(read))
    assert read.value == 0
    assert code("freed", cuda.cuMemFreeAsync, second, stream) == INVALID_VALUE


def test_registered_host_memory(cuda_seeds):
    """A kernel may use memory of the host while it is registered."""
    source = 'extern "C" __global__ void kernel(float* x) { x[threadIdx.x] += 1; }'
    values = np.arange(8, dtype=np.float32)
    kernel = cuda_seeds.kernel(source)
    cuda_seeds.cuMemHostRegister_v2(address(values), ctypes.c_size_t(values.nbytes), 0)
    with pytest.raises(CudaError, match="cannot be registered"):
        cuda_seeds.cuMemHostRegister_v2(address(values), ctypes.c_size_t(4), 0)
    place = cuda_seeds.out(ctypes.c_uint64, "cuMemHostGetDevicePointer_v2", address(values), 0)
    cuda_seeds.launch(kernel, 1, 8, place)
    cuda_seeds.cuCtxSynchronize()
    np.testing.assert_array_equal(values, np.arange(1, 9))
    with pytest.raises(CudaError, match="no start of pinned host memory"):
        cuda_seeds.cuMemFreeHost(address(values))
    cuda_seeds.cuMemHostUnregister(address(values))
    with pytest.raises(CudaError, match="not registered"):
        cuda_seeds.cuMemHostUnregister(address(values))
    with pytest.raises(CudaError, match="out of bounds"):
        cuda_seeds.launch(kernel, 1, 8, place)
        cuda_seeds.cuCtxSynchronize()
