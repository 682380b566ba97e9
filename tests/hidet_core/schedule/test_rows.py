"""Row operators (softmax, layer_norm, ...): lengths of every remainder, symbolic, computed rows."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import f16, f64
from tests.hidet_core.compiled import Net, check

LENGTHS = [1, 2, 15, 16, 17, 32, 37, 257]
NORMS = {
    "softmax": 0, "log_softmax": 0, "layer_norm": 0, "layer_norm scaled": 1,
    "layer_norm scaled and shifted": 2, "rms_norm": 0, "rms_norm scaled": 1,
}  # fmt: skip


def normalised(net, kind, x):
    op, vectors = kind.split()[0], NORMS[kind]
    length = x.type.shape[-1]
    fixed = isinstance(length, int)
    extra = [net.const(length) if fixed else net.x(length.name) for _ in range(vectors)]
    attrs = {} if "softmax" in op else {"eps": 1e-5}
    return net.emit(op, x, *extra, **attrs)


@pytest.mark.parametrize("length", LENGTHS)
@pytest.mark.parametrize("kind", NORMS)
def test_lengths(kind, length):
    net = Net()
    check(net.done(normalised(net, kind, net.x(2, 3, length))), interpreted=True)


@pytest.mark.parametrize("kind", NORMS)
def test_symbolic_sizes(kind):
    net = Net()
    graph = net.done(normalised(net, kind, net.x("n", "k")))
    sizes = [(1, 1), (3, 16), (2, 37), (0, 5), (4, 15)]
    check(graph, *({"n": n, "k": k} for n, k in sizes), interpreted=True)


@pytest.mark.parametrize("length", [37, 16, "k"])
@pytest.mark.parametrize("kind", ["softmax", "layer_norm scaled and shifted", "rms_norm"])
def test_computed_rows(kind, length):
    """A prologue with another input and a broadcast, an epilogue that moves elements."""
    net = Net()
    x = net.add(net.tanh(net.x(3, 2, length)), net.x(2, length))
    y = net.transpose(net.relu(normalised(net, kind, x)), perm=(1, 2, 0))
    graph = net.done(y)
    result = check(graph, {"k": 5}, {"k": 40}, interpreted=True)
    assert len(result.kernels) == 1


def test_a_row_too_long_to_stage():
    net = Net()
    check(net.done(net.softmax(net.relu(net.x(2, 20000)))), tolerance=1e-4)


def test_one_row_of_rank_one():
    net = Net()
    check(net.done(net.softmax(net.x(37)), net.layer_norm(net.x(5), eps=1e-3)), interpreted=True)


@pytest.mark.parametrize("dtype", [f64, f16])
@pytest.mark.parametrize("op", ["softmax", "log_softmax"])
def test_other_floats(op, dtype):
    net = Net()
    check(net.done(net.emit(op, net.x(3, 21, dtype=dtype))), interpreted=dtype is f64)


def test_large_values_do_not_overflow():
    net = Net()
    big = net.constant(np.array([1e4, -1e4, 9e3, 0], np.float32))
    graph = net.done(
        *(net.emit(op, net.add(net.x(3, 4), big)) for op in ("softmax", "log_softmax"))
    )
    check(graph)


def test_fully_masked_row():
    """-inf in all of a row but one."""
    net = Net()
    mask = np.zeros((2, 5), np.float32)
    mask[0, 1:] = -np.inf
    check(net.done(net.softmax(net.add(net.x(2, 5), net.constant(mask)))), interpreted=True)
