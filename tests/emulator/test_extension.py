"""An instruction of a warp, added in a header: the tensor core's m16n8k16 through Collect()."""

import numpy as np
import pytest

MMA = """
struct Fragments { uint32_t a[4], b[2]; float c[4]; };
struct Result { float d[4]; };

HIDET_EMU_UNCHECKED float half_of(uint32_t pair, int which) {
  __half value;
  value.bits = (uint16_t)(pair >> (16 * which));
  return value;
}

HIDET_EMU_UNCHECKED void compute(const hidet_emu::Collective&, const void* const* in,
                                 void* const* out) {
  float a[16][16], b[16][8];
  for (int lane = 0; lane < 32; ++lane) {
    const auto* own = static_cast<const Fragments*>(in[lane]);
    const int group = lane / 4, column = lane % 4 * 2;
    for (int i = 0; i < 8; ++i) {
      const float left = half_of(own->a[i / 2], i % 2);
      a[group + i / 2 % 2 * 8][column + i / 4 * 8 + i % 2] = left;
      if (i < 4) b[column + i / 2 * 8 + i % 2][group] = half_of(own->b[i / 2], i % 2);
    }
  }
  for (int lane = 0; lane < 32; ++lane) {
    for (int i = 0; i < 4; ++i) {
      float sum = static_cast<const Fragments*>(in[lane])->c[i];
      for (int k = 0; k < 16; ++k) sum += a[lane / 4 + i / 2 * 8][k] * b[k][lane % 4 * 2 + i % 2];
      static_cast<Result*>(out[lane])->d[i] = sum;
    }
  }
}

inline Result mma(const Fragments& fragments, int line = __builtin_LINE()) {
  return hidet_emu::Collect<Fragments, Result>("mma", line, ~0u, fragments, compute);
}

extern "C" __global__ void kernel(const uint32_t* a, const uint32_t* b, float* d) {
  const int lane = threadIdx.x, group = lane / 4, pair = lane % 4;
  Fragments own = {{a[group * 8 + pair], a[(group + 8) * 8 + pair], a[group * 8 + pair + 4],
                    a[(group + 8) * 8 + pair + 4]},
                   {b[group * 8 + pair], b[group * 8 + pair + 4]},
                   {1, 2, 3, 4}};
  if (LANES) own.c[0] = mma(own).d[0];
  for (int i = 0; i < 4; ++i) {
    d[(group + i / 2 * 8) * 8 + pair * 2 + i % 2] = i == 0 ? own.c[0] : mma(own).d[i];
  }
}
"""


def operands(cuda):
    random = np.random.default_rng(0)
    a = random.standard_normal((16, 16)).astype(np.float16)
    b = random.standard_normal((8, 16)).astype(np.float16)  # column-major
    return a, b, [cuda.upload(a), cuda.upload(b), cuda.alloc(4 * 128)]


def test_mma(cuda_seeds):
    a, b, device = operands(cuda_seeds)
    cuda_seeds.launch(cuda_seeds.kernel(MMA.replace("LANES", "true")), 1, 32, *device)
    expected = a.astype(np.float32) @ b.astype(np.float32).T
    expected += np.array([[1, 2] * 4] * 8 + [[3, 4] * 4] * 8)
    result = cuda_seeds.download(device[2], (16, 8), np.float32)
    np.testing.assert_allclose(result, expected, rtol=1e-4, atol=1e-4)


def test_divergent_mma(cuda_seeds):
    _, _, device = operands(cuda_seeds)
    kernel = cuda_seeds.kernel(MMA.replace("LANES", "lane < 31"))
    with pytest.raises(Exception, match=r"divergent collectives: lane .* is in mma in line"):
        cuda_seeds.launch(kernel, 1, 32, *device)
        cuda_seeds.cuCtxSynchronize()
