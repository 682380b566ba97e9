"""Contractions of few rows for GPUs: weights stream through warps that share a column or not."""

import pytest

from hidet_core.ir.dtypes import bf16, f16, f32
from tests.hidet_core.compiled import CONV, Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.schedule.cuda.picking import of

SEEDS = (0, 1, 7)
SIZES = {"aligned": (4, 256, 32), "ragged": (3, 150, 21), "prime": (7, 131, 13), "tiny": (1, 1, 2)}
SIZES["most rows"] = (16, 136, 9)


def _fused(m, k, n, dtype=f32):
    """Bias, ReLU and a residual; two outputs. The rows are not computed here."""
    net, numpy = Net(), dtype.numpy
    y = net.matmul(net.x(m, k, dtype=dtype), net.const(k, n, dtype=numpy))
    y = net.relu(net.add(y, net.const(n, dtype=numpy)))
    return net.done(y, net.add(y, net.x(m, n, dtype=dtype)))


def warps(n, k, cols, times):
    return of("Gemv", lambda c: (c.warps_n, c.warps_k, c.cols, c.unroll) == (n, k, cols, times))


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
@pytest.mark.parametrize("case", SIZES)
def test_sizes(case, dtype):
    result = check_cuda(_fused(*SIZES[case], dtype), pick=of("Gemv"), seeds=SEEDS)
    assert len(result.kernels) == 1 and "warps_k" in result.kernels[0].scheduled.config


@pytest.mark.parametrize("config", [(8, 1, 4, 1), (2, 2, 1, 2), (1, 8, 2, 1), (4, 1, 2, 4)])
def test_who_does_what(config):
    """Depths that are whole steps, and others; one row, and several."""
    for m, k in ((1, 1024), (9, 1100)):
        check_cuda(_fused(m, k, 9), pick=warps(*config), interpreted=False, seeds=SEEDS)


def test_a_batch_is_rows():
    net = Net()
    check_cuda(net.done(net.matmul(net.x(3, 2, 2, 40), net.const(40, 9))), pick=of("Gemv"))


def test_computed_rows():
    net = Net()
    y = net.matmul(net.exp(net.x(2, 150)), net.const(150, 21))
    assert len(check_cuda(net.done(y), pick=of("Gemv"), seeds=SEEDS).kernels) == 1


@pytest.mark.parametrize(("shape", "weights", "attrs"), [
    ((1, 1, 1, 48), (1, 1, 48, 12), {}),
    ((1, 3, 3, 8), (3, 3, 8, 10), {}),
    ((1, 4, 4, 12), (3, 3, 6, 8), {"groups": 2, "strides": (2, 2), "pads": (1, 1, 1, 1)}),
])  # fmt: skip
def test_convolutions(shape, weights, attrs):
    net = Net()
    y = net.emit("conv2d", net.tanh(net.x(*shape)), net.const(*weights), **(CONV | attrs))
    check_cuda(net.done(net.relu(y)), pick=of("Gemv"), seeds=SEEDS)


@needs_nvrtc
@pytest.mark.parametrize(("rows", "dtype"), [(1, f32), (16, f32), (1, f16), (9, bf16)])
def test_nothing_spills(rows, dtype):
    def largest(found):
        ours = [c for c in found if type(c.template).__name__ == "Gemv"]
        return max(ours, key=lambda c: (c.config.cols * c.config.unroll, str(c.config)))

    for used in usages(compiled(_fused(rows, 2048, 1000, dtype), pick=largest, target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used
