"""Kernels with one mistake each: every one is caught, named, and ends the context's use."""

import ctypes

import numpy as np
import pytest

ILLEGAL_ADDRESS, TIMEOUT, ASSERT, ILLEGAL_INSTRUCTION = 700, 702, 710, 715
MISALIGNED, FAILED = 716, 719
THREADS, WORDS = 64, 256

# name: (code, what the text says, body of kernel(float* data, int* zero)); data has WORDS floats
BROKEN = {
    "global read behind": (
        ILLEGAL_ADDRESS,
        r"out of bounds: global read of 4 bytes .*0 bytes behind allocation \d+ of 1024 bytes",
        "data[t] = data[t + 193];",
    ),
    "global write before": (
        ILLEGAL_ADDRESS,
        r"out of bounds: global write .*4 bytes before allocation",
        "data[t - 1] = 1.0f;",
    ),
    "wide access over the end": (
        ILLEGAL_ADDRESS,
        r"out of bounds: global read of 16 bytes .*its end lies 0 bytes behind",
        "float4 v = *(float4*)zero; data[t] = v.x;",
    ),
    "null pointer": (ILLEGAL_ADDRESS, r"global write .*no allocation is near", "*(int*)8 = t;"),
    "shared read behind": (
        ILLEGAL_ADDRESS,
        r"shared read .*out of bounds: 256 bytes behind the start of a __shared__ variable of 256",
        "__shared__ float a[64]; a[t] = 1; __syncthreads(); data[t] = a[t + 1];",
    ),
    "shared write into the next variable": (
        ILLEGAL_ADDRESS,
        r"shared write .*out of bounds: 2(56|60) bytes behind the start of a __shared__",
        "__shared__ float a[64], b[64]; a[t + 2] = 1; b[t] = 0;",
    ),
    "dynamic shared memory behind": (
        ILLEGAL_ADDRESS,
        r"out of bounds: \d+ bytes behind the start of dynamic shared memory of 128 bytes",
        "extern __shared__ float a[]; a[t] = 1; data[t] = a[t];",
    ),
    "missing barrier, write then read": (
        FAILED,
        r"race: (read without a barrier after a write|write without a barrier after a read)"
        r"|uninitialised",
        "__shared__ float a[64]; a[t] = t; data[t] = a[63 - t];",
    ),
    "missing barrier, read then write": (
        FAILED,
        r"race: (write without a barrier after a read|read without a barrier after a write)",
        "__shared__ float a[64]; a[t] = t; __syncthreads(); float x = a[63 - t]; a[t] = x + 1;",
    ),
    "two writes": (
        FAILED,
        r"race: two writes without a barrier between with thread \d+",
        "__shared__ float a[64]; a[t / 2] = t; __syncthreads(); data[t] = a[t / 2];",
    ),
    "racing bytes of a word": (
        FAILED,
        r"race: two writes",
        "__shared__ char a[64]; a[t & 62] = 1; __syncthreads(); data[t] = a[t & 62];",
    ),
    "plain write against atomics": (
        FAILED,
        r"race:|uninitialised",
        "__shared__ int a; if (t == 0) a = 0; atomicAdd(&a, 1); __syncthreads(); data[t] = a;",
    ),
    "a barrier of the warp for two warps": (
        FAILED,
        r"race:|uninitialised",
        "__shared__ float a[64]; a[t] = t; __syncwarp(); data[t] = a[t ^ 32];",
    ),
    "uninitialised": (
        FAILED,
        r"shared read .*uninitialised: nobody in this block wrote it \(byte 252",
        "__shared__ float a[64]; if (t < 63) a[t] = t; __syncthreads(); data[t] = a[63 - 0 * t];",
    ),
    "global race in a block": (
        FAILED,
        r"global (read|write).*race: .*by thread \d+ of the block",
        "data[t] = t; data[t + 64] = data[63 - t]; data[t] = 2;",
    ),
    "global race of blocks": (
        FAILED,
        r"race: .*by thread \d+ of block number \d of the grid",
        "data[t] = blockIdx.x;",
    ),
    "divergent barrier": (
        FAILED,
        r"divergent barrier: .*(line 12|left the kernel)",
        "if (t < 32) __syncthreads();",
    ),
    "early exit before a barrier": (
        FAILED,
        r"divergent barrier",
        "if (t == 5) return; __syncthreads(); data[t] = 1;",
    ),
    "two barriers": (
        FAILED,
        r"divergent barrier: this thread is in line \d+ .*wait in line \d+",
        "if (t < 32)\n__syncthreads();\nelse\n__syncthreads();",
    ),
    "deadlock of barrier and shuffle": (
        TIMEOUT,
        r"deadlock: \d+ of 64 threads wait at barrier 0 .*lanes 0x\w+ of warp 0 wait in __shfl",
        "if (t == 3) __syncthreads(); float x = __shfl_sync(~0u, 1.0f, 0); __syncthreads();"
        "data[t] = x;",
    ),
    "named barriers in a circle": (
        TIMEOUT,
        r"deadlock: 32 of 64 threads wait at barrier 1 .*32 of 64 threads wait at barrier 2",
        "hidet_emu_named_barrier(t < 32 ? 1 : 2, 64);",
    ),
    "endless spin": (
        TIMEOUT,
        r"deadlock: threads repeat atomics without end",
        "while (atomicAdd(zero, 0) == 0) {}",
    ),
    "endless wait for a flag": (
        TIMEOUT,
        r"deadlock: threads repeat atomics",
        "while (*(volatile int*)zero == 0) {}",
    ),
    "memcpy over an end": (
        ILLEGAL_ADDRESS,
        r"out of bounds: global read of 1028 bytes",
        "float own[257]; memcpy(own, data, 4 * (*zero + 257)); data[t] = own[t];",
    ),
    "shuffle mask without the lane": (
        FAILED,
        r"shuffle mask: __shfl_xor_sync .*mask 0xffff by lane (16|31|\d+), which is not in it",
        "data[t] = __shfl_xor_sync(0xffffu, 1.0f, 1);",
    ),
    "shuffle from a lane outside": (
        FAILED,
        r"shuffle reads a lane that does not take part",
        "if (t < 16) data[t] = __shfl_sync(0xffffu, 1.0f, 20);",
    ),
    "shuffle in a branch": (
        FAILED,
        r"divergent __shfl_down_sync in line \d+: a? ?lane",
        "if (t < 16) data[t] = __shfl_down_sync(~0u, 1.0f, 1);",
    ),
    "two collectives": (
        FAILED,
        r"divergent collectives: lane \d+ is in __(any|all)_sync",
        "data[t] = t < 16 ? __any_sync(~0u, 1) : __all_sync(~0u, 1);",
    ),
    "misaligned float4": (
        MISALIGNED,
        r"misaligned read of 16 bytes at 0x\w+, which is no multiple of 16",
        "float4 v = *(float4*)(data + 1); data[t + 64] = v.x;",
    ),
    "misaligned shared float2": (
        MISALIGNED,
        r"misaligned write of 8 bytes",
        "__shared__ float a[66]; *(float2*)(a + 1) = make_float2(1, 2); data[t] = a[0];",
    ),
    "asynchronous copy read too early": (
        FAILED,
        r"unwaited: an asynchronous copy to it is still pending",
        "__shared__ __align__(16) float a[64];"
        "__pipeline_memcpy_async(a + t, data + t, 4); __pipeline_commit();"
        "data[t + 64] = a[t];",
    ),
    "one group too few waited for": (
        FAILED,
        r"unwaited",
        "__shared__ float a[128]; for (int i = 0; i < 2; ++i) {"
        "__pipeline_memcpy_async(a + i * 64 + t, data + t, 4); __pipeline_commit(); }"
        "__pipeline_wait_prior(1); data[t + 64] = a[t + 64];",
    ),
    "waited for, but no barrier": (
        FAILED,
        r"unwaited|race|uninitialised",
        "__shared__ float a[64]; __pipeline_memcpy_async(a + t, data + t, 4);"
        "__pipeline_commit(); __pipeline_wait_prior(0); data[t + 64] = a[63 - t];",
    ),
    "asynchronous copy of 12 bytes": (
        ILLEGAL_INSTRUCTION,
        r"asynchronous copy of 12 of 12 bytes: 4, 8 or 16",
        "__shared__ float a[64]; __pipeline_memcpy_async(a, data, 12);",
    ),
    "assertion": (ASSERT, r"assertion failed: t < 63", "assert(t < 63);"),
    "trap": (ILLEGAL_INSTRUCTION, r"__trap\(\)", "if (t == 1) __trap();"),
    "local memory of another thread": (
        ILLEGAL_ADDRESS,
        r"local read .*local memory of thread 0 of the block",
        "__shared__ int* p; int own[4] = {*zero, 1, 2, 3}; if (t == 0) p = own; __syncthreads();"
        "int x = t == 0 ? 0 : p[t & 3]; __syncthreads(); data[t] = x + own[t & 3];",
    ),
}
SOURCE = """#define WORDS 256






extern "C" __global__ void kernel(float* data, int* zero) {
  const int t = threadIdx.x;
  (void)t; (void)data; (void)zero;
BODY
}
"""


def place(name):
    return SOURCE.replace("BODY", BROKEN[name][2])


@pytest.mark.parametrize("name", BROKEN)
def test_caught(cuda_seeds, name):
    code, text, _ = BROKEN[name]
    data = cuda_seeds.upload(np.zeros(WORDS, np.float32))
    zero = cuda_seeds.upload(np.zeros(1, np.int32))
    kernel = cuda_seeds.kernel(place(name))
    blocks = 2 if "of blocks" in name else 1
    with pytest.raises(Exception, match=text) as caught:
        cuda_seeds.launch(kernel, blocks, THREADS, data, zero, shared=128)
        cuda_seeds.cuCtxSynchronize()
    assert caught.value.code == code
    assert "; kernel kernel, block (" in str(caught.value) and ", thread (" in str(caught.value)


def test_the_context_is_poisoned(cuda_seeds):
    data = cuda_seeds.upload(np.zeros(WORDS, np.float32))
    kernel = cuda_seeds.kernel(place("global write before"))
    with pytest.raises(Exception, match="out of bounds") as caught:
        cuda_seeds.launch(kernel, 1, THREADS, data, data)
        cuda_seeds.cuCtxSynchronize()
    for call in (lambda: cuda_seeds.alloc(16), cuda_seeds.cuCtxSynchronize):
        with pytest.raises(Exception, match="out of bounds: global write") as again:
            call()
        assert again.value.code == caught.value.code == ILLEGAL_ADDRESS


def test_a_fault_names_its_line(cuda):
    data = cuda.upload(np.zeros(WORDS, np.float32))
    with pytest.raises(Exception, match=r"kernel\.cu:11"):
        cuda.launch(cuda.kernel(place("global write before")), 1, THREADS, data, data)


def test_use_after_free(cuda_seeds):
    data = cuda_seeds.upload(np.zeros(WORDS, np.float32))
    zero = cuda_seeds.upload(np.zeros(1, np.int32))
    kernel = cuda_seeds.kernel(place("global read behind").replace("193", "64"))
    cuda_seeds.cuMemFree_v2(data)
    with pytest.raises(
        Exception, match=r"use after free: global read .*into freed alloc"
    ) as caught:
        cuda_seeds.launch(kernel, 1, THREADS, data, zero)
        cuda_seeds.cuCtxSynchronize()
    assert caught.value.code == ILLEGAL_ADDRESS


def test_freed_in_the_stream_before_the_kernel(cuda_seeds):
    data = cuda_seeds.upload(np.zeros(WORDS, np.float32))
    kernel = cuda_seeds.kernel(place("global read behind").replace("193", "64"))
    stream = cuda_seeds.out(ctypes.c_void_p, "cuStreamCreate", 0)
    cuda_seeds.cuMemFreeAsync(data, stream)
    with pytest.raises(Exception, match="use after free"):
        cuda_seeds.launch(kernel, 1, THREADS, data, data, stream=stream)
        cuda_seeds.cuStreamSynchronize(stream)
