"""Pooling: maxima and averages, clipped windows of every kind, and local response normalisation."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import f64, i32
from hidet_core.ops.windows import window_out
from tests.hidet_core.compiled import Net, check

POOL = {
    "kernel": (3, 3), "strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1),
    "count_include_pad": False,
}  # fmt: skip


def pooling(kind, shape, extra=(0, 0), dtype=None, **attrs):
    """extra: windows beyond those that fit, as ceil_mode has them."""
    net, attrs = Net(), POOL | attrs
    x = net.x(*shape, **({} if dtype is None else {"dtype": dtype}))
    pads = attrs["pads"]
    attrs["out_hw"] = tuple(
        window_out(
            x.type.shape[1 + axis], attrs["kernel"][axis], attrs["strides"][axis],
            (pads[axis], pads[axis + 2]), attrs["dilations"][axis],
        ) + extra[axis]
        for axis in (0, 1)
    )  # fmt: skip
    return net.done(net.pool2d(x, kind=kind, **attrs))


CASES = {
    "aligned": ((1, 6, 6, 64), {}),
    "ragged": ((2, 5, 7, 19), {}),
    "one channel": ((1, 5, 7, 1), {}),
    "padded": ((1, 5, 5, 17), {"pads": (1, 1, 1, 1)}),
    "strided": ((1, 9, 8, 5), {"strides": (2, 3), "pads": (1, 1, 1, 1)}),
    "asymmetric": ((1, 5, 5, 5), {"pads": (0, 1, 2, 1)}),
    "dilated": ((1, 9, 9, 5), {"dilations": (2, 3), "pads": (1, 1, 1, 1)}),
    "even": ((1, 6, 5, 5), {"kernel": (2, 4), "strides": (2, 1), "pads": (1, 2, 0, 1)}),
    "global": ((2, 7, 5, 33), {"kernel": (7, 5)}),
    "ceil": ((1, 6, 6, 5), {"strides": (2, 2), "extra": (1, 1)}),
    "ceil and pads": ((1, 7, 6, 5), {"strides": (3, 2), "pads": (1, 1, 1, 1), "extra": (1, 1)}),
    "one pixel": ((1, 1, 1, 4), {"kernel": (1, 1)}),
}


@pytest.mark.parametrize("count_include_pad", [False, True])
@pytest.mark.parametrize("case", CASES)
def test_averages(case, count_include_pad):
    shape, attrs = CASES[case]
    check(pooling("avg", shape, count_include_pad=count_include_pad, **attrs), interpreted=True)


@pytest.mark.parametrize("case", CASES)
def test_maxima(case):
    shape, attrs = CASES[case]
    check(pooling("max", shape, **attrs), interpreted=True)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_symbolic_sizes(kind):
    graph = pooling(kind, ("n", "h", "w", 5), pads=(1, 1, 1, 1), strides=(2, 1))
    sizes = [(1, 1, 1), (2, 5, 7), (1, 8, 3), (0, 4, 4)]
    check(graph, *(dict(zip("nhw", size, strict=True)) for size in sizes), interpreted=True)


def test_symbolic_channels():
    check(pooling("max", (1, 5, 5, "c")), *({"c": c} for c in (1, 16, 37, 0)), interpreted=True)


@pytest.mark.parametrize("kind", ["avg", "max"])
def test_double_precision(kind):
    check(pooling(kind, (1, 5, 5, 9), dtype=f64, pads=(1, 1, 1, 1)), interpreted=True)


def test_integer_maxima():
    check(pooling("max", (1, 5, 5, 9), dtype=i32, pads=(1, 1, 1, 1)), interpreted=True)


def test_maxima_of_nan_and_infinity():
    """A window with a NaN has a NaN, one of -inf alone has -inf."""
    net = Net()
    x = net.rng.standard_normal((1, 4, 6, 2)).astype(np.float32)
    x[0, 1, 1] = np.nan, np.inf
    x[0, :, 3:] = -np.inf
    attrs = POOL | {"out_hw": (2, 4)}
    y = net.pool2d(net.mul(net.x(1, 1, 1, 2), net.constant(np.zeros(2, np.float32))), kind="max",
                   **(attrs | {"kernel": (1, 1), "out_hw": (1, 1)}))  # fmt: skip
    graph = net.done(net.add(net.pool2d(net.constant(x), kind="max", **attrs), y))
    check(graph, interpreted=True)


LRN = {"size": 5, "alpha": 1e-2, "beta": 0.75, "bias": 1.0}


@pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 9])
@pytest.mark.parametrize("channels", [1, 3, 16, 37])
def test_lrn(channels, size):
    net = Net()
    graph = net.done(net.lrn(net.x(2, 3, channels), **(LRN | {"size": size})))
    check(graph, interpreted=True)


@pytest.mark.parametrize("beta", [0.5, 0.75, 1.0, 0.6])
def test_lrn_exponents(beta):
    net = Net()
    check(net.done(net.lrn(net.x(1, 2, 3, 19), **(LRN | {"beta": beta, "bias": 2.0}))))


def test_lrn_of_computed_values():
    """The prologue is read three times a channel; what it computes is one kernel with it."""
    net = Net()
    graph = net.done(net.relu(net.lrn(net.tanh(net.x("n", 3, 3, 19)), **LRN)))
    result = check(graph, {"n": 1}, {"n": 2}, {"n": 0}, interpreted=True)
    assert result.ops == [("tanh", "lrn", "relu")]


@pytest.mark.parametrize("channels", ["c", 20000])
def test_lrn_without_a_buffer(channels):
    """More channels than the template stages, or unknown: plain loops."""
    net = Net()
    check(net.done(net.lrn(net.x(1, 2, channels), **LRN)), {"c": 7})


def test_lrn_with_a_wide_window():
    net = Net()
    check(net.done(net.lrn(net.x(2, 70), **(LRN | {"size": 67}))))
