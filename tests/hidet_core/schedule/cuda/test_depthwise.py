"""Depthwise convolution for GPUs: any window, stride and dilation; tiles that hang over an edge."""

import pytest

from hidet_core.ir.dtypes import bf16, f16, f32
from tests.hidet_core.compiled import CONV, Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.schedule.cuda.picking import of

SEEDS = (0, 1, 7)
CASES = {
    "aligned": ((1, 8, 8, 16), (3, 3), {"pads": (1, 1, 1, 1)}),
    "stride": ((2, 9, 7, 12), (3, 3), {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
    "ragged": ((1, 7, 11, 6), (5, 3), {"pads": (2, 1, 1, 0), "strides": (1, 2)}),
    "prime": ((2, 7, 5, 13), (3, 3), {"pads": (2, 2, 2, 2), "dilations": (2, 2)}),
    "large": ((1, 9, 9, 4), (7, 7), {"pads": (3, 3, 3, 3)}),
    "tiny": ((1, 1, 1, 2), (1, 1), {}),
    "wide": ((1, 11, 19, 4), (3, 3), {"pads": (1, 1, 1, 1), "strides": (2, 2)}),
    "no pads": ((1, 5, 6, 8), (2, 3), {}),
}
depthwise = of("Depthwise")


def _graph(case, dtype=f32):
    shape, window, attrs = CASES[case]
    net, channels = Net(), shape[-1]
    x, numpy = net.relu(net.x(*shape, dtype=dtype)), dtype.numpy
    weights = net.const(*window, 1, channels, dtype=numpy)
    y = net.emit("conv2d", x, weights, **(CONV | {"groups": channels} | attrs))
    y = net.relu(net.add(y, net.const(channels, dtype=numpy)))
    return net.done(net.add(y, net.x(*y.type.shape, dtype=dtype)))


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
@pytest.mark.parametrize("case", CASES)
def test_windows(case, dtype):
    result = check_cuda(_graph(case, dtype), pick=depthwise, seeds=SEEDS)
    assert "down=" in result.kernels[-1].scheduled.config


@pytest.mark.parametrize("config", [(4, 8, 2), (2, 4, 4), (1, 2, 1), (4, 1, 4)])
def test_tiles(config):
    def admits(c):
        return (c.down, c.across, c.vector) == config

    check_cuda(_graph("wide"), pick=of("Depthwise", admits))


def test_one_kernel_for_all_sizes():
    net = Net()
    x = net.relu(net.x("n", "h", "w", 4))
    graph = net.done(net.conv(x, 3, 3, 1, 4, groups=4, pads=(1, 1, 1, 1), strides=(2, 1)))
    sizes = [(1, 5, 6), (2, 1, 1), (3, 9, 4)]
    check_cuda(graph, *(dict(zip("nhw", size, strict=True)) for size in sizes), pick=depthwise)


def test_weights_that_are_no_constants():
    net = Net()
    x, w = net.relu(net.x(1, 6, 5, 8)), net.x(3, 3, 1, 8)
    check_cuda(net.done(net.emit("conv2d", x, w, **(CONV | {"groups": 8}))), pick=depthwise)


@needs_nvrtc
@pytest.mark.parametrize(("dtype", "stride"), [(f32, 1), (f16, 2), (bf16, 1)])
def test_nothing_spills(stride, dtype):
    net = Net()
    x = net.x(1, 28, 28, 192, dtype=dtype)
    attrs = CONV | {"groups": 192, "strides": (stride, stride), "pads": (0, 0, 0, 0)}
    y = net.emit("conv2d", x, net.const(5, 5, 1, 192, dtype=dtype.numpy), **attrs)
    graph = net.done(net.relu(y))
    for used in usages(compiled(graph, pick=most_registers, target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used


def most_registers(found):
    ours = [c for c in found if type(c.template).__name__ == "Depthwise"]
    return max(ours or found, key=lambda c: c.config.down * c.config.across * c.config.vector)
