"""A warp-specialised matrix multiplication for sm_90a, written by hand, and what launches it.

One warpgroup copies tiles by TMA into a ring of stages, the others multiply them with wgmma:
out[m, n] = max(a[m, k] b[n, k]^T + bias[n], 0) in float16; sizes need not be multiples
of tiles.
"""

import ctypes
from pathlib import Path

import numpy as np

from hidet_core.codegen import cuda as codegen
from hidet_core.codegen.cuda.emit import INTRINSICS, PROGRAMMATIC_TEXT
from hidet_core.codegen.cuda.wgmma import wgmma_source

HOPPER = (Path(codegen.__file__).parent / "hopper.h").read_text()
TILE_K, ROW_BYTES = 64, 128  # of halves: one swizzled row
FLOAT16, FLOAT32, BFLOAT16 = 6, 7, 9  # CUtensorMapDataType
SWIZZLES = {0: 0, 32: 1, 64: 2, 128: 3}

GEMM = r"""
extern "C" __global__ void __launch_bounds__(THREADS, 1)
kernel(const HT_GRID_CONSTANT ht_tensor_map a, const HT_GRID_CONSTANT ht_tensor_map b,
       const float* bias, ht_f16* out, int m, int n, int k) {
  extern __shared__ __align__(1024) unsigned char arena[];
  const int stage_bytes = (TILE_M + TILE_N) * 128;
  u64* full = reinterpret_cast<u64*>(arena + STAGES * stage_bytes);
  u64* empty = full + STAGES;
  const int thread = threadIdx.x, group = thread / 128;
  if (thread == 0) {
    for (int stage = 0; stage < STAGES; ++stage) {
      ht_mbarrier_init(full + stage, 1);
      ht_mbarrier_init(empty + stage, GROUPS);
    }
    ht_mbarrier_fence();
  }
  ht_barrier();
  const int rows = (m + TILE_M - 1) / TILE_M, tiles = rows * ((n + TILE_N - 1) / TILE_N);
  const int steps = (k + 63) / 64;
  int stage = 0, parity = 0;
  if (group == GROUPS) {
    ht_registers_decrease<40>();
    if (thread % 128 == 0) {
      for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
        for (int step = 0; step < steps; ++step) {
          unsigned char* place = arena + stage * stage_bytes;
          ht_mbarrier_wait(empty + stage, parity ^ 1);
          ht_mbarrier_expect(full + stage, stage_bytes);
          ht_tensor_load(place, &a, full + stage, step * 64, tile % rows * TILE_M);
          ht_tensor_load(place + TILE_M * 128, &b, full + stage, step * 64,
                         tile / rows * TILE_N);
          if (++stage == STAGES) stage = 0, parity ^= 1;
        }
      }
    }
  } else {
    ht_registers_increase<REGISTERS>();
    float sums[TILE_N / 2];
    for (int tile = blockIdx.x; tile < tiles; tile += gridDim.x) {
      for (int step = 0; step < steps; ++step) {
        unsigned char* left = arena + stage * stage_bytes + group * 64 * 128;
        unsigned char* right = arena + stage * stage_bytes + TILE_M * 128;
        ht_mbarrier_wait(full + stage, parity);
        ht_wgmma_fence();
        HT_UNROLL
        for (int part = 0; part < 4; ++part) {
          MULTIPLY(sums, ht_wgmma_operand<128>(left + part * 32, 16, 1024),
                   ht_wgmma_operand<128>(right + part * 32, 16, 1024), step + part);
        }
        ht_wgmma_commit();
        ht_wgmma_wait<0>();
        if (thread % 128 == 0) ht_mbarrier_arrive(empty + stage);
        if (++stage == STAGES) stage = 0, parity ^= 1;
      }
      const int row = tile % rows * TILE_M + group * 64 + thread % 128 / 32 * 16 + thread % 32 / 4;
      HT_UNROLL
      for (int item = 0; item < TILE_N / 2; ++item) {
        const int y = row + item / 2 % 2 * 8;
        const int x = tile / rows * TILE_N + item / 4 * 8 + thread % 4 * 2 + item % 2;
        if (y < m && x < n) out[y * n + x] = ht_f16(ht_max(sums[item] + bias[x], 0.0f));
      }
    }
  }
}
"""


def headers(*products):
    """The text before a kernel; products are (kind, columns) of wgmma."""
    return (
        INTRINSICS
        + PROGRAMMATIC_TEXT
        + HOPPER
        + "".join(wgmma_source(*product) for product in products)
    )


def gemm_source(tile_m=128, tile_n=64, stages=3, kernel=GEMM):
    groups = tile_m // 64
    words = {
        "THREADS": 128 * (groups + 1),
        "TILE_M": tile_m,
        "TILE_N": tile_n,
        "STAGES": stages,
        "GROUPS": groups,
        "REGISTERS": 232 if groups == 2 else 240,
        "MULTIPLY": f"ht_wgmma_f16_n{tile_n}",
    }
    for word, value in words.items():
        kernel = kernel.replace(word, str(value))
    return headers(("f16", tile_n)) + kernel


class TensorMap(ctypes.Structure):
    """A CUtensorMap; ctypes aligns it to 8 bytes, so it lies in a larger buffer."""

    _fields_ = [("words", ctypes.c_uint64 * 16)]


def tensor_map(cuda, kind, pointer, sizes, strides, box, swizzle=0):
    """cuTensorMapEncodeTiled, innermost first; strides are bytes, of all dimensions but that."""
    rank = len(sizes)
    buffer = (ctypes.c_uint8 * 192)()
    place = (ctypes.addressof(buffer) + 63) // 64 * 64
    cuda.cuTensorMapEncodeTiled(
        ctypes.c_void_p(place),
        kind,
        rank,
        ctypes.c_void_p(getattr(pointer, "value", pointer)),
        (ctypes.c_uint64 * rank)(*sizes),
        (ctypes.c_uint64 * rank)(*strides),
        (ctypes.c_uint32 * rank)(*box),
        (ctypes.c_uint32 * rank)(*[1] * rank),
        0,
        SWIZZLES[swizzle],
        0,
        0,
    )
    return TensorMap.from_buffer_copy(bytes((ctypes.c_uint8 * 128).from_address(place)))


def set_shared(cuda, kernel, size):
    """The most dynamic shared memory that the kernel may have."""
    cuda.cuFuncSetAttribute(kernel, 8, size)


def run_gemm(cuda, source, a, b, bias, tile=(128, 64, 3), grid=2):
    """The kernel's result for a[m, k], b[n, k] (float16) and bias[n] (float32)."""
    (m, k), n = a.shape, b.shape[0]
    tile_m, tile_n, stages = tile
    left, right, extra = cuda.upload(a), cuda.upload(b), cuda.upload(bias)
    out = cuda.upload(np.full((m, n), np.nan, np.float16))
    maps = [
        tensor_map(cuda, FLOAT16, pointer, (k, rows), (2 * k,), (TILE_K, tile_rows), 128)
        for pointer, rows, tile_rows in ((left, m, tile_m), (right, n, tile_n))
    ]
    kernel = cuda.kernel(source)
    shared = stages * (tile_m + tile_n) * ROW_BYTES + 16 * stages
    set_shared(cuda, kernel, shared)
    sizes = [ctypes.c_int(size) for size in (m, n, k)]
    threads = 128 * (tile_m // 64 + 1)
    cuda.launch(kernel, grid, threads, *maps, extra, out, *sizes, shared=shared)
    cuda.cuCtxSynchronize()
    return cuda.download(out, (m, n), np.float16)
