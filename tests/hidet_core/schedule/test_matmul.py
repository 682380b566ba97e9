"""Matrix multiplication: any batch dims, any remainders, constant and computed operands."""

import numpy as np
import pytest

from tests.hidet_core.compiled import Net, check

# m, k, n: aligned, ragged, prime, tiny, of size 1
SIZES = [
    (16, 32, 64), (14, 16, 32), (17, 31, 37), (13, 7, 127), (3, 2, 5), (1, 1, 1), (1, 64, 96),
    (64, 1, 16), (5, 9, 1), (1, 257, 3),
]  # fmt: skip


def product(net, a, b, packed):
    """a is an input; b a constant, which the template may repack, or an input."""
    return net.matmul(net.x(*a), net.const(*b) if packed else net.x(*b))


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "in place"])
@pytest.mark.parametrize(("m", "k", "n"), SIZES)
def test_sizes(m, k, n, packed):
    net = Net()
    check(net.done(product(net, (m, k), (k, n), packed)), interpreted=m * k * n < 5000)


BATCHES = [
    ((2, 5, 7), (7, 9)),
    ((2, 3, 5, 7), (7, 18)),
    ((2, 5, 7), (2, 7, 9)),
    ((2, 3, 4, 5), (2, 3, 5, 6)),
    ((3, 4, 5), (2, 3, 5, 6)),
    ((2, 1, 4, 5), (3, 5, 6)),
    ((4, 5), (3, 5, 17)),
    ((1, 4, 5), (3, 5, 6)),
    ((3, 4, 5), (1, 5, 6)),
    ((2, 3, 1, 5), (5, 1)),
    ((4, 5), (1, 1, 5, 6)),
]


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "in place"])
@pytest.mark.parametrize(("a", "b"), BATCHES)
def test_batches(a, b, packed):
    net = Net()
    check(net.done(product(net, a, b, packed)), interpreted=True)


@pytest.mark.parametrize("packed", [True, False], ids=["packed", "in place"])
@pytest.mark.parametrize(
    ("a", "b"),
    [
        ((0, 5), (5, 6)),
        ((3, 0), (0, 6)),
        ((3, 5), (5, 0)),
        ((0, 3, 5), (5, 6)),
        ((2, 0, 5), (2, 5, 6)),
        ((0, 3, 5), (0, 5, 6)),
    ],
)
def test_nothing_to_multiply(a, b, packed):
    net = Net()
    check(net.done(product(net, a, b, packed)), interpreted=True)


ROWS = [{"m": m} for m in (1, 2, 13, 14, 15, 100, 0)]


@pytest.mark.parametrize("n", [16, 37])
def test_symbolic_rows(n):
    net = Net()
    check(net.done(product(net, ("m", 19), (19, n), True)), *ROWS, interpreted=True)


def test_symbolic_batch_of_rows():
    net = Net()
    graph = net.done(product(net, ("b", "m", 19), (19, 21), True))
    check(graph, *({"b": b, "m": m} for b in (1, 3, 0) for m in (1, 7, 30)), interpreted=True)


def test_all_symbolic():
    """As attention is: [b, m, k] x [b, k, n]."""
    net = Net()
    graph = net.done(product(net, ("b", 2, "m", "k"), ("b", 2, "k", "n"), False))
    sizes = [
        (1, 1, 1, 1),
        (2, 5, 7, 9),
        (1, 16, 32, 48),
        (3, 17, 1, 33),
        (2, 3, 0, 4),
        (0, 1, 1, 1),
    ]
    check(graph, *(dict(zip("bmkn", size, strict=True)) for size in sizes), interpreted=True)


def test_one_operand_twice():
    net = Net()
    x = net.x(7, 7)
    check(net.done(net.matmul(x, x)), interpreted=True)


def test_constant_first_operand():
    net = Net()
    check(net.done(net.matmul(net.const(5, 7), net.x(7, 9))), interpreted=True)


def test_constant_of_one_element():
    net = Net()
    graph = net.done(
        net.matmul(net.x(3, 1), net.const(1, 1)), net.matmul(net.const(1, 1), net.x(1, 9))
    )
    check(graph, interpreted=True)


@pytest.mark.parametrize("depth", [1, 5, 16, 33])
def test_computed_rows_are_staged(depth):
    """A prologue with arithmetic."""
    net = Net()
    x = net.mul(net.tanh(net.x("m", depth)), net.const(depth))
    graph = net.done(net.matmul(x, net.const(depth, 37)))
    assert check(graph, *ROWS, interpreted=True).ops == [("tanh", "mul", "matmul")]


@pytest.mark.parametrize("rows", [1, "m"])
def test_few_computed_rows_are_several_tasks(rows):
    """Each for some of the panels, so that one row (decoding) keeps several cores busy."""
    net = Net()
    graph = net.done(net.matmul(net.tanh(net.x(rows, 9)), net.const(9, 611)))
    sizes = ({},) if rows == 1 else ({"m": 1}, {"m": 40}, {"m": 7})
    (kernel,) = check(graph, *sizes, interpreted=True).kernels
    assert rows != 1 or int(kernel.program.tasks.value) > 1


def test_computed_rows_of_a_batch():
    net = Net()
    x = net.relu(net.x(2, 3, 5, 7))
    check(net.done(net.matmul(x, net.x(3, 7, 9))), interpreted=True)


def test_computed_rows_of_symbolic_depth():
    net = Net()
    graph = net.done(net.matmul(net.relu(net.x("m", "k")), net.x("k", "n")))
    check(graph, {"m": 5, "k": 7, "n": 17}, {"m": 1, "k": 33, "n": 1}, interpreted=True)


@pytest.mark.parametrize("dtype", [np.float64, np.int32, np.int64, np.float16])
def test_other_dtypes_use_plain_loops(dtype):
    net = Net()
    values = net.rng.integers(-4, 5, (7, 9)).astype(dtype)
    weights = net.constant(values, "w")
    graph = net.done(net.matmul(net.x(5, 7, dtype=weights.type.dtype), weights))
    check(graph, interpreted=True)


def test_shared_weights():
    """Two products read one constant; it is repacked for both."""
    net = Net()
    w = net.const(7, 33)
    graph = net.done(net.matmul(net.x(5, 7), w), net.matmul(net.x(2, 3, 7), w))
    check(graph)
