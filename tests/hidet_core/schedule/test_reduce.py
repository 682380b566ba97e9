"""Reductions: every op over every set of axes, positions of extremes, all dtypes."""

import itertools

import numpy as np
import pytest

from hidet_core.ir.dtypes import boolean, f16, f64, i8, i32, i64, u8
from hidet_core.ops.reductions import REDUCE_OPS
from tests.hidet_core.compiled import Net, check

AXES = [axes for count in range(4) for axes in itertools.combinations(range(3), count)]


def positive(net, x):
    """Logarithms want it."""
    return net.add(net.abs(x), net.constant(np.float32(0.5)))


@pytest.mark.parametrize("op", REDUCE_OPS)
def test_all_axes(op):
    net = Net()
    x = positive(net, net.x(3, 5, 18))
    x = net.gt(x, net.constant(np.float32(2.5))) if op in ("any", "all") else x
    outs = [net.reduce(x, op=op, axes=axes, keepdims=k % 2 == 0) for k, axes in enumerate(AXES)]
    check(net.done(*outs), tolerance=1e-4)


SHAPES = [
    ((1, 1, 1), (1,)), ((3, 1, 7), (1,)), ((2, 37, 1), (1,)), ((1, 64), (1,)), ((64, 1), (0,)),
    ((17, 31), (0,)), ((17, 31), (1,)), ((7,), (0,)), ((2, 3, 4, 5), (0, 2)), ((5, 16), (1,)),
]  # fmt: skip


@pytest.mark.parametrize(("shape", "axes"), SHAPES)
@pytest.mark.parametrize("op", ["sum", "max", "logsumexp", "mean"])
def test_shapes(op, shape, axes):
    net = Net()
    graph = net.done(net.reduce(net.x(*shape), op=op, axes=axes, keepdims=False))
    check(graph, interpreted=True)


@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (1, 2), (0, 1), (0, 1, 2)])
@pytest.mark.parametrize("op", ["sum", "mean", "max"])
def test_symbolic_sizes(op, axes):
    net = Net()
    graph = net.done(net.reduce(net.x("a", "b", "c"), op=op, axes=axes, keepdims=False))
    sizes = [(1, 1, 1), (2, 3, 17), (3, 16, 32), (4, 1, 5)]
    check(graph, *(dict(zip("abc", size, strict=True)) for size in sizes), interpreted=True)


@pytest.mark.parametrize("op", ["sum", "prod", "max", "min"])
def test_nothing_to_reduce(op):
    """Symbols that are 0: the neutral element, or nothing."""
    net = Net()
    graph = net.done(net.reduce(net.x("a", "b"), op=op, axes=(1,), keepdims=False))
    check(graph, {"a": 3, "b": 0}, {"a": 0, "b": 3}, interpreted=True)


@pytest.mark.parametrize("dtype", [f64, f16, i8, i32, i64, u8])
@pytest.mark.parametrize("op", ["sum", "mean", "max", "min", "prod"])
def test_dtypes(op, dtype):
    net = Net()
    x = net.x(2, 21, dtype=dtype)
    outs = [net.reduce(x, op=op, axes=axes, keepdims=False) for axes in ((0,), (1,), (0, 1))]
    check(net.done(*outs), interpreted=True)


@pytest.mark.parametrize("axis", [0, 1, 2])
@pytest.mark.parametrize("op", ["max", "min"])
def test_positions(op, axis):
    net = Net()
    x = net.round(net.x(3, 7, 18))  # equal elements: which comes first counts
    flags = list(itertools.product([False, True], repeat=2))
    outs = [net.arg_reduce(x, op=op, axis=axis, keepdims=k, last=last) for k, last in flags]
    check(net.done(*outs), interpreted=True)


@pytest.mark.parametrize("axis", [0, 1])
def test_positions_of_symbolic_sizes(axis):
    net = Net()
    graph = net.done(
        net.arg_reduce(net.x("a", "b"), op="max", axis=axis, keepdims=False, last=False)
    )
    check(graph, *({"a": a, "b": b} for a, b in [(1, 1), (5, 17), (16, 3)]), interpreted=True)


def test_prologue_and_epilogue():
    net = Net()
    x = net.mul(net.tanh(net.x("a", 19)), net.x(19))
    graph = net.done(net.sqrt(net.abs(net.reduce(x, op="sum", axes=(1,), keepdims=True))))
    result = check(graph, {"a": 1}, {"a": 20}, {"a": 0}, interpreted=True)
    assert result.ops == [("tanh", "mul", "reduce", "abs", "sqrt")]


def test_not_a_number_wins():
    net = Net()
    data = np.ones((2, 19), np.float32)
    data[0, 3], data[1, 18] = np.nan, np.inf
    x = net.mul(net.x(2, 1), net.constant(np.zeros(1, np.float32)))
    x = net.add(x, net.constant(data))
    outs = [net.reduce(x, op=op, axes=(1,), keepdims=False) for op in ("max", "min", "sum")]
    check(net.done(*outs))


def test_logical_reductions_of_comparisons():
    net = Net()
    x = net.cast(net.x(3, 17, dtype=boolean), to=i32)
    graph = net.done(*(net.reduce(x, op=op, axes=(1,), keepdims=False) for op in ("max", "min")))
    check(graph, interpreted=True)
