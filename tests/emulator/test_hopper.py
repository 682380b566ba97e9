"""Kernels for sm_90a on the emulated device: barrier objects, tensor copies, warpgroup products."""

import numpy as np
import pytest

from tests.emulator.hopper import gemm_source, run_gemm

rng = np.random.default_rng(19)


def gemm_operands(m, n, k):
    a = rng.standard_normal((m, k)).astype(np.float16)
    b = rng.standard_normal((n, k)).astype(np.float16)
    bias = rng.standard_normal(n).astype(np.float32)
    return a, b, bias


@pytest.mark.parametrize(
    ("tile", "size"), [((128, 64, 3), (150, 70, 136)), ((64, 128, 2), (70, 200, 264))]
)
def test_warp_specialised_gemm(cuda_seeds, tile, size):
    a, b, bias = gemm_operands(*size)
    out = run_gemm(cuda_seeds, gemm_source(*tile), a, b, bias, tile)
    expected = np.maximum(a.astype(np.float64) @ b.astype(np.float64).T + bias, 0)
    np.testing.assert_allclose(out, expected, rtol=2e-3, atol=2e-2)
