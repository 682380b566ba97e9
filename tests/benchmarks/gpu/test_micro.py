"""The kernels of the micro-benchmarks compile for the devices they are for, without spills."""

import pytest

from benchmarks.gpu import micro_kernels as K
from hidet_core.codegen.cuda.wgmma import wgmma_name, wgmma_source
from tests.hidet_core.cuda_build import compile_measured, needs_nvrtc

PLAIN = {
    "link": K.LINK,
    "read": K.READ,
    "copy": K.COPY,
    "chase": K.CHASE,
    "meet": K.GRID_BARRIER,
    "fma": K.FMA,
}


@needs_nvrtc
@pytest.mark.parametrize("arch", ["sm_80", "sm_90a"])
@pytest.mark.parametrize("name", PLAIN)
def test_plain_kernels(name, arch):
    _, usage = compile_measured(K.prelude() + PLAIN[name], arch)
    assert usage.spill_bytes == 0 and usage.stack_bytes == 0


@needs_nvrtc
@pytest.mark.parametrize("kind", K.MMA_DEPTHS)
def test_products_of_warps(kind):
    _, usage = compile_measured(K.prelude("instructions.h") + K.mma_peak(kind), "sm_90a")
    assert usage.spill_bytes == 0 and usage.stack_bytes == 0


@needs_nvrtc
@pytest.mark.parametrize(("kind", "columns"), [("f16", 256), ("bf16", 128), ("tf32", 64)])
def test_products_of_warpgroups(kind, columns):
    kernel = K.wgmma_peak(kind, columns, wgmma_name(kind, columns))
    source = K.prelude("hopper.h") + wgmma_source(kind, columns) + kernel
    _, usage = compile_measured(source, "sm_90a")
    assert usage.spill_bytes == 0 and usage.stack_bytes == 0


@needs_nvrtc
def test_programmatic_launches():
    image, _ = compile_measured(K.prelude("programmatic.h") + K.PROGRAMMATIC_LINK, "sm_90a")
    assert image[:4] == b"\x7fELF"
