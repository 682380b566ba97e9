"""Contractions on the tensor cores of Hopper: sizes x types, fusion, split-k, convolution."""

import numpy as np
import pytest

from hidet_core.target import CUDAS
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc, usage_of
from tests.hidet_core.cuda_check import check_cuda, lowered
from tests.hidet_core.schedule.cuda.picking import of
from tests.hidet_core.schedule.cuda.test_tensor_core import (
    DTYPES,
    LIMITS,
    SEEDS,
    convolution,
    fused,
)

SIZES = {"aligned": (64, 128, 64), "ragged": (76, 72, 44), "prime": (67, 41, 37)}


def check(graph, kind="f16", admits=lambda config: True, **options):
    """Every kernel with a contraction is of this template."""
    options = {"tolerance": LIMITS[kind], "seeds": SEEDS, **options}
    result = check_cuda(graph, pick=of("Warpgroup", admits), **options)
    assert any("warp_m" in kernel.scheduled.config for kernel in result.kernels)
    return result


@pytest.mark.parametrize("kind", ["f16", "bf16"])
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes(sizes, kind):
    interpreted = sizes == "ragged"
    check(fused(*SIZES[sizes], kind), kind, lambda c: c.block_n <= 64, interpreted=interpreted)


TILES = [(64, 32), (64, 256), (128, 192), (128, 128), (256, 64)]


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("depth", [64, 128], ids=lambda n: f"{n} bytes")
def test_tiles(tile, depth):
    def admits(c):
        return (c.block_m, c.block_n) == tile and c.block_k == depth // 2 and c.splits == 1

    m, n = (side - side // 4 + 1 for side in tile)
    check(fused(m, 168, n - n % 8), admits=admits, interpreted=False, seeds=(7,))


@pytest.mark.parametrize("splits", [2, 4])
def test_split_k(splits):
    def admits(c):
        return c.splits == splits and (c.block_m, c.block_n) == (64, 64)

    result = check(fused(70, 1032, 37), admits=admits, interpreted=False)
    assert result.kernels[0].scheduled.workspace


def test_computed_operands():
    """What fusion computes is stored where a copy would have come."""
    net, dtype = Net(), DTYPES["f16"]
    a = net.exp(net.x(67, 40, dtype=dtype))
    graph = net.done(net.relu(net.matmul(a, net.const(40, 37, dtype=np.float16))))
    result = check(graph, interpreted=False, admits=lambda c: c.block_n <= 64)
    assert set(result.ops[-1]) >= {"exp", "matmul", "relu"}


@pytest.mark.parametrize("case", ["aligned", "pointwise", "groups"])
def test_convolution(case):
    check(convolution(case, "f16"), interpreted=False, admits=lambda c: c.block_n <= 64)


@needs_nvrtc
@pytest.mark.parametrize("tile", [(64, 256, 128), (128, 256, 128), (256, 128, 128), (128, 192, 64)])
def test_no_spills(tile):
    def admits(config):
        return (config.block_m, config.block_n, config.block_k * 2) == tile and config.splits == 1

    target = CUDAS["sm_90a"]
    graph = fused(2048, 1024, 2048)
    (kernel,) = compiled(graph, of("Warpgroup", admits), target).kernels
    usage = usage_of(lowered(kernel.program, target), target.arch)
    assert usage.spill_bytes == usage.stack_bytes == 0, usage


def test_only_where_there_is_wgmma():
    for name in ("sm_80", "sm_100a"):
        result = compiled(fused(256, 256, 256), target=CUDAS[name])
        assert not any("wgmma" in str(kernel.program) for kernel in result.kernels)


def test_chosen_for_large_products():
    """And not where most of its rows would be empty."""
    large, small = (compiled(fused(m, 1024, 2048), target=CUDAS["sm_90a"]) for m in (4096, 8))
    assert "wgmma" in str(large.kernels[-1].program)
    assert "wgmma" not in str(small.kernels[-1].program)
