"""The kernels of these tests are CUDA C++: NVRTC, where installed, compiles the same texts.

Left out are those that use what NVRTC has only with further headers (half, pipelines, assert) or
what is the emulator's own (named barriers).
"""

import pytest

from hidet_core.codegen.cuda import wgmma
from tests.emulator import (
    hopper,
    test_broken_hopper,
    test_broken_kernels,
    test_graphs,
    test_kernels,
    test_modules,
    test_streams,
)
from tests.emulator.nvrtc import compile_for_device

pytest.importorskip("cuda.bindings.nvrtc", reason="no NVRTC")

NOT_HERE = ("__half", "__pipeline", "assert(", "hidet_emu", "memcpy", "packed")
SOURCES = {
    "add": test_kernels.ADD,
    "reduce": test_kernels.REDUCE,
    "ticket": test_kernels.TICKET,
    "votes": test_kernels.VOTES,
    "atomics": test_kernels.ATOMICS,
    "modules": test_modules.SOURCE,
    "graphs": test_graphs.SCALE,
    "streams": test_streams.SCALE,
} | {name: test_broken_kernels.place(name) for name in test_broken_kernels.BROKEN}


@pytest.mark.parametrize(
    "name", [name for name, text in SOURCES.items() if not any(word in text for word in NOT_HERE)]
)
def test_is_cuda(name):
    assert compile_for_device(SOURCES[name]) == ""


@pytest.mark.parametrize("tile", [(128, 64, 3), (64, 128, 2), (128, 256, 4)])
def test_hopper_is_cuda(tile):
    assert compile_for_device(hopper.gemm_source(*tile), "sm_90a") == ""


@pytest.mark.parametrize("name", [name for name in test_broken_hopper.SMALL if "odd" not in name])
def test_small_hopper_is_cuda(name):
    assert compile_for_device(test_broken_hopper.small_source(name), "sm_90a") == ""


@pytest.mark.parametrize("kind", wgmma.KINDS)
def test_wgmma_is_cuda(kind):
    """Every width exists."""
    widths = range(8, wgmma.MAX_COLUMNS + 1, 8)
    text = hopper.headers(*((kind, columns) for columns in widths))
    calls = "".join(
        f"{{ float d[{columns // 2}]; ht_wgmma_fence();"
        f"{wgmma.wgmma_name(kind, columns)}(d, x, x, 0); ht_wgmma_commit(); ht_wgmma_wait<0>();"
        f"out[{columns}] = d[1]; }}"
        for columns in widths
    )
    kernel = f'extern "C" __global__ void k(float* out, u64 x) {{ {calls} }}'
    assert compile_for_device(text + kernel, "sm_90a") == ""
