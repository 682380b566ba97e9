"""NVRTC without a GPU: cubins for every architecture, spills rejected, errors with their log."""

import pytest

from hidet_core.base.errors import CompilerBug, Rejected
from hidet_core.build import Builder, KernelCache, Pool, nvrtc
from hidet_core.build.nvrtc import Usage, compile_measured, translate, usage
from hidet_core.build.toolchains import TOOLCHAINS
from hidet_core.target import CUDAS, host
from tests.hidet_core.cuda_build import ARCHES, needs_nvrtc

SM_80 = CUDAS["sm_80"]
SCALE = 'extern "C" __global__ void f(float* x) { x[threadIdx.x] *= 2.0f; }'
SPILLS = """
extern "C" __global__ void __launch_bounds__(1024) f(float* x, int n) {
  float sums[128];
  #pragma unroll
  for (int i = 0; i < 128; ++i) sums[i] = x[i * 1024 + threadIdx.x];
  for (int k = 0; k < n; ++k) {
    #pragma unroll
    for (int i = 0; i < 128; ++i) sums[i] += sums[(i + 37) % 128] * x[k];
  }
  #pragma unroll
  for (int i = 0; i < 128; ++i) x[i * 1024 + threadIdx.x] = sums[i];
}
"""

pytestmark = needs_nvrtc


@pytest.mark.parametrize("arch", ARCHES)
def test_a_cubin_for_every_architecture(arch):
    image, used = compile_measured(SCALE, arch)
    assert image[:4] == b"\x7fELF" and used.spill_bytes == 0 and 4 <= used.registers < 32


def test_spills_reject_a_schedule():
    assert compile_measured(SPILLS, "sm_80")[1].spill_bytes > 0
    with Pool(0) as pool, pytest.raises(Rejected, match=r"bytes of registers are spilled on sm_80"):
        pool.submit(SPILLS, SM_80).result()


def test_workers_serve_both_compilers(cache_dir):
    llvm = "define void @f() {\n  ret void\n}"
    with Pool(1) as pool:
        first, refused = pool.submit(SCALE, SM_80), pool.submit("int f( {", SM_80)
        spilled, second = pool.submit(SPILLS, SM_80), pool.submit(llvm, host())
        assert first.result()[:4] == second.result()[:4] == b"\x7fELF"
        with pytest.raises(CompilerBug, match=r"NVRTC.*kernel.cu\(1\): error"):
            refused.result()
        with pytest.raises(Rejected, match="spilled"):
            spilled.result()


def test_cubins_are_cached_by_architecture(cache_dir):
    with KernelCache.open() as cache, Builder(SM_80, cache, workers=0) as builder:
        image = builder.build(SCALE).result()
    with KernelCache.open() as cache, Builder(SM_80, cache, workers=0) as builder:
        assert builder.find(builder.key(SCALE)).result() == image
        other = Builder(CUDAS["sm_86"], cache, workers=0)
        assert other.key(SCALE) != builder.key(SCALE) and other.find(other.key(SCALE)) is None


def test_the_log_of_ptxas():
    log = """ptxas info    : Function properties for f
    8 bytes stack frame, 12 bytes spill stores, 16 bytes spill loads
ptxas info    : Used 40 registers, used 1 barriers, 400 bytes cmem[0]"""
    assert usage(log) == Usage(40, 8, 28)
    assert usage("") == Usage(0, 0, 0)


def test_the_version_is_part_of_the_key(monkeypatch):
    builder = Builder(SM_80, KernelCache.disabled(), workers=0)
    before = builder.key(SCALE)
    assert nvrtc.toolchain().startswith("nvrtc 13.")
    toolchain = TOOLCHAINS["cuda"]._replace(version=lambda: "another")
    monkeypatch.setitem(TOOLCHAINS, "cuda", toolchain)
    assert builder.key(SCALE) != before



def test_what_ptxas_gives_up_is_said():
    log = (
        "ptxas info    : (C7508) Potential Performance Loss: 'setmaxnreg' ignored; unknown\n"
        "ptxas info    : Used 40 registers"
    )
    (loss,) = usage(log).losses
    assert "'setmaxnreg' ignored" in loss


def test_serialised_products_are_rejected():
    """setmaxnreg without a least number of blocks is ignored."""
    asks = 'asm volatile("setmaxnreg.dec.sync.aligned.u32 40;");'
    source = f'extern "C" __global__ void k() {{ {asks} }}'
    with pytest.raises(Rejected, match="setmaxnreg"):
        translate(source, "sm_90a")
