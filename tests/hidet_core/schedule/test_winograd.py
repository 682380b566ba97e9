"""Winograd's convolution: its matrices, its error, every config on any size."""

import numpy as np
import pytest

from hidet_core import CompileOptions, compile_graph
from hidet_core.graph.reference import run_graph
from hidet_core.schedule.choose import candidates
from hidet_core.schedule.cpu.winograd import Winograd
from hidet_core.schedule.cpu.winograd_maths import AT, BT, G, error_bound, transform_weights
from tests.hidet_core.compiled import CONV, CPU, Net, check, compiled, feeds_of

PADDED = {"pads": (1, 1, 1, 1)}
SIZES = {
    "whole tiles": ((1, 8, 8, 16), 32, PADDED),
    "ragged": ((2, 9, 7, 3), 17, PADDED),
    "prime": ((1, 11, 13, 7), 19, {}),
    "one tile": ((1, 4, 4, 1), 1, PADDED),
    "asymmetric": ((1, 6, 7, 5), 33, {"pads": (0, 1, 2, 0)}),
    "many channels": ((1, 5, 6, 70), 50, PADDED),
}


def winograd(number):
    """Picks one of its configs; `number` goes through all of them from size to size."""

    def pick(found):
        ours = [candidate for candidate in found if isinstance(candidate.template, Winograd)]
        ours.sort(key=lambda candidate: str(candidate.config))
        return ours[number % len(ours)] if ours else found[0]

    return pick


def convolution(x, columns, **attrs):
    """Between a scaled input and bias, residual and Relu."""
    net = Net()
    value = net.tanh(net.x(*x))
    value = net.conv(value, 3, 3, x[3], columns, **attrs)
    value = net.add(value, net.const(columns))
    return net.done(net.relu(net.add(value, net.tanh(value))))


@pytest.mark.parametrize("m", [2, 4])
def test_the_matrices_filter(m):
    rng = np.random.default_rng(m)
    for _ in range(20):
        d, g = rng.standard_normal(m + 2), rng.standard_normal(3)
        found = np.array(AT[m]) @ ((np.array(G[m]) @ g) * (np.array(BT[m]) @ d))
        np.testing.assert_allclose(found, np.correlate(d, g), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("m", [2, 4])
def test_weights_are_transformed_in_both_dims(m):
    weights = np.random.default_rng(0).standard_normal((3, 3, 2, 5)).astype(np.float32)
    g = np.array(G[m])
    expected = np.einsum("ir,rsco,js->ijco", g, weights, g).reshape((m + 2) ** 2, 10)
    np.testing.assert_allclose(transform_weights(weights, m), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("number", range(0, 120, 13))
@pytest.mark.parametrize("case", SIZES)
def test_any_size_in_any_config(case, number):
    x, columns, attrs = SIZES[case]
    graph = convolution(x, columns, **attrs)
    slow = number > 0 or case == "many channels"
    result = check(graph, pick=winograd(number), interpreted=not slow)
    assert [k.scheduled.config for k in result.kernels if "winograd" in k.scheduled.config]


def test_symbolic_batch():
    graph = convolution(("n", 7, 6, 5), 18, **PADDED)
    check(graph, {"n": 1}, {"n": 3}, {"n": 0}, pick=winograd(5), interpreted=True)


@pytest.mark.parametrize(
    "attrs",
    [{"strides": (2, 2)}, {"dilations": (2, 2)}, {"groups": 2}],
    ids=["strides", "dilations", "groups"],
)
def test_what_it_does_not_take(attrs):
    net = Net()
    depth = 8 // attrs.get("groups", 1)
    x = net.tanh(net.x(1, 16, 16, 8))
    graph = net.done(net.conv2d(x, net.const(3, 3, depth, 16), **(CONV | PADDED | attrs)))
    (kernel,) = [k for k in compiled(graph).kernels if "conv2d" in k.program.name]
    found = candidates(kernel.draft.problem, CPU)
    assert not any(isinstance(candidate.template, Winograd) for candidate in found)


def test_it_is_chosen_where_it_is_faster():
    large = compiled(convolution((1, 56, 56, 64), 64, **PADDED)).kernels[-1]
    assert large.scheduled.config.startswith("winograd")


@pytest.mark.parametrize("allowed", [True, False])
def test_it_can_be_forbidden(allowed):
    graph = convolution((1, 56, 56, 64), 64, **PADDED)
    compiled = compile_graph(graph, CompileOptions(cache=False, winograd=allowed))
    configs = [kernel.config for kernel in compiled.report.kernels]
    assert any("winograd" in config for config in configs) == allowed


@pytest.mark.parametrize("m", [2, 4])
@pytest.mark.parametrize("channels", [1, 64, 512])
def test_the_error_is_within_the_bound(m, channels):
    net = Net(channels)
    x = net.x(1, 12, 12, channels)
    graph = net.done(net.conv(net.relu(x), 3, 3, channels, 16, **PADDED))

    def pick(found):
        ours = (c for c in found if isinstance(c.template, Winograd) and c.config.m == m)
        return next(ours, found[0])

    feeds = feeds_of(graph, 0)
    (found,) = compiled(graph, pick).executable().run(list(feeds.values()), threads=1)
    (expected,) = run_graph(graph, feeds).values()
    weights = next(array for array in graph.constants.values() if array.ndim == 4)
    scale = np.abs(feeds["x0"]).max() * np.abs(weights).sum(axis=(0, 1, 2)).max()
    assert np.abs(found - expected).max() <= error_bound(m, channels) * scale
