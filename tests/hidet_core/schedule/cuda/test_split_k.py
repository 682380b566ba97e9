"""Split-k: parts of k in several blocks, added in order by the last; the epilogue runs once."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import f16
from tests.hidet_core.compiled import Net, compiled, feeds_of
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated
from tests.hidet_core.schedule.cuda.picking import of

SEEDS = (0, 1, 7)


def _fused(m, k, n, dtype=None):
    """Bias, ReLU and a residual after a product whose first operand is computed; two outputs."""
    net = Net()
    kind = {} if dtype is None else {"dtype": f16}
    numpy = np.float32 if dtype is None else np.float16
    y = net.matmul(net.tanh(net.x(m, k, **kind)), net.const(k, n, dtype=numpy))
    y = net.relu(net.add(y, net.const(n, dtype=numpy)))
    return net.done(y, net.add(y, net.x(m, n, **kind)))


def simt(splits, block_k=8):
    return of("Simt", lambda c: c.splits == splits and c.block_k == block_k)


@pytest.mark.parametrize("splits", [2, 4, 16])
@pytest.mark.parametrize("sizes", [(16, 256, 32), (17, 261, 37), (5, 257, 3)])
def test_parts_add_up(splits, sizes):
    result = check_cuda(_fused(*sizes), pick=simt(splits), seeds=SEEDS)
    assert len(result.kernels) == 1 and result.kernels[0].scheduled.workspace


def test_half_precision():
    check_cuda(_fused(9, 130, 12, f16), pick=simt(4), seeds=SEEDS)


def test_a_convolution():
    net = Net()
    x = net.relu(net.x(1, 4, 5, 24))
    y = net.conv(x, 3, 3, 24, 40, pads=(1, 1, 1, 1))
    check_cuda(net.done(net.relu(net.add(y, net.x(1, 4, 5, 40)))), pick=simt(8), seeds=SEEDS)


def test_one_kernel_for_all_sizes():
    """The parts that have nothing to sum take their tickets too."""
    net = Net()
    graph = net.done(net.matmul(net.x("b", "m", "k"), net.x("b", "k", "n")))
    sizes = [(1, 1, 1, 1), (2, 5, 70, 9), (3, 17, 0, 33)]
    symbols = [dict(zip("bmkn", size, strict=True)) for size in sizes]
    check_cuda(graph, *symbols, pick=simt(2), seeds=SEEDS)


@pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler")
def test_results_do_not_depend_on_the_order_of_blocks():
    graph = _fused(33, 1024, 40)
    result, feeds = compiled(graph, simt(8), H200), feeds_of(graph)
    found = [
        result.interpret(feeds, lambda *args, seed=seed: run_emulated(*args, seed=seed))["y0"]
        for seed in SEEDS
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


@needs_nvrtc
def test_nothing_spills():
    for used in usages(compiled(_fused(196, 2304, 256), pick=simt(8), target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used
