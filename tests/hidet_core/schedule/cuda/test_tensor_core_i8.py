"""Contractions of 8-bit integers on tensor cores: exact, whatever the sizes and the signs."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import f32, i8, u8
from tests.hidet_core.compiled import CONV, Net
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import check_cuda, usages
from tests.hidet_core.importer.one_node import import_model
from tests.hidet_core.qdq_models import residual_block
from tests.hidet_core.schedule.cuda.picking import of


def weights(net, *shape):
    return net.constant(net.rng.integers(-128, 128, shape).astype(np.int8), "w")


def product(m, k, n, dtype):
    """Requantised: the epilogue is in the kernel."""
    net = Net()
    scale, zero = (net.constant(np.asarray(v)) for v in (np.float32(9.7), np.uint8(100)))
    y = net.matmul(net.x(m, k, dtype=dtype), weights(net, k, n))
    return net.done(net.quantize(net.add(net.cast(y, to=f32), net.const(n)), scale, zero))


def check(graph, *sizes, admits=lambda config: True, **options):
    pick = of("TensorCoreInt8", admits)
    result = check_cuda(graph, *sizes, pick=pick, seeds=(1,), **options)
    assert any("warp_m" in kernel.scheduled.config for kernel in result.kernels)
    return result


@pytest.mark.parametrize(
    ("sizes", "dtype"),
    [((48, 96, 40), u8), ((17, 67, 37), i8), ((1, 3, 2), u8), ((9, 6, 5), i8)],
    ids=str,
)
def test_products(sizes, dtype):
    result = check(product(*sizes, dtype), interpreted=sizes[0] == 17)
    assert len(result.kernels) == 1


def test_parts_of_k():
    check(product(16, 600, 24, u8), admits=lambda c: c.splits == 4, interpreted=False)


def test_symbolic_rows():
    check(product("n", 40, 24, i8), {"n": 1}, {"n": 35}, interpreted=False)


def test_convolution():
    net = Net()
    x = net.maximum(net.x(1, 7, 6, 20, dtype=u8), net.x(1, 7, 6, 20, dtype=u8))
    attrs = CONV | {"pads": (1, 1, 1, 1), "strides": (2, 1)}
    check(net.done(net.emit("conv2d", x, weights(net, 3, 3, 20, 12), **attrs)), interpreted=False)


def test_a_network():
    _, graph = import_model(residual_block(channels=16))
    check_cuda(graph, seeds=(1,), interpreted=False)


@needs_nvrtc
def test_real_compilation():
    result = check(product(48, 96, 40, u8), interpreted=False)
    assert all(usage.spill_bytes == 0 for usage in usages(result, ("sm_90a",)))
