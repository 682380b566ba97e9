"""Matrix multiplication for GPUs: any batch dims and remainders, symbolic and computed operands."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import bf16, f16
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.schedule.cuda.picking import simt

SIZES = [
    (16, 32, 64), (17, 31, 37), (13, 7, 127), (3, 2, 5), (1, 1, 1), (1, 64, 96), (64, 1, 16),
    (5, 9, 1), (1, 257, 3), (70, 5, 4),
]  # fmt: skip


@pytest.mark.parametrize(("m", "k", "n"), SIZES)
def test_sizes(m, k, n):
    net = Net()
    check_cuda(net.done(net.matmul(net.x(m, k), net.x(k, n))), interpreted=m * k * n < 9000)


@pytest.mark.parametrize("dtype", [f16, bf16], ids=str)
@pytest.mark.parametrize("sizes", [(16, 32, 64), (18, 30, 38), (13, 7, 127), (1, 1, 1)])
def test_half_precision(sizes, dtype):
    """Summed in f32; the first operand is computed, bias and ReLU follow."""
    (m, k, n), net, seeds = sizes, Net(), (0, 1, 7)
    x, w = net.tanh(net.x(m, k, dtype=dtype)), net.const(k, n, dtype=dtype.numpy)
    y = net.relu(net.add(net.matmul(x, w), net.const(n, dtype=dtype.numpy)))
    result = check_cuda(net.done(y), pick=simt, interpreted=False, seeds=seeds)
    assert len(result.kernels) == 1


@pytest.mark.parametrize(
    ("a", "b"),
    [((2, 5, 7), (7, 9)), ((2, 1, 4, 5), (3, 5, 6)), ((4, 5), (3, 5, 17)), ((2, 3, 1, 5), (5, 1))],
)
def test_batches(a, b):
    net = Net()
    check_cuda(net.done(net.matmul(net.x(*a), net.x(*b))))


@pytest.mark.parametrize(("a", "b"), [((0, 5), (5, 6)), ((3, 0), (0, 6)), ((3, 5), (5, 0))])
def test_nothing_to_multiply(a, b):
    net = Net()
    check_cuda(net.done(net.matmul(net.x(*a), net.x(*b))))


def test_one_kernel_for_all_sizes():
    net = Net()
    graph = net.done(net.matmul(net.x("b", "m", "k"), net.x("b", "k", "n")))
    sizes = [(1, 1, 1, 1), (2, 5, 7, 9), (1, 70, 33, 40), (3, 17, 0, 33)]
    check_cuda(graph, *(dict(zip("bmkn", size, strict=True)) for size in sizes))


def test_one_operand_twice():
    net = Net()
    x = net.x(7, 7)
    check_cuda(net.done(net.matmul(x, x)))


def test_fusion():
    """Prologues that are not 0 at 0, bias and residual, a transposed store, two outputs."""
    net = Net()
    a, b = net.exp(net.x(19, 9)), net.sigmoid(net.x(9, 36))
    y = net.relu(net.add(net.add(net.matmul(a, b), net.const(36)), net.x(19, 36)))
    graph = net.done(net.transpose(y, perm=(1, 0)))
    result = check_cuda(graph)
    assert set(result.ops[-1]) >= {"exp", "matmul", "add", "relu", "transpose"}
    net = Net()
    y = net.matmul(net.x(5, 9), net.const(9, 12))
    assert len(check_cuda(net.done(y, net.tanh(y))).kernels) == 1


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64])
def test_other_dtypes_use_plain_loops(dtype):
    net = Net()
    weights = net.constant(net.rng.integers(-4, 5, (7, 9)).astype(dtype), "w")
    check_cuda(net.done(net.matmul(net.x(5, 7, dtype=weights.type.dtype), weights)))


@needs_nvrtc
@pytest.mark.parametrize("shape", [(1024, 1024, 1024), ("m", 768, 3072), (128, 768, 768)])
def test_large_tiles_do_not_spill(shape):
    m, k, n = shape
    net = Net()
    graph = net.done(net.relu(net.add(net.matmul(net.x(m, k), net.const(k, n)), net.const(n))))
    for used in usages(compiled(graph, target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used
    largest = compiled(graph, pick=_most_registers, target=H200)
    for used in usages(largest):
        assert used.spill_bytes == used.stack_bytes == 0, used


def _most_registers(found):
    return max(found, key=lambda c: (c.config.registers * c.config.threads, str(c.config)))
