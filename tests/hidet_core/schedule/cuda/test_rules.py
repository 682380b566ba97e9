"""Rule-based schedules for GPUs: injective operators, reductions and rows, alone and fused."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import f16, f64, i32, i64
from hidet_core.schedule.cuda.injective import InjectiveConfig
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_check import H200, check_cuda


@pytest.mark.parametrize("shape", [(), (1,), (7,), (3, 5), (2, 300), (4, 8, 16), (0, 3)])
def test_elementwise(shape):
    net = Net()
    check_cuda(net.done(net.sigmoid(net.mul(net.x(*shape), net.x(*shape)))))


def test_symbolic_elementwise():
    net = Net()
    graph = net.done(net.relu(net.add(net.x("n", "m"), net.const(1, 1))))
    check_cuda(graph, *({"n": n, "m": m} for n, m in [(1, 1), (3, 100), (300, 3), (0, 4)]))


@pytest.mark.parametrize("perm", [(1, 0, 2), (2, 1, 0), (0, 2, 1), (1, 2, 0)])
def test_transposes(perm):
    net = Net()
    check_cuda(net.done(net.transpose(net.x(5, 33, 40), perm=perm)))


def test_large_transposes_go_through_shared_memory():
    net = Net()
    graph = net.done(net.relu(net.transpose(net.x(512, 768), perm=(1, 0))))
    (kernel,) = compiled(graph, target=H200).kernels
    assert kernel.scheduled.config == str(InjectiveConfig(1, 0))


def test_large_rows_are_computed_in_vectors():
    net = Net()
    graph = net.done(net.relu(net.x(4096, 1024)))
    (kernel,) = compiled(graph, target=H200).kernels
    assert kernel.scheduled.config == str(InjectiveConfig(4))


def test_tiles_of_symbolic_sizes():
    net = Net()
    graph = net.done(net.transpose(net.x("a", "b", 3), perm=(2, 1, 0)))
    sizes = [{"a": a, "b": b} for a, b in [(1, 1), (33, 5), (64, 32)]]
    check_cuda(graph, *sizes, pick=lambda found: next(c for c in found if c.config.axis >= 0))


def test_concat_and_gather():
    net = Net()
    joined = net.concat(net.x(3, 5), net.relu(net.x(2, 5)), axis=0)
    check_cuda(net.done(net.tanh(joined)))
    net = Net()
    indices = net.constant(np.array([2, 0, 4, 1], np.int64), "i")
    check_cuda(net.done(net.gather(net.relu(net.x(5, 6)), indices, axis=0)))


@pytest.mark.parametrize("op", ["sum", "max", "min", "prod"])
@pytest.mark.parametrize("axes", [(0,), (1,), (2,), (0, 2), (0, 1, 2)])
def test_reductions(op, axes):
    net = Net()
    check_cuda(net.done(net.reduce(net.x(3, 7, 11), op=op, axes=axes, keepdims=True)))


@pytest.mark.parametrize("dtype", [f64, i32, i64])
def test_reductions_of_other_types(dtype):
    net = Net()
    x = net.x(5, 37, dtype=dtype)
    check_cuda(net.done(net.reduce(x, op="max", axes=(1,), keepdims=True)))


@pytest.mark.parametrize("team", [1, 32, 64])
def test_symbolic_reductions(team):
    net = Net()
    graph = net.done(net.reduce(net.exp(net.x("n", "m")), op="sum", axes=(1,), keepdims=True))
    sizes = [{"n": n, "m": m} for n, m in [(1, 1), (5, 100), (100, 3)]]
    check_cuda(graph, *sizes, pick=lambda found: next(c for c in found if c.config.team == team))


def test_fused_reductions():
    net = Net()
    total = net.reduce(net.tanh(net.x(6, 50)), op="sum", axes=(1,), keepdims=True)
    result = check_cuda(net.done(net.sqrt(net.relu(total))))
    assert result.ops == [("tanh", "reduce", "relu", "sqrt")]


def test_arg_reduce():
    net = Net()
    y = net.arg_reduce(net.x(6, 50), op="max", axis=1, keepdims=True, last=False)
    check_cuda(net.done(y))


@pytest.mark.parametrize("rows", [1, 5, 64])
@pytest.mark.parametrize("length", [1, 7, 32, 100, 1030])
def test_softmax(rows, length):
    net = Net()
    check_cuda(net.done(net.softmax(net.x(rows, length))), interpreted=rows * length < 9000)


def test_softmax_of_symbolic_rows_with_neighbours():
    net = Net()
    graph = net.done(net.mul(net.softmax(net.tanh(net.x("n", "m"))), net.const(1, 1)))
    sizes = [{"n": n, "m": m} for n, m in [(1, 1), (5, 100), (33, 3), (0, 4)]]
    assert check_cuda(graph, *sizes).ops == [("tanh", "softmax", "mul")]


def test_staged_rows_of_several_teams():
    net = Net()
    graph = net.done(net.log_softmax(net.tanh(net.x(9, 37))))
    check_cuda(graph, pick=lambda found: max(found, key=lambda c: c.config.rows))


def test_layer_norm():
    net = Net()
    y = net.layer_norm(net.relu(net.x(6, 96)), net.const(96), net.const(96), eps=1e-5)
    assert len(check_cuda(net.done(net.add(y, net.x(6, 96)))).kernels) == 1


def test_half_precision():
    net = Net()
    x = net.x(5, 40, dtype=f16)
    result = check_cuda(net.done(net.relu(net.add(x, x)), net.softmax(x)))
    assert len(result.kernels) == 2


def test_what_is_fused_around_tiles():
    """A prologue, an extra input, and a second output, through shared memory."""
    net = Net()
    turned = net.transpose(net.tanh(net.x(35, 40)), perm=(1, 0))
    graph = net.done(net.add(turned, net.x(40, 35)), turned)
    check_cuda(graph, pick=lambda found: max(found, key=lambda c: getattr(c.config, "axis", -1)))
