"""Convolution, dense, grouped and depthwise: every attribute, any sizes, inside a halo or not."""

import itertools

import numpy as np
import pytest

from hidet_core.ir.dtypes import f64
from tests.hidet_core.compiled import CONV, Net, check

PADDED = {"pads": (1, 1, 1, 1)}


def convolution(x, weights, own=True, **attrs):
    """conv2d of a computed value (its pads are a halo) or of an input (its pads are a kernel)."""
    net = Net()
    value = net.x(*x)
    if own:
        value = net.tanh(value)
    return net.done(net.conv(value, *weights, **attrs))


CASES = {
    "aligned": ((1, 8, 8, 16), (3, 3, 16, 32), PADDED),
    "ragged": ((1, 7, 5, 3), (3, 3, 3, 17), PADDED),
    "prime": ((1, 11, 13, 7), (3, 3, 7, 19), {}),
    "pixel": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "one window": ((1, 3, 3, 4), (3, 3, 4, 5), {}),
    "narrow": ((1, 9, 1, 4), (3, 1, 4, 5), {"pads": (1, 0, 1, 0)}),
    "flat": ((1, 1, 9, 4), (1, 3, 4, 5), {"pads": (0, 1, 0, 1)}),
    "strided": ((1, 9, 8, 4), (3, 3, 4, 5), PADDED | {"strides": (2, 2)}),
    "strides differ": ((1, 9, 8, 4), (3, 2, 4, 5), {"strides": (1, 3)}),
    "stem": ((1, 17, 17, 3), (7, 7, 3, 8), {"pads": (3, 3, 3, 3), "strides": (2, 2)}),
    "dilated": ((1, 9, 8, 4), (3, 3, 4, 5), {"pads": (2, 2, 2, 2), "dilations": (2, 2)}),
    "dilations differ": ((1, 9, 8, 4), (3, 2, 4, 5), {"dilations": (1, 3)}),
    "asymmetric": ((1, 6, 6, 4), (3, 3, 4, 5), {"pads": (0, 1, 2, 3)}),
    "wide pads": ((1, 3, 3, 2), (3, 3, 2, 5), {"pads": (4, 4, 4, 4)}),
    "images": ((3, 5, 4, 2), (3, 3, 2, 5), PADDED),
    "pointwise": ((1, 5, 7, 6), (1, 1, 6, 33), {}),
    "pointwise strided": ((2, 6, 7, 6), (1, 1, 6, 9), {"strides": (2, 2)}),
    "pointwise padded": ((1, 5, 5, 3), (1, 1, 3, 4), PADDED),
    "groups": ((1, 5, 6, 8), (3, 3, 4, 6), PADDED | {"groups": 2}),
    "groups of one": ((1, 5, 6, 3), (3, 3, 1, 3), PADDED | {"groups": 3}),
    "grouped pointwise": ((2, 5, 6, 8), (1, 1, 2, 12), {"groups": 4}),
    "even kernel": ((1, 6, 6, 3), (2, 4, 3, 5), {"pads": (1, 1, 0, 2)}),
}


@pytest.mark.parametrize("own", [True, False], ids=["halo", "pad"])
@pytest.mark.parametrize("case", CASES)
def test_convolutions(case, own):
    x, weights, attrs = CASES[case]
    check(convolution(x, weights, own, **attrs), interpreted=own and case != "stem")


DEPTHWISE = {
    "aligned": ((1, 8, 8, 32), 1, PADDED),
    "ragged": ((2, 7, 5, 19), 1, PADDED),
    "one channel": ((1, 7, 5, 1), 1, PADDED),
    "strided": ((1, 9, 8, 17), 1, PADDED | {"strides": (2, 2)}),
    "dilated": ((1, 9, 8, 5), 1, {"pads": (2, 2, 2, 2), "dilations": (2, 2)}),
    "asymmetric": ((1, 5, 5, 5), 1, {"pads": (0, 1, 2, 3)}),
    "multiplier": ((1, 6, 5, 6), 2, PADDED),
    "multiplier 3": ((1, 6, 5, 17), 3, PADDED | {"strides": (2, 1)}),
}


@pytest.mark.parametrize("own", [True, False], ids=["halo", "pad"])
@pytest.mark.parametrize("case", DEPTHWISE)
def test_depthwise(case, own):
    x, multiplier, attrs = DEPTHWISE[case]
    channels = x[3]
    weights = (3, 3, 1, channels * multiplier)
    check(convolution(x, weights, own, groups=channels, **attrs), interpreted=True)


SYMBOLIC = {
    "dense": ((3, 3, 3, 17), PADDED),
    "strided": ((3, 3, 3, 5), PADDED | {"strides": (2, 2)}),
    "pointwise": ((1, 1, 3, 5), {}),
    "depthwise": ((3, 3, 1, 3), PADDED | {"groups": 3}),
    "groups": ((3, 3, 1, 6), PADDED | {"groups": 3}),
}
IMAGES = [(1, 1, 1), (1, 7, 5), (2, 3, 4), (3, 1, 9), (0, 3, 3), (1, 7, 5)]


@pytest.mark.parametrize("own", [True, False], ids=["halo", "pad"])
@pytest.mark.parametrize("case", SYMBOLIC)
def test_symbolic_sizes(case, own):
    weights, attrs = SYMBOLIC[case]
    graph = convolution(("n", "h", "w", 3), weights, own, **attrs)
    check(graph, *(dict(zip("nhw", size, strict=True)) for size in IMAGES), interpreted=own)


@pytest.mark.parametrize("symbolic", list(itertools.product([0, 1], repeat=3)))
def test_some_symbolic_sizes(symbolic):
    size = {"n": 2, "h": 5, "w": 7}
    shape = [name if flag else size[name] for name, flag in zip("nhw", symbolic, strict=True)]
    check(convolution((*shape, 3), (3, 3, 3, 5), **PADDED), size, interpreted=True)


def test_weights_that_are_not_constant():
    net = Net()
    x, w = net.tanh(net.x(1, 6, 5, 4)), net.x(3, 3, 2, 6)
    graph = net.done(net.conv2d(x, w, **(CONV | PADDED | {"groups": 2})))
    check(graph, interpreted=True)


def test_depthwise_weights_that_are_not_constant():
    net = Net()
    x, w = net.tanh(net.x(1, 6, 5, 4)), net.x(3, 3, 1, 4)
    check(net.done(net.conv2d(x, w, **(CONV | PADDED | {"groups": 4}))), interpreted=True)


def test_double_precision_uses_plain_loops():
    net = Net()
    x, w = net.tanh(net.x(1, 6, 5, 4, dtype=f64)), net.const(3, 3, 4, 5, dtype=np.float64)
    check(net.done(net.conv2d(x, w, **(CONV | PADDED))), interpreted=True)


@pytest.mark.parametrize("channels", [4, 16, 19])
def test_computed_pixels_are_staged(channels):
    """Batch norm and Relu before a 1x1 convolution: computed once per pixel, one kernel."""
    net = Net()
    x = net.relu(
        net.add(net.mul(net.x("n", 5, 3, channels), net.const(channels)), net.const(channels))
    )
    graph = net.done(net.conv(x, 1, 1, channels, 33))
    result = check(graph, {"n": 1}, {"n": 3}, interpreted=True)
    assert result.ops == [("mul", "add", "relu", "conv2d")]


def test_weights_shared_by_different_groups():
    """One constant, read as [3, 3, 4, 6] by both, in one group and in two."""
    net = Net()
    w = net.const(3, 3, 4, 6)
    one = net.conv2d(net.x(1, 5, 5, 4), w, **CONV)
    two = net.conv2d(net.x(1, 5, 5, 8), w, **(CONV | {"groups": 2}))
    check(net.done(one, two))


def test_no_images():
    check(convolution((0, 5, 5, 3), (3, 3, 3, 4), **PADDED), interpreted=True)
    check(convolution((2, 5, 5, 3), (3, 3, 3, 0)), interpreted=True)
