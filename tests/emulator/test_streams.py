"""Streams and events: what is ordered, what is not, and that a missing dependency shows."""

import ctypes
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.emulator.cuda import CudaError, address

INVALID_VALUE, INVALID_HANDLE, NOT_READY, NOT_PERMITTED, FAILED = 1, 400, 600, 800, 719
size = ctypes.c_size_t
N = 256

SCALE = """
extern "C" __global__ void kernel(float* x, float factor) {
  x[blockIdx.x * blockDim.x + threadIdx.x] *= factor;
}
"""
HostFunction = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


def stream(cuda, flags=0):
    return cuda.out(ctypes.c_void_p, "cuStreamCreate", flags)


def event(cuda, flags=0):
    return cuda.out(ctypes.c_void_p, "cuEventCreate", flags)


def scale(cuda, pointer, factor, where):
    cuda.launch(cuda.kernel(SCALE), 2, N // 2, pointer, ctypes.c_float(factor), stream=where)


def fill(cuda, pointer, value, where):
    bits = int(np.float32(value).view(np.uint32))
    cuda.cuMemsetD32Async(pointer, bits, size(N), where)


def test_a_stream_is_in_order(cuda_seeds):
    pointer, where = cuda_seeds.alloc(4 * N), stream(cuda_seeds)
    fill(cuda_seeds, pointer, 1, where)
    for factor in (2, 3, 5):
        scale(cuda_seeds, pointer, factor, where)
    cuda_seeds.cuStreamSynchronize(where)
    assert (cuda_seeds.download(pointer, N, np.float32) == 30).all()


def test_an_event_orders_streams(cuda_seeds):
    pointer, first, second = cuda_seeds.alloc(4 * N), stream(cuda_seeds), stream(cuda_seeds, 1)
    done = event(cuda_seeds)
    fill(cuda_seeds, pointer, 1, first)
    cuda_seeds.cuEventRecord(done, first)
    cuda_seeds.cuStreamWaitEvent(second, done, 0)
    scale(cuda_seeds, pointer, 2, second)
    cuda_seeds.cuStreamSynchronize(second)
    assert (cuda_seeds.download(pointer, N, np.float32) == 2).all()


def test_a_missing_event_is_a_race(cuda_seeds):
    pointer, first, second = cuda_seeds.alloc(4 * N), stream(cuda_seeds), stream(cuda_seeds)
    fill(cuda_seeds, pointer, 1, first)
    with pytest.raises(
        CudaError, match=r"race: .*in another stream, without a dependency"
    ) as caught:
        scale(cuda_seeds, pointer, 2, second)
        cuda_seeds.cuCtxSynchronize()
    assert caught.value.code == FAILED


def test_the_default_stream_orders_blocking_streams_only(cuda_seeds):
    pointer, blocking = cuda_seeds.alloc(4 * N), stream(cuda_seeds)
    fill(cuda_seeds, pointer, 1, blocking)
    scale(cuda_seeds, pointer, 2, None)
    scale(cuda_seeds, pointer, 2, blocking)
    cuda_seeds.cuStreamSynchronize(blocking)
    assert (cuda_seeds.download(pointer, N, np.float32) == 4).all()
    free = stream(cuda_seeds, 1)
    fill(cuda_seeds, pointer, 1, free)
    with pytest.raises(CudaError, match="race"):
        scale(cuda_seeds, pointer, 2, None)
        cuda_seeds.cuCtxSynchronize()


def test_waiting_on_the_host_orders(cuda_seeds):
    pointer, first, second = cuda_seeds.alloc(4 * N), stream(cuda_seeds), stream(cuda_seeds, 1)
    fill(cuda_seeds, pointer, 1, first)
    cuda_seeds.cuStreamSynchronize(first)
    scale(cuda_seeds, pointer, 2, second)
    cuda_seeds.cuCtxSynchronize()
    assert (cuda_seeds.download(pointer, N, np.float32) == 2).all()


@pytest.mark.parametrize("where", [1, 2], ids=["legacy", "per thread"])
def test_special_streams(cuda_seeds, where):
    pointer = cuda_seeds.alloc(4 * N)
    fill(cuda_seeds, pointer, 3, ctypes.c_void_p(where))
    cuda_seeds.cuStreamSynchronize(ctypes.c_void_p(where))
    assert (cuda_seeds.download(pointer, N, np.float32) == 3).all()


def test_pinned_memory_is_copied_late_and_pageable_memory_at_once(delayed):
    from_host = np.arange(4, dtype=np.float32)
    cuda = delayed
    pinned = cuda.out(ctypes.c_void_p, "cuMemAllocHost_v2", size(16))
    view = np.ctypeslib.as_array((ctypes.c_float * 4).from_address(pinned.value))
    view[:] = 1
    where, first, second = stream(cuda), cuda.alloc(16), cuda.alloc(16)
    cuda.cuMemcpyHtoDAsync_v2(first, pinned, size(16), where)
    cuda.cuMemcpyHtoDAsync_v2(second, address(from_host), size(16), where)
    view[:] = 2
    from_host[:] = 9
    cuda.cuStreamSynchronize(where)
    assert cuda.download(first, 4, np.float32).tolist() == [2] * 4
    assert cuda.download(second, 4, np.float32).tolist() == [0, 1, 2, 3]


def test_queries(delayed):
    cuda = delayed
    pointer, where, done = cuda.alloc(4 * N), stream(cuda), event(cuda)
    fill(cuda, pointer, 1, where)
    cuda.cuEventRecord(done, where)
    for query, handle in (("cuEventQuery", done), ("cuStreamQuery", where)):
        polls = 0
        while getattr(cuda.library, query)(handle) == NOT_READY:
            polls += 1
        assert polls <= 2
    cuda.cuEventQuery(done)
    assert (cuda.download(pointer, N, np.float32) == 1).all()


def test_times_of_events(cuda_seeds):
    where, start, end = stream(cuda_seeds), event(cuda_seeds), event(cuda_seeds)
    untimed = event(cuda_seeds, 2)
    time = ctypes.c_float(-1)
    with pytest.raises(CudaError, match="not recorded"):
        cuda_seeds.cuEventElapsedTime(ctypes.byref(time), start, end)
    pointer = cuda_seeds.upload(np.ones(N, np.float32))
    for mark in (start, end, untimed):
        cuda_seeds.cuEventRecord(mark, where)
        scale(cuda_seeds, pointer, 1, where)
    cuda_seeds.cuEventSynchronize(end)
    cuda_seeds.cuEventElapsedTime_v2(ctypes.byref(time), start, end)
    assert 0 < time.value < 1000
    with pytest.raises(CudaError, match="keeps no time") as caught:
        cuda_seeds.cuEventElapsedTime(ctypes.byref(time), start, untimed)
    assert caught.value.code == INVALID_HANDLE


def test_host_functions_run_in_order_and_may_not_call_the_api(cuda_seeds):
    where, pointer, seen = stream(cuda_seeds), cuda_seeds.alloc(4 * N), []

    def look(_):
        seen.append(cuda_seeds.library.cuCtxSynchronize())

    function = HostFunction(look)
    fill(cuda_seeds, pointer, 1, where)
    cuda_seeds.cuLaunchHostFunc(where, function, None)
    cuda_seeds.cuStreamSynchronize(where)
    assert seen == [NOT_PERMITTED]


def test_bad_handles(cuda):
    where, done = stream(cuda), event(cuda)
    cuda.cuStreamDestroy_v2(where)
    cuda.cuEventDestroy_v2(done)
    calls = [
        (cuda.cuStreamSynchronize, where),
        (cuda.cuStreamDestroy_v2, where),
        (cuda.cuEventRecord, done, None),
        (cuda.cuEventSynchronize, done),
        (cuda.cuEventDestroy_v2, done),
    ]
    for call, *arguments in calls:
        with pytest.raises(CudaError, match=r"is no (stream|event), or one that was") as caught:
            call(*arguments)
        assert caught.value.code == INVALID_HANDLE
    with pytest.raises(CudaError, match="stream flags"):
        stream(cuda, 8)


def test_flags_and_priorities(cuda):
    least = cuda.out(ctypes.c_int, "cuCtxGetStreamPriorityRange", None)
    assert least.value == 0
    where = cuda.out(ctypes.c_void_p, "cuStreamCreateWithPriority", 1, -1)
    flags = ctypes.c_uint()
    cuda.cuStreamGetFlags(where, ctypes.byref(flags))
    assert flags.value == 1


def test_a_destroyed_stream_finishes_its_work(cuda_seeds):
    pointer, where = cuda_seeds.alloc(4 * N), stream(cuda_seeds)
    fill(cuda_seeds, pointer, 1, where)
    scale(cuda_seeds, pointer, 4, where)
    cuda_seeds.cuStreamDestroy_v2(where)
    cuda_seeds.cuCtxSynchronize()
    assert (cuda_seeds.download(pointer, N, np.float32) == 4).all()


def test_threads_of_the_host_work_side_by_side(cuda_seeds):
    context = cuda_seeds.out(ctypes.c_void_p, "cuCtxGetCurrent")
    kernel = cuda_seeds.kernel(SCALE)

    def work(number):
        cuda_seeds.cuCtxSetCurrent(context)
        where, pointer = stream(cuda_seeds), cuda_seeds.upload(np.ones(N, np.float32))
        for _ in range(5):
            cuda_seeds.launch(kernel, 2, N // 2, pointer, ctypes.c_float(number), stream=where)
        cuda_seeds.cuStreamSynchronize(where)
        return cuda_seeds.download(pointer, N, np.float32)

    with ThreadPoolExecutor(4) as pool:
        for number, result in enumerate(pool.map(work, range(8))):
            assert (result == number**5).all()
