"""CUDA C++ of the micro-benchmarks: plain C++ and the intrinsics of generated kernels."""

from pathlib import Path

from hidet_core.codegen import cuda

HEADERS = Path(cuda.__file__).parent


def prelude(*more: str) -> str:
    """intrinsics.h, which stands at the head of every source, and other headers beside it."""
    return "\n".join((HEADERS / name).read_text() for name in ("intrinsics.h", *more))


# A chain link: reads what the kernel before it wrote.
LINK = """
extern "C" __global__ void link(float* x) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  x[at] = x[at] * 0.5f + 1.0f;
}
"""
PROGRAMMATIC_LINK = """
extern "C" __global__ void link(float* x) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  if (!ht_grid_wait()) return;
  ht_grid_launch_dependents();
  x[at] = x[at] * 0.5f + 1.0f;
}
"""

# `vectors` of 16 bytes are walked by all threads; four loads are in flight in each thread.
READ = """
extern "C" __global__ void __launch_bounds__(512) read(const float* x, float* sums, i64 vectors,
                                                      i64 rounds) {
  i64 step = i64(gridDim.x) * blockDim.x, first = i64(blockIdx.x) * blockDim.x + threadIdx.x;
  float sum = 0.0f;
  for (i64 round = 0; round < rounds; ++round) {
    _Pragma("unroll 1")
    for (i64 at = first; at < vectors; at += 4 * step) {
      ht_vec<float, 4> part[4];
      HT_UNROLL
      for (int k = 0; k < 4; ++k) {
        i64 place = at + k * step < vectors ? at + k * step : at;
        part[k] = ht_load_aligned<4>(x + 4 * place);
      }
      HT_UNROLL
      for (int k = 0; k < 4; ++k) {
        sum += part[k].lane[0] + part[k].lane[1] + part[k].lane[2] + part[k].lane[3];
      }
    }
  }
  sums[first] = sum;
}
"""
COPY = """
extern "C" __global__ void __launch_bounds__(512) copy(const float* x, float* y, i64 vectors) {
  i64 step = i64(gridDim.x) * blockDim.x;
  for (i64 at = i64(blockIdx.x) * blockDim.x + threadIdx.x; at < vectors; at += 4 * step) {
    ht_vec<float, 4> part[4];
    HT_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (at + k * step < vectors) part[k] = ht_load_aligned<4>(x + 4 * (at + k * step));
    }
    HT_UNROLL
    for (int k = 0; k < 4; ++k) {
      if (at + k * step < vectors) ht_store_aligned<4>(y + 4 * (at + k * step), part[k]);
    }
  }
}
"""

# One thread follows a chain of indices: the time of one access that hits at a level.
CHASE = """
extern "C" __global__ void chase(const int* next, int* end, i64 steps) {
  int at = 0;
  for (i64 step = 0; step < steps; ++step) at = next[at];
  end[0] = at;
}
"""

# All blocks, which must be resident at once, meet `rounds` times.
GRID_BARRIER = """
extern "C" __global__ void meet(u32* arrived, i64 rounds) {
  for (i64 round = 1; round <= rounds; ++round) {
    __syncthreads();
    if (threadIdx.x == 0) {
      __threadfence();
      atomicAdd(arrived, 1u);
      while (atomicAdd(arrived, 0u) < u32(round) * gridDim.x) {}
      __threadfence();
    }
    __syncthreads();
  }
}
"""

FMA_CHAINS = 16
FMA = (
    """
extern "C" __global__ void __launch_bounds__(256) fma_peak(float* x, i64 steps) {
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  float start = x[at], factor = start * 1e-3f, sum[CHAINS];
  HT_UNROLL
  for (int k = 0; k < CHAINS; ++k) sum[k] = start + k;
  for (i64 step = 0; step < steps; ++step) {
    HT_UNROLL
    for (int k = 0; k < CHAINS; ++k) sum[k] = sum[k] * factor + start;
  }
  float total = 0.0f;
  HT_UNROLL
  for (int k = 0; k < CHAINS; ++k) total += sum[k];
  x[at] = total;
}
"""
).replace("CHAINS", str(FMA_CHAINS))


def wgmma_peak(kind: str, columns: int, function: str) -> str:
    """Products of 64 rows, `columns` columns of operands that stay in shared memory, swizzled by
    128 bytes; every warpgroup of a block has its own A and shares B.
    """
    return f"""
extern "C" __global__ void __launch_bounds__(256) wgmma_peak(const float* noise, float* out,
                                                            i64 steps) {{
  extern __shared__ __align__(1024) unsigned char arena[];
  unsigned char* room = arena + (1024 - ht_shared_address(arena) % 1024) % 1024;
  int groups = blockDim.x / 128, words = (groups * 64 + {columns}) * 32;
  for (int at = threadIdx.x; at < words; at += blockDim.x) {{
    float value = noise[at];
    reinterpret_cast<u32*>(room)[at] = {PAIR_OF_FLOATS[kind]};
  }}
  ht_fence_proxy_async();
  __syncthreads();
  const unsigned char* own = room + threadIdx.x / 128 * 64 * 128;
  const unsigned char* shared_b = room + groups * 64 * 128;
  float d[{columns // 2}];
  HT_UNROLL
  for (int k = 0; k < {columns // 2}; ++k) d[k] = 0.0f;
  for (i64 step = 0; step < steps; ++step) {{
    ht_wgmma_fence();
    HT_UNROLL
    for (int k = 0; k < 4; ++k) {{
      {function}(d, ht_wgmma_operand<128>(own + 32 * k, 16, 1024),
                 ht_wgmma_operand<128>(shared_b + 32 * k, 16, 1024), 1);
    }}
    ht_wgmma_commit();
    ht_wgmma_wait<1>();
  }}
  ht_wgmma_wait<0>();
  float total = 0.0f;
  HT_UNROLL
  for (int k = 0; k < {columns // 2}; ++k) total += d[k];
  out[blockIdx.x * blockDim.x + threadIdx.x] = total;
}}
"""


# One 32-bit word of an operand, made of a number of order one.
PAIR_OF_FLOATS = {
    "f16": "u32(ht_f16(value).bits) << 16 | ht_f16(0.5f * value).bits",
    "bf16": "u32(ht_bf16(value).bits) << 16 | ht_bf16(0.5f * value).bits",
    "tf32": "ht_bits<u32>(value)",
}


MMA_CHAINS = 8
MMA_DEPTHS = {"f16": 16, "bf16": 16, "tf32": 8}  # of one instruction: 16 rows, 8 columns


def mma_peak(kind: str) -> str:
    """Warps multiply operands in registers, with several independent sums each."""
    word = "float" if kind == "tf32" else "u32"
    made = f"ht_bits<{word}>({PAIR_OF_FLOATS[kind]})"
    return f"""
extern "C" __global__ void __launch_bounds__(256) mma_peak(float* x, i64 steps) {{
  int at = blockIdx.x * blockDim.x + threadIdx.x;
  float value = x[at], sums[{MMA_CHAINS}][4];
  {word} a[4], b[2];
  HT_UNROLL
  for (int k = 0; k < 6; ++k, value = value * 0.75f + 0.1f) (k < 4 ? a[k] : b[k - 4]) = {made};
  HT_UNROLL
  for (int k = 0; k < {MMA_CHAINS}; ++k) sums[k][0] = sums[k][1] = sums[k][2] = sums[k][3] = value;
  for (i64 step = 0; step < steps; ++step) {{
    HT_UNROLL
    for (int k = 0; k < {MMA_CHAINS}; ++k) ht_mma_{kind}(sums[k], a, b);
  }}
  float total = 0.0f;
  HT_UNROLL
  for (int k = 0; k < {MMA_CHAINS}; ++k) total += sums[k][0] + sums[k][1] + sums[k][2] + sums[k][3];
  x[at] = total;
}}
"""
