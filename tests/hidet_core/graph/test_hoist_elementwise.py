"""Elementwise operators right behind what they read: the gate of a SwiGLU is no kernel."""

import numpy as np

from hidet_core.graph.graph import verify_graph
from hidet_core.graph.groups import form_groups
from hidet_core.graph.passes.hoist_elementwise import hoist_elementwise
from hidet_core.graph.reference import run_graph
from tests.hidet_core.compiled import Net, feeds_of


def gated():
    net = Net()
    x = net.x(5, 8)
    gate, up = (net.matmul(x, net.const(8, 12)) for _ in range(2))
    y = net.mul(net.mul(gate, net.sigmoid(gate)), up)
    return net.done(net.matmul(y, net.const(12, 8)))


def kernels(graph):
    return ["+".join(op.op.name for op in group.operators) for group in form_groups(graph)]


def test_the_gate_is_absorbed():
    before = gated()
    after = hoist_elementwise(before)
    verify_graph(after)
    assert "mul+matmul" in kernels(before)
    assert kernels(after) == ["matmul+sigmoid+mul", "matmul+mul", "matmul"]
    feeds = feeds_of(before)
    np.testing.assert_array_equal(run_graph(after, feeds)["y0"], run_graph(before, feeds)["y0"])


def test_order_stays_where_nothing_is_late():
    once = hoist_elementwise(gated())
    assert hoist_elementwise(once) is once
