"""Pooling and LRN for GPUs: all attributes, dtypes, sizes and vectors, three orders of threads."""

import pytest

from hidet_core.ir.dtypes import bf16, f16, f32, i8, i32, u8
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages

SEEDS = (0, 1, 7)
PLAIN = {
    "kernel": (3, 3), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1),
    "count_include_pad": False,
}  # fmt: skip


def _pool(shape, dtype=f32, kind="max", out=None, **attrs):
    net = Net()
    attrs = PLAIN | attrs
    if out is None:
        spans = [(k - 1) * d + 1 for k, d in zip(attrs["kernel"], attrs["dilations"], strict=True)]
        around = [attrs["pads"][k] + attrs["pads"][k + 2] for k in range(2)]
        out = tuple(
            (shape[1 + k] + around[k] - spans[k]) // attrs["strides"][k] + 1 for k in range(2)
        )
    x = net.x(*shape, dtype=dtype)
    return net.done(net.pool2d(x, kind=kind, out_hw=out, **attrs))


def _with(**wanted):
    def pick(found):
        fits = (c for c in found if all(getattr(c.config, k) == v for k, v in wanted.items()))
        return next(fits)

    return pick


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
@pytest.mark.parametrize("channels", [1, 12, 13, 64])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_channels(kind, channels, dtype):
    graph = _pool((2, 5, 6, channels), dtype, kind, strides=(2, 1), pads=(1, 1, 1, 1))
    check_cuda(graph, seeds=SEEDS)


@pytest.mark.parametrize("attrs", [
    {"dilations": (2, 1)}, {"kernel": (1, 5), "pads": (0, 2, 0, 2)}, {"kernel": (5, 5)},
    {"pads": (2, 1, 0, 1), "strides": (2, 3)}, {"pads": (0, 0, 1, 1), "strides": (2, 2)},
    {"strides": (2, 2), "out": (3, 4)},  # ceil_mode: the last windows reach beyond the image
], ids=str)  # fmt: skip
@pytest.mark.parametrize("count", [False, True])
def test_attributes(attrs, count):
    for kind in ("max", "avg"):
        graph = _pool((1, 7, 8, 8), f16, kind, count_include_pad=count, **attrs)
        check_cuda(graph)


@pytest.mark.parametrize("dtype", [u8, i8, i32], ids=str)
def test_integers(dtype):
    check_cuda(_pool((1, 5, 6, 20), dtype, pads=(1, 1, 1, 1)), seeds=SEEDS)


@pytest.mark.parametrize("team", [1, 4, 16])
@pytest.mark.parametrize("kind", ["max", "avg"])
def test_teams(kind, team):
    """One large window for all of the image, and its parts from several threads."""
    graph = _pool((2, 7, 6, 40), f16, kind, kernel=(7, 6))
    check_cuda(graph, pick=_with(team=team, vector=4), seeds=SEEDS)


def test_symbolic_images():
    net = Net()
    n, h, w = (net.dim(name) for name in "nhw")
    y = net.pool2d(net.x(n, h, w, 8), kind="max", out_hw=(h, w), **(PLAIN | {"pads": (1,) * 4}))
    sizes = [{"n": 1, "h": 1, "w": 1}, {"n": 3, "h": 5, "w": 7}]
    check_cuda(net.done(net.relu(y)), *sizes, seeds=SEEDS)


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
@pytest.mark.parametrize("channels", [1, 7, 48])
@pytest.mark.parametrize("size", [1, 4, 5, 9])
def test_lrn(size, channels, dtype):
    net = Net()
    x = net.relu(net.x(1, 3, 2, channels, dtype=dtype))
    y = net.lrn(x, size=size, alpha=0.3, beta=0.75, bias=1.5)
    check_cuda(net.done(y), seeds=SEEDS if size == 5 else (1,))


@pytest.mark.parametrize("vector", [1, 2, 4, 8])
def test_lrn_vectors(vector):
    net = Net()
    x = net.x(2, 5, 16, dtype=f16)
    graph = net.done(net.lrn(x, size=11, alpha=1e-2, beta=0.6, bias=1.0))
    check_cuda(graph, pick=_with(vector=vector), seeds=SEEDS)


@needs_nvrtc
@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_nothing_spills(dtype):
    net = Net()
    x = net.x(8, 56, 56, 64, dtype=dtype)
    pool = net.pool2d(x, kind="avg", out_hw=(56, 56), **(PLAIN | {"pads": (1,) * 4}))
    graph = net.done(pool, net.lrn(x, size=5, alpha=1e-4, beta=0.75, bias=1.0))
    result = compiled(graph, pick=_with(vector=16 // dtype.bytes), target=H200)
    assert [kernel.ops for kernel in result.kernels] == [("pool2d",), ("lrn",)]
    for used in usages(result):
        assert used.spill_bytes == used.stack_bytes == 0, used
