"""Normalisation in primitives becomes one operator that gives the same; what only looks like it is
left.
"""

import numpy as np
import pytest

from hidet_core.graph.graph import count_ops, verify_graph
from hidet_core.graph.passes import run_passes
from hidet_core.graph.reference import run_graph
from tests.hidet_core.compiled import Net, feeds_of


class Maker(Net):
    def number(self, value):
        return self.constant(np.float32(value), "number")

    def mean(self, x, axes=None, keepdims=True):
        axes = (x.type.rank - 1,) if axes is None else axes
        return self.reduce(x, op="mean", axes=axes, keepdims=keepdims)

    def spread(self, centred, eps=1e-3):
        square = self.pow(centred, self.number(2))
        return self.sqrt(self.add(self.mean(square), self.number(eps)))


def divided(net, centred):
    return net.div(centred, net.spread(centred))


def by_reciprocal(net, centred):
    return net.mul(net.recip(net.spread(centred)), centred)


def by_quotient(net, centred):
    return net.mul(centred, net.div(net.number(1), net.spread(centred)))


def by_power(net, centred):
    total = net.add(net.number(1e-3), net.mean(net.mul(centred, centred)))
    return net.mul(centred, net.pow(total, net.number(-0.5)))


SPELLINGS = [divided, by_reciprocal, by_quotient, by_power]


def equal_after(graph):
    after = run_passes(graph)
    verify_graph(after)
    sizes = {symbol.name: 3 for symbol in graph.symbols}
    feeds = feeds_of(graph, **sizes)
    expected, found = run_graph(graph, feeds), run_graph(after, feeds)
    for key, array in expected.items():
        np.testing.assert_allclose(found[key], array, 1e-5, 1e-6)
    return count_ops(after)


@pytest.mark.parametrize("spelling", SPELLINGS)
@pytest.mark.parametrize("rows", [5, "n"])
def test_layer_norm(spelling, rows):
    net = Maker()
    x = net.x(2, rows, 7)
    y = spelling(net, net.sub(x, net.mean(x)))
    y = net.add(net.const(7), net.mul(net.const(7), y))
    assert equal_after(net.done(y)) == {"layer_norm": 1}


@pytest.mark.parametrize("spelling", SPELLINGS)
def test_rms_norm(spelling):
    net = Maker()
    x = net.add(net.x(2, 5, 7), net.x(2, 5, 7))
    y = net.mul(spelling(net, x), net.x(7))
    assert equal_after(net.done(net.add(y, x))) == {"add": 2, "rms_norm": 1}


def test_without_vectors_and_with_a_scalar():
    net = Maker()
    x = net.x(2, 5, 7)
    y = net.mul(divided(net, net.sub(x, net.mean(x))), net.number(3))
    assert equal_after(net.done(y)) == {"layer_norm": 1, "mul": 1}


def test_a_norm_that_is_read_twice_keeps_its_vectors_apart():
    net = Maker()
    x = net.x(2, 5, 7)
    normal = divided(net, net.sub(x, net.mean(x)))
    graph = net.done(net.mul(normal, net.const(7)), net.mul(normal, net.const(7)))
    assert equal_after(graph) == {"layer_norm": 1, "mul": 2}


def test_other_axes_and_other_means_are_left():
    net = Maker()
    x = net.x(2, 5, 7)
    centred = net.sub(x, net.mean(x, axes=(1,)))
    spread = net.sqrt(net.add(net.mean(net.mul(centred, centred), axes=(1,)), net.number(1)))
    counts = equal_after(net.done(net.div(centred, spread)))
    assert not counts.keys() & {"layer_norm", "rms_norm"}
    net = Maker()
    x, z = net.x(2, 5, 7), net.x(2, 5, 7)
    counts = equal_after(net.done(net.div(net.sub(x, net.mean(x)), net.spread(z))))
    assert not counts.keys() & {"layer_norm", "rms_norm"}
