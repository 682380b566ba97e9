"""Convolution for GPUs as a contraction: windows, groups, storage with borders, any weights."""

import pytest

from hidet_core.ir.dtypes import bf16, f16, f32
from tests.hidet_core.compiled import CONV, Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.schedule.cuda.picking import simt

SEEDS = (0, 1, 7)
CASES = {
    "aligned": ((1, 8, 8, 16), (3, 3, 16, 32), {"pads": (1, 1, 1, 1)}),
    "pointwise": ((2, 5, 7, 12), (1, 1, 12, 20), {}),
    "ragged": ((2, 7, 5, 6), (3, 2, 6, 10), {"pads": (1, 0, 2, 1), "strides": (2, 1)}),
    "prime": ((1, 7, 11, 5), (3, 3, 5, 13), {"pads": (2, 2, 2, 2), "dilations": (2, 2)}),
    "tiny": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "stem": ((1, 15, 15, 3), (7, 7, 3, 8), {"pads": (3, 3, 3, 3), "strides": (2, 2)}),
    "groups": ((1, 5, 5, 12), (3, 3, 4, 24), {"pads": (1, 1, 1, 1), "groups": 3}),
    "odd groups": ((1, 4, 5, 6), (2, 2, 3, 10), {"groups": 2}),
}


def _graph(case, dtype=f32):
    """A convolution between two others' storage: its input has a border, its output a residual."""
    shape, weights, attrs = CASES[case]
    net = Net()
    x = net.relu(net.x(*shape, dtype=dtype))
    y = net.emit("conv2d", x, net.const(*weights, dtype=dtype.numpy), **(CONV | attrs))
    y = net.add(y, net.const(weights[-1], dtype=dtype.numpy))
    return net.done(net.relu(net.add(y, net.x(*y.type.shape, dtype=dtype))))


@pytest.mark.parametrize("case", CASES)
def test_windows(case):
    check_cuda(_graph(case), pick=simt, seeds=SEEDS)


@pytest.mark.parametrize("dtype", [f16, bf16], ids=str)
@pytest.mark.parametrize("case", ["pointwise", "ragged", "groups", "aligned", "prime", "tiny"])
def test_half_precision(case, dtype):
    check_cuda(_graph(case, dtype), pick=simt, interpreted=False, seeds=SEEDS)


def test_weights_that_are_no_constants():
    net = Net()
    x, w = net.relu(net.x(1, 6, 6, 6)), net.x(3, 3, 3, 8)
    check_cuda(net.done(net.emit("conv2d", x, w, **(CONV | {"groups": 2}))), pick=simt)


def test_one_kernel_for_all_sizes():
    net = Net()
    x = net.relu(net.x("n", "h", "w", 4))
    graph = net.done(net.conv(x, 3, 3, 4, 8, pads=(1, 1, 1, 1), strides=(2, 1)))
    sizes = [(1, 5, 6), (2, 1, 1), (3, 9, 4)]
    check_cuda(graph, *(dict(zip("nhw", size, strict=True)) for size in sizes), pick=simt)


def test_a_computed_input():
    net = Net()
    x = net.exp(net.x(2, 3, 5, 8))
    result = check_cuda(net.done(net.conv(x, 1, 1, 8, 12, strides=(2, 2))), pick=simt)
    assert result.ops == [("exp", "conv2d")]


@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_parts_of_a_concat(dtype):
    """Input and output are slices of wider tensors, with a border; one begins at 8 bytes of a
    vector of 16, where elements are of 2 bytes.
    """
    net = Net()

    def conv(x, size, channels):
        weights = net.const(size, size, x.type.shape[3], channels, dtype=dtype.numpy)
        return net.emit("conv2d", x, weights, **(CONV | {"pads": (size // 2,) * 4}))

    x = net.relu(net.x(1, 5, 6, 8, dtype=dtype))
    part = conv(x, 3, 12)
    y = net.concat(conv(x, 1, 4), part, axis=3)
    check_cuda(net.done(conv(y, 3, 8), conv(part, 3, 4)), pick=simt)


@needs_nvrtc
@pytest.mark.parametrize(
    ("case", "dtype"), [("stem", f32), ("ragged", f16), ("groups", bf16), ("aligned", f32)]
)
def test_nothing_spills(case, dtype):
    for used in usages(compiled(_graph(case, dtype), pick=simt, target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used
