"""Kernels for sm_90a with one mistake each: caught by a check, or by numbers plainly wrong.

The first table changes one thing in a matrix multiplication that is right (hopper.py); the second
one has small kernels.
"""

import ctypes

import numpy as np
import pytest

from tests.emulator.cuda import CudaError
from tests.emulator.hopper import FLOAT32, gemm_source, headers, run_gemm, tensor_map

TIMEOUT, ILLEGAL_INSTRUCTION, MISALIGNED, FAILED = 702, 715, 716, 719

# name: (what the text says, None: wrong numbers; old text; new text)
MUTANTS = {
    "missing wait for a full stage": (
        r"unwaited: an asynchronous copy|uninitialised",
        "ht_mbarrier_wait(full + stage, parity);",
        "",
    ),
    "missing wait for an empty stage": (
        r"race: write without a barrier after a read with an asynchronous engine"
        r"|unwaited|arrivals",
        "ht_mbarrier_wait(empty + stage, parity ^ 1);",
        "",
    ),
    "wrong phase of the empty stages": (
        r"deadlock: .*threads? waits? at the mbarrier",
        "empty + stage, parity ^ 1",
        "empty + stage, parity",
    ),
    "wrong phase of the full stages": (
        r"unwaited|uninitialised|race|deadlock",
        "full + stage, parity);\n        ht_wgmma",
        "full + stage, parity ^ 1);\n        ht_wgmma",
    ),
    "phase never flips": (
        r"race|unwaited|deadlock|arrivals",
        "stage = 0, parity ^= 1;\n      }\n      const int row",
        "stage = 0;\n      }\n      const int row",
    ),
    "too few bytes expected": (
        r"unwaited|uninitialised|deadlock",
        "full + stage, stage_bytes)",
        "full + stage, TILE_M * 128)",
    ),
    "too many bytes expected": (
        r"deadlock: .*whose phase 0 misses 0 of 1 arrivals and 128 bytes",
        "full + stage, stage_bytes)",
        "full + stage, stage_bytes + 128)",
    ),
    "every thread arrives": (
        r"mbarrier.arrive of 1 threads: phase \d+ .* misses \d+ of 2 arrivals|race|deadlock",
        "if (thread % 128 == 0) ht_mbarrier_arrive",
        "ht_mbarrier_arrive",
    ),
    "arrival before the wait for wgmma": (
        r"race: write without a barrier after a read with an asynchronous engine",
        "ht_wgmma_wait<0>();\n        if (thread % 128 == 0) ht_mbarrier_arrive(empty + stage);",
        "if (thread % 128 == 0) ht_mbarrier_arrive(empty + stage); ht_wgmma_wait<0>();",
    ),
    "no wait for wgmma": (
        r"race: write without a barrier after a read|unwaited: the thread leaves",
        "ht_wgmma_wait<0>();",
        "",
    ),
    "wait for one group too few": (
        r"race: write without a barrier after a read|unwaited: the thread leaves",
        "ht_wgmma_wait<0>();",
        "ht_wgmma_wait<1>();",
    ),
    "no commit": (
        r"race: write without a barrier after a read|unwaited: the thread leaves",
        "ht_wgmma_commit();",
        "",
    ),
    "no fence before wgmma": (
        r"wgmma in line \d+ without wgmma.fence",
        "ht_wgmma_fence();",
        "",
    ),
    "wrong step of a descriptor": (None, "right + part * 32", "right + part * 16"),
    "wrong stride of a descriptor": (
        r"uninitialised|out of bounds|unwaited|race",
        "left + part * 32, 16, 1024",
        "left + part * 32, 16, 8192",
    ),
    "swizzle of 64 instead of 128 bytes": (None, "<128>(left", "<64>(left"),
    "accumulators never reset": (None, "step + part)", "1)"),
    "one thread skips wgmma": (
        r"deadlock: .*127 of 128 threads of warpgroup \d wait in wgmma|divergent",
        "ht_wgmma_fence();",
        "ht_wgmma_fence(); if (thread == 5) continue;",
    ),
    "warpgroups share a descriptor by mistake": (
        r"divergent wgmma",
        "arena + stage * stage_bytes + group * 64 * 128",
        "arena + stage * stage_bytes + group * 64 * 128 + (thread % 128 < 64 ? 0 : 1024)",
    ),
    "mbarriers not fenced": (r"proxy: .*without fence.mbarrier_init", "ht_mbarrier_fence();", ""),
    "no barrier after the initialisation": (
        r"race: |no mbarrier was initialised|uninitialised",
        "ht_barrier();",
        "",
    ),
    "all lanes copy": (
        r"unwaited: an asynchronous copy|arrivals|race",
        "if (thread % 128 == 0) {",
        "if (thread % 128 < 2) {",
    ),
    "more registers than there are": (
        r"deadlock: .*threads wait in setmaxnreg for registers",
        "ht_registers_increase<232>",
        "ht_registers_increase<240>",
    ),
    "registers of a part of a warp": (
        r"divergent collectives?: lane \d+ is in|divergent setmaxnreg|deadlock",
        "ht_registers_decrease<40>();",
        "if (thread % 32 > 3) ht_registers_decrease<40>();",
    ),
}


@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_caught(cuda_seeds, name):
    text, old, new = MUTANTS[name]
    source = gemm_source()
    for word, value in (("TILE_M", "128"), ("TILE_N", "64")):
        old, new = old.replace(word, value), new.replace(word, value)
    assert old in source
    rng = np.random.default_rng(3)
    a, b = (rng.standard_normal(shape).astype(np.float16) for shape in ((140, 328), (64, 328)))
    bias = np.zeros(64, np.float32)
    if text is not None:
        with pytest.raises(CudaError, match=text):
            run_gemm(cuda_seeds, source.replace(old, new), a, b, bias, grid=1)
        return
    out = run_gemm(cuda_seeds, source.replace(old, new), a, b, bias, grid=1)
    expected = np.maximum(a.astype(np.float64) @ b.astype(np.float64).T, 0)
    assert not np.mean(np.abs(out - expected)) < 1


# name: (code, text, body); one block of 128 threads t; `map` is a float matrix [64, 32], boxes of
# [8, 32] floats, not swizzled; data holds 64 * 32 floats
PRELUDE = """
  extern __shared__ __align__(1024) unsigned char arena[];
  float* tile = reinterpret_cast<float*>(arena);
  u64* bar = reinterpret_cast<u64*>(arena + 4096);
  const int t = threadIdx.x;
  (void)tile; (void)bar; (void)t;
"""
READY = "if (t == 0) { ht_mbarrier_init(bar, 1); ht_mbarrier_fence(); } ht_barrier();"
LOAD = "if (t == 0) { ht_mbarrier_expect(bar, 1024); ht_tensor_load(tile, &map, bar, 0, 0); }"
SMALL = {
    "store without fence.proxy.async": (
        FAILED,
        r"proxy: an asynchronous read of a thread's write, without fence.proxy.async",
        "tile[t] = t; tile[t + 128] = t; ht_barrier(); if (t == 0) {"
        "ht_tensor_store(&map, tile, 0, 0); ht_tensor_store_commit(); ht_tensor_store_wait<0>(); }",
    ),
    "fence.proxy.async after the barrier by another thread than the store's": (
        FAILED,
        r"proxy: ",
        "tile[t] = t; tile[t + 128] = t; ht_barrier(); if (t == 1) ht_fence_proxy_async();"
        "if (t == 0) {"
        "ht_tensor_store(&map, tile, 0, 0); ht_tensor_store_commit(); ht_tensor_store_wait<0>(); }",
    ),
    "store without a barrier": (
        FAILED,
        r"race: read without a barrier after a write|uninitialised",
        "tile[t] = t; tile[t + 128] = t; ht_fence_proxy_async(); if (t == 0) {"
        "ht_tensor_store(&map, tile, 0, 0); ht_tensor_store_commit(); ht_tensor_store_wait<0>(); }",
    ),
    "tile written again before the store has read it": (
        FAILED,
        r"race: write without a barrier after a read with an asynchronous engine",
        "tile[t] = t; tile[t + 128] = t; ht_fence_proxy_async(); ht_barrier(); if (t == 0) {"
        "ht_tensor_store(&map, tile, 0, 0); ht_tensor_store_commit(); } ht_barrier(); tile[t] = 1;",
    ),
    "exit before the store has read": (
        FAILED,
        r"unwaited: the thread leaves the kernel while its tensor store reads",
        "tile[t] = t; tile[t + 128] = t; ht_fence_proxy_async(); ht_barrier(); if (t == 0) {"
        "ht_tensor_store(&map, tile, 0, 0); ht_tensor_store_commit(); }",
    ),
    "read of a store's result before it is complete": (
        ILLEGAL_INSTRUCTION,
        r"__trap",
        "tile[t] = t + 1; tile[t + 128] = t; ht_fence_proxy_async(); ht_barrier(); if (t == 0) {"
        "ht_tensor_store(&map, tile, 0, 0); ht_tensor_store_commit();"
        "ht_tensor_store_wait_read<0>(); if (data[0] != 1) __trap(); ht_tensor_store_wait<0>(); }",
    ),
    "load over what a thread wrote": (
        FAILED,
        r"proxy: an asynchronous write after a thread's, without fence.proxy.async",
        READY + "tile[t] = 0; ht_barrier();" + LOAD + "ht_mbarrier_wait(bar, 0);",
    ),
    "block ends while a load is pending": (
        FAILED,
        r"unwaited: the block ends while a tensor load",
        READY + LOAD,
    ),
    "another thread waited for the load": (
        FAILED,
        r"race: read without a barrier after a write with an asynchronous engine|unwaited"
        r"|uninitialised",
        READY + LOAD + "if (t < 64) ht_mbarrier_wait(bar, 0); data[t] = tile[t];"
        "ht_mbarrier_wait(bar, 0);",
    ),
    "load to a place that is not aligned": (
        MISALIGNED,
        r"tensor load: the box's place .* no multiple of 128",
        READY + "if (t == 0) ht_tensor_load(tile + 4, &map, bar, 0, 0);",
    ),
    "load over the end of shared memory": (
        700,
        r"out of bounds: \d+ bytes behind the start of dynamic shared memory",
        READY + "if (t == 0) ht_tensor_load(arena + 4096 - 896 + 1024, &map, bar, 0, 0);",
    ),
    "load with the wrong rank": (
        ILLEGAL_INSTRUCTION,
        r"tensor load of rank 3: this is no tensor map of that rank",
        READY + "if (t == 0) ht_tensor_load(tile, &map, bar, 0, 0, 0);",
    ),
    "no map": (
        ILLEGAL_INSTRUCTION,
        r"this is no tensor map",
        READY + "ht_tensor_map none{}; if (t == 0) ht_tensor_load(tile, &none, bar, 0, 0);",
    ),
    "mbarrier initialised twice": (
        FAILED,
        r"mbarrier.init of the mbarrier at byte \d+, which is one already",
        "if (t == 0) { ht_mbarrier_init(bar, 1); ht_mbarrier_init(bar, 1); }",
    ),
    "arrival without mbarrier": (
        FAILED,
        r"mbarrier.arrive at .*, where no mbarrier was initialised",
        "ht_mbarrier_arrive(bar);",
    ),
    "named barrier with the wrong count": (
        TIMEOUT,
        r"deadlock: 64 of 96 threads wait at barrier 3",
        "if (t < 64) ht_named_barrier(3, 96);",
    ),
    "named barriers with different counts": (
        FAILED,
        r"divergent barrier: this thread is in line \d+ with (64|96) threads",
        "ht_named_barrier(3, t % 64 < 32 ? 64 : 96);",
    ),
    "named barrier of another number": (
        FAILED,
        r"race: |uninitialised",
        "tile[t] = t; ht_named_barrier(t < 64 ? 1 : 2, 64); data[t] = tile[t ^ 64];",
    ),
    "a write after an arrival that it does not precede": (
        FAILED,
        r"race: |uninitialised",
        "if (t < 64) { ht_named_barrier_arrive(1, 128); tile[t] = t; }"
        "else { ht_named_barrier(1, 128); data[t] = tile[t - 64]; }",
    ),
    "a write after an mbarrier's arrival": (
        FAILED,
        r"race: |uninitialised",
        "if (t == 0) ht_mbarrier_init(bar, 64); ht_barrier();"
        "if (t < 64) { ht_mbarrier_arrive(bar); tile[t] = t; }"
        "else { ht_mbarrier_wait(bar, 0); data[t] = tile[t - 64]; }",
    ),
    "setmaxnreg of an odd number": (
        ILLEGAL_INSTRUCTION,
        r"setmaxnreg.dec to 41 registers",
        "ht_registers_decrease<41>();",
    ),
    "accumulators written while wgmma runs": (
        FAILED,
        r"accumulators of a wgmma were written before it was waited for",
        "tile[t] = 0; for (int i = t; i < 1024; i += 128) tile[i] = 0; ht_fence_proxy_async();"
        "ht_barrier(); float d[4] = {}; ht_wgmma_fence();"
        "u64 o = ht_wgmma_operand<0>(tile, 128, 256); ht_wgmma_f16_n8(d, o, o, 1);"
        "ht_wgmma_commit(); d[t % 4] = 1; ht_wgmma_wait<0>(); data[t] = d[0];",
    ),
    "wgmma reads what threads wrote without fence.proxy.async": (
        FAILED,
        r"proxy: an asynchronous read of a thread's write",
        "for (int i = t; i < 1024; i += 128) tile[i] = 0; ht_barrier(); float d[4] = {};"
        "ht_wgmma_fence(); u64 o = ht_wgmma_operand<0>(tile, 128, 256);"
        "ht_wgmma_f16_n8(d, o, o, 1); ht_wgmma_commit(); ht_wgmma_wait<0>(); data[t] = d[0];",
    ),
}
SMALL_SOURCE = """
extern "C" __global__ void __launch_bounds__(128, 1)
kernel(const HT_GRID_CONSTANT ht_tensor_map map, float* data) {
"""


def small_source(name):
    return headers(("f16", 8)) + SMALL_SOURCE + PRELUDE + SMALL[name][2] + "\n}\n"


@pytest.mark.parametrize("name", SMALL)
def test_small_mistake_is_caught(cuda_seeds, name):
    code, text, _ = SMALL[name]
    data = cuda_seeds.upload(np.zeros((64, 32), np.float32))
    box = tensor_map(cuda_seeds, FLOAT32, data, (32, 64), (128,), (32, 8))
    source = small_source(name)
    with pytest.raises(CudaError, match=text) as caught:
        cuda_seeds.launch(cuda_seeds.kernel(source), 1, 128, box, data, shared=4104)
        cuda_seeds.cuCtxSynchronize()
    assert caught.value.code == code


def test_fence_by_the_thread_that_stores(cuda_seeds):
    """One fence after the barrier, by the thread that goes on, is as good as everybody's."""
    data = cuda_seeds.upload(np.zeros((64, 32), np.float32))
    box = tensor_map(cuda_seeds, FLOAT32, data, (32, 64), (128,), (32, 8))
    body = (
        "tile[t] = t; tile[t + 128] = t + 128; ht_barrier(); if (t == 0) { ht_fence_proxy_async();"
        "ht_tensor_store(&map, tile, 0, 60); ht_tensor_store_commit();"
        "ht_tensor_store_wait_read<0>(); } ht_barrier(); tile[t] = 7;"
    )
    source = headers() + SMALL_SOURCE + PRELUDE + body + "\n}\n"
    cuda_seeds.launch(cuda_seeds.kernel(source), 1, 128, box, data, shared=4104)
    cuda_seeds.cuCtxSynchronize()
    out = cuda_seeds.download(data, (64, 32), np.float32)
    np.testing.assert_array_equal(out[60:], np.arange(128).reshape(4, 32))
    assert not out[:60].any()


def test_tensor_map_arguments(cuda):
    data = cuda.alloc(4096)
    for sizes, strides, box, swizzle, text in (
        ((32, 0), (128,), (32, 8), 0, "dimension 1 has size 0"),
        ((32, 8), (120,), (32, 8), 0, "stride of 120 bytes"),
        ((32, 8), (128,), (32, 257), 0, "box of 257"),
        ((32, 8), (128,), (3, 8), 0, "rows of the box have 12 bytes"),
        ((32, 8), (128,), (32, 8), 64, "rows of the box have 128 bytes, more than the swizzle"),
    ):
        with pytest.raises(CudaError, match=text) as caught:
            tensor_map(cuda, FLOAT32, data, sizes, strides, box, swizzle)
        assert caught.value.code == 1
    with pytest.raises(CudaError, match="no multiple of 16"):
        tensor_map(cuda, FLOAT32, ctypes.c_uint64(data.value + 8), (4, 4), (16,), (4, 4))
