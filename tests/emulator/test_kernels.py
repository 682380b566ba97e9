"""Right kernels give right results and no complaint, whatever the order of threads and blocks."""

import ctypes

import numpy as np
import pytest

ADD = """
extern "C" __global__ void __launch_bounds__(128)
kernel(const float* a, const float* b, float* c, int n) {
  int i = blockIdx.x * blockDim.x + threadIdx.x;
  if (i < n) c[i] = a[i] + b[i];
}
"""

REDUCE = """
extern "C" __global__ void kernel(const float* x, float* out, int n) {
  __shared__ float partial[8];
  float sum = 0.0f;
  for (int i = threadIdx.x; i < n; i += blockDim.x) sum += x[blockIdx.x * n + i];
#pragma unroll
  for (int offset = 16; offset > 0; offset >>= 1) sum += __shfl_down_sync(0xffffffffu, sum, offset);
  if (threadIdx.x % 32 == 0) partial[threadIdx.x / 32] = sum;
  __syncthreads();
  if (threadIdx.x < 32) {
    float value = threadIdx.x < blockDim.x / 32 ? partial[threadIdx.x] : 0.0f;
    for (int bits = 4; bits > 0; bits >>= 1) value += __shfl_xor_sync(0xffffffffu, value, bits);
    if (threadIdx.x == 0) out[blockIdx.x] = value;
  }
}
"""

# Double-buffered through asynchronous copies; sizes are no multiples of the tile.
MATMUL = """
#define TILE 16
extern "C" __global__ void __launch_bounds__(TILE * TILE)
kernel(const float* a, const float* b, float* c, int m, int n, int k) {
  __shared__ float as[2][TILE][TILE + 1], bs[2][TILE][TILE + 1];
  const int x = threadIdx.x, y = threadIdx.y;
  const int row = blockIdx.y * TILE + y, column = blockIdx.x * TILE + x;
  auto load = [&](int stage, int k0) {
    const bool a_in = row < m && k0 + x < k, b_in = k0 + y < k && column < n;
    __pipeline_memcpy_async(&as[stage][y][x], a_in ? a + row * k + k0 + x : a, 4, a_in ? 0 : 4);
    __pipeline_memcpy_async(&bs[stage][y][x], b_in ? b + (k0 + y) * n + column : b, 4,
                            b_in ? 0 : 4);
    __pipeline_commit();
  };
  float sum = 0.0f;
  load(0, 0);
  for (int k0 = 0, stage = 0; k0 < k; k0 += TILE, stage ^= 1) {
    if (k0 + TILE < k) load(stage ^ 1, k0 + TILE);
    __pipeline_wait_prior(k0 + TILE < k ? 1 : 0);
    __syncthreads();
    for (int i = 0; i < TILE; ++i) sum += as[stage][y][i] * bs[stage][i][x];
    __syncthreads();
  }
  if (row < m && column < n) c[row * n + column] = sum;
}
"""

# The last block to arrive adds up what the others left: a ticket, as split reductions use it.
TICKET = """
extern "C" __global__ void kernel(const float* x, float* partial, unsigned* ticket, float* out) {
  __shared__ float sum;
  __shared__ bool last;
  if (threadIdx.x == 0) sum = 0.0f;
  __syncthreads();
  atomicAdd(&sum, x[blockIdx.x * blockDim.x + threadIdx.x]);
  __syncthreads();
  if (threadIdx.x == 0) {
    partial[blockIdx.x] = sum;
    __threadfence();
    last = atomicAdd(ticket, 1u) == gridDim.x - 1;
  }
  __syncthreads();
  if (last && threadIdx.x == 0) {
    float total = 0.0f;
    for (unsigned i = 0; i < gridDim.x; ++i) total += partial[i];
    *out = total;
  }
}
"""

VECTORS = """
extern "C" __global__ void kernel(const float4* x, __half* halves, __nv_bfloat16* brains, int4* y) {
  extern __shared__ __align__(16) float4 room[];
  const int t = threadIdx.x;
  room[t] = x[t];
  __syncwarp();
  const float4 v = room[t ^ 1];
  halves[2 * t] = __float2half(v.x);
  halves[2 * t + 1] = __float2half(v.y);
  brains[2 * t] = __float2bfloat16(v.z);
  brains[2 * t + 1] = v.w;
  y[t] = make_int4((int)v.x, (int)v.y, (int)__half2float(halves[2 * t]), t);
}
"""

VOTES = """
__device__ int twice(int x) { return 2 * x; }
__constant__ int table[4] = {5, 6, 7, 8};
extern "C" __global__ void kernel(int* out) {
  const int t = threadIdx.x + blockDim.x * threadIdx.y;
  out[t] = __ballot_sync(~0u, t % 2) == 0xaaaaaaaau;
  out[t] += 10 * __any_sync(~0u, t % 32 == 7) + 100 * __all_sync(~0u, t % 32 < 31);
  out[t] += 1000 * __shfl_sync(~0u, t % 32, 5, 8) + 100000 * table[t % 4];
  int up = __shfl_up_sync(~0u, t % 32, 1, 16);
  if (t < 16) out[t] += 10000000 * (__shfl_sync(0xffffu, twice(t), 3) == 6);
  else out[t] += 10000000 * (up == (t % 16 ? t % 32 - 1 : t % 32));
}
"""

NAMED = """
extern "C" __global__ void kernel(float* out) {
  __shared__ float a[128];
  const int t = threadIdx.x, half = t / 64;
  a[t] = t;
  hidet_emu_named_barrier(1 + half, 64);
  const float x = a[half * 64 + 63 - t % 64];
  hidet_emu_named_barrier(1 + half, 64);
  a[t] = x;
  __syncthreads();
  out[t] = a[127 - t];
}
"""

ATOMICS = """
extern "C" __global__ void kernel(int* x, float* f, unsigned* u) {
  const int t = threadIdx.x;
  atomicAdd(x, 1); atomicSub(x + 1, t); atomicMin(x + 2, t); atomicMax(x + 3, t);
  atomicOr(x + 4, 1 << (t & 15)); atomicXor(x + 5, t); atomicAnd(x + 6, ~(1 << (t & 3)));
  atomicAdd(f, 0.5f);
  while (atomicCAS(x + 7, t, t + 1) != t) {}
  atomicInc(u, 9u);
  atomicExch(u + 1, 3u);
}
"""


def floats(*shape):
    return np.random.default_rng(sum(shape)).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("n", [1, 127, 128, 1000])
def test_vector_add(cuda_seeds, n):
    a, b = floats(n), floats(n)
    device = [cuda_seeds.upload(a), cuda_seeds.upload(b), cuda_seeds.alloc(4 * n)]
    cuda_seeds.launch(cuda_seeds.kernel(ADD), (n + 127) // 128, 128, *device, ctypes.c_int(n))
    np.testing.assert_array_equal(cuda_seeds.download(device[2], n, np.float32), a + b)


@pytest.mark.parametrize(("rows", "n", "threads"), [(1, 5, 32), (3, 1000, 256), (2, 64, 64)])
def test_reduction_by_shared_memory_and_shuffles(cuda_seeds, rows, n, threads):
    x = floats(rows, n)
    source, out = cuda_seeds.upload(x), cuda_seeds.alloc(4 * rows)
    cuda_seeds.launch(cuda_seeds.kernel(REDUCE), rows, threads, source, out, ctypes.c_int(n))
    result = cuda_seeds.download(out, rows, np.float32)
    np.testing.assert_allclose(result, x.sum(axis=1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(("m", "n", "k"), [(16, 16, 16), (33, 17, 50), (1, 40, 7)])
def test_tiled_matmul_with_asynchronous_copies(cuda_seeds, m, n, k):
    a, b = floats(m, k), floats(k, n)
    device = [cuda_seeds.upload(a), cuda_seeds.upload(b), cuda_seeds.alloc(4 * m * n)]
    sizes = [ctypes.c_int(size) for size in (m, n, k)]
    grid = ((n + 15) // 16, (m + 15) // 16, 1)
    cuda_seeds.launch(cuda_seeds.kernel(MATMUL), grid, (16, 16, 1), *device, *sizes)
    result = cuda_seeds.download(device[2], (m, n), np.float32)
    np.testing.assert_allclose(result, a @ b, rtol=1e-4, atol=1e-4)


def test_last_block_reduces(cuda_seeds):
    x = floats(5, 64)
    device = [cuda_seeds.upload(x), cuda_seeds.alloc(20), cuda_seeds.alloc(4), cuda_seeds.alloc(4)]
    cuda_seeds.cuMemsetD32_v2(device[2], 0, ctypes.c_size_t(1))
    cuda_seeds.launch(cuda_seeds.kernel(TICKET), 5, 64, *device)
    result = cuda_seeds.download(device[3], 1, np.float32)
    np.testing.assert_allclose(result, [x.sum()], rtol=1e-3, atol=1e-4)


def test_last_block_without_fence_is_a_race(cuda_seeds):
    x = floats(5, 64)
    device = [cuda_seeds.upload(x), cuda_seeds.alloc(20), cuda_seeds.alloc(4), cuda_seeds.alloc(4)]
    cuda_seeds.cuMemsetD32_v2(device[2], 0, ctypes.c_size_t(1))
    kernel = cuda_seeds.kernel(TICKET.replace("__threadfence();", ""))
    with pytest.raises(Exception, match="race: read not ordered after a write"):
        cuda_seeds.launch(kernel, 5, 64, *device)
        cuda_seeds.cuCtxSynchronize()


def test_vector_types_halves_and_dynamic_shared_memory(cuda_seeds):
    x = floats(32, 4) * 100
    device = [cuda_seeds.upload(x), *(cuda_seeds.alloc(size) for size in (128, 128, 512))]
    cuda_seeds.launch(cuda_seeds.kernel(VECTORS), 1, 32, *device, shared=512)
    swapped = x[np.arange(32) ^ 1]
    halves = cuda_seeds.download(device[1], (32, 2), np.float16)
    np.testing.assert_array_equal(halves, swapped[:, :2].astype(np.float16))
    brains = cuda_seeds.download(device[2], (32, 2), np.uint16).astype(np.uint32) << 16
    np.testing.assert_allclose(brains.view(np.float32), swapped[:, 2:], rtol=2**-8)
    ints = cuda_seeds.download(device[3], (32, 4), np.int32)
    np.testing.assert_array_equal(ints[:, :2], swapped[:, :2].astype(np.int32))
    np.testing.assert_array_equal(ints[:, 3], np.arange(32))


def test_votes_shuffles_and_constants(cuda_seeds):
    out = cuda_seeds.alloc(4 * 64)
    cuda_seeds.launch(cuda_seeds.kernel(VOTES), 1, (16, 4, 1), out)
    t = np.arange(64)
    expected = 11 + 1000 * (t % 32 // 8 * 8 + 5) + 100000 * (5 + t % 4) + 10000000
    np.testing.assert_array_equal(cuda_seeds.download(out, 64, np.int32), expected)


def test_named_barriers_of_parts_of_a_block(cuda_seeds):
    out = cuda_seeds.alloc(4 * 128)
    cuda_seeds.launch(cuda_seeds.kernel(NAMED), 1, 128, out)
    t = 127 - np.arange(128)
    expected = t // 64 * 64 + 63 - t % 64
    np.testing.assert_array_equal(cuda_seeds.download(out, 128, np.float32), expected)


def test_atomics_and_waiting_for_another_thread(cuda_seeds):
    ints = cuda_seeds.upload(np.array([0, 0, 99, 0, 0, 0, -1, 0], np.int32))
    real = cuda_seeds.upload(np.zeros(1, np.float32))
    unsigned = cuda_seeds.upload(np.zeros(2, np.uint32))
    cuda_seeds.launch(cuda_seeds.kernel(ATOMICS), 1, 64, ints, real, unsigned)
    expected = [64, -2016, 0, 63, 0xFFFF, 0, -16, 64]
    np.testing.assert_array_equal(cuda_seeds.download(ints, 8, np.int32), expected)
    assert cuda_seeds.download(real, 1, np.float32) == 32
    np.testing.assert_array_equal(cuda_seeds.download(unsigned, 2, np.uint32), [4, 3])


def test_local_arrays_and_device_variables(cuda_seeds):
    source = """
    __device__ int counter[2];
    __device__ __noinline__ void fill(int* a, int t) { for (int i = 0; i < 8; ++i) a[i] = i * t; }
    extern "C" __global__ void kernel(int* out) {
      int a[8];
      fill(a, threadIdx.x);
      int sum = 0;
      for (int i = 0; i < 8; ++i) sum += a[i];
      atomicAdd(counter, 1);
      out[threadIdx.x] = sum;
    }
    """
    out = cuda_seeds.alloc(4 * 40)
    cuda_seeds.launch(cuda_seeds.kernel(source), 1, 40, out)
    result = cuda_seeds.download(out, 40, np.int32)
    np.testing.assert_array_equal(result, 28 * np.arange(40))


def test_neighbouring_bytes_by_different_threads_do_not_race(cuda_seeds):
    source = """
    extern "C" __global__ void kernel(char* out) {
      __shared__ char a[64];
      a[threadIdx.x] = threadIdx.x;
      __syncthreads();
      out[threadIdx.x] = a[63 - threadIdx.x];
    }
    """
    out = cuda_seeds.alloc(64)
    cuda_seeds.launch(cuda_seeds.kernel(source), 1, 64, out)
    expected = 63 - np.arange(64)
    np.testing.assert_array_equal(cuda_seeds.download(out, 64, np.int8), expected)


def test_waiting_for_a_volatile_flag(cuda_seeds):
    source = """
    extern "C" __global__ void kernel(volatile int* flag, int* out) {
      if (threadIdx.x == 40) *flag = 1;
      while (*flag == 0) {}
      out[threadIdx.x] = *flag;
    }
    """
    flag, out = cuda_seeds.upload(np.zeros(1, np.int32)), cuda_seeds.alloc(256)
    cuda_seeds.launch(cuda_seeds.kernel(source), 1, 64, flag, out)
    assert (cuda_seeds.download(out, 64, np.int32) == 1).all()
