"""16-bit floats on both targets: every kind of operator, computed in float32 and rounded once."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import bf16, f16
from hidet_core.ir.halves import as_dtype, single
from tests.hidet_core.compiled import Net, check, compiled
from tests.hidet_core.cuda_check import H200, check_cuda
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated

HALVES = (f16, bf16)
POOL = {
    "kernel": (3, 2), "strides": (2, 1), "pads": (1, 0, 1, 1), "dilations": (1, 1),
    "count_include_pad": False, "out_hw": (3, 6),
}  # fmt: skip


def _norm(net, x, vector, op="layer_norm"):
    vectors = [net.const(vector, dtype=x.type.dtype.numpy) for _ in range(2 - (op == "rms_norm"))]
    return net.emit(op, x, *vectors, eps=1e-5)


def _conv(net, x, shape, **attrs):
    weights = net.const(*shape, dtype=x.type.dtype.numpy)
    plain = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1}
    return net.conv2d(x, weights, **(plain | attrs))


CASES = {
    "elementwise": lambda net, t: net.sigmoid(net.mul(net.x(7, 19, dtype=t), net.x(19, dtype=t))),
    "gelu": lambda net, t: net.gelu(net.x(3, 33, dtype=t)),
    "where": lambda net, t: net.where(
        net.lt(net.x(5, 7, dtype=t), net.x(7, dtype=t)), net.x(5, 7, dtype=t), net.x(1, dtype=t)
    ),
    "transpose": lambda net, t: net.transpose(net.x(9, 35, dtype=t), perm=(1, 0)),
    "softmax": lambda net, t: net.softmax(net.x(5, 37, dtype=t)),
    "log_softmax": lambda net, t: net.log_softmax(net.tanh(net.x(3, 65, dtype=t))),
    "layer_norm": lambda net, t: _norm(
        net, net.add(net.x(5, 48, dtype=t), net.x(5, 48, dtype=t)), 48
    ),
    "rms_norm": lambda net, t: _norm(net, net.x(3, 31, dtype=t), 31, "rms_norm"),
    "mean": lambda net, t: net.reduce(net.x(4, 7, 6, dtype=t), op="mean", axes=(1,), keepdims=True),
    "l2": lambda net, t: net.reduce(net.x(4, 41, dtype=t), op="l2", axes=(1,), keepdims=False),
    "max": lambda net, t: net.reduce(net.x(4, 41, dtype=t), op="max", axes=(0,), keepdims=False),
    "logsumexp": lambda net, t: net.reduce(
        net.x(4, 9, dtype=t), op="logsumexp", axes=(1,), keepdims=True
    ),
    "arg_max": lambda net, t: net.arg_reduce(
        net.x(6, 50, dtype=t), op="max", axis=1, keepdims=True, last=False
    ),
    "matmul": lambda net, t: net.relu(
        net.matmul(net.x(13, 18, dtype=t), net.const(18, 21, dtype=t.numpy))
    ),
    "batched matmul": lambda net, t: net.matmul(net.x(2, 5, 7, dtype=t), net.x(2, 7, 9, dtype=t)),
    "conv": lambda net, t: _conv(net, net.x(1, 7, 6, 5, dtype=t), (3, 3, 5, 9), pads=(1, 1, 1, 1)),
    "pointwise conv": lambda net, t: _conv(
        net, net.tanh(net.x(1, 4, 5, 9, dtype=t)), (1, 1, 9, 17)
    ),
    "depthwise": lambda net, t: _conv(
        net, net.x(1, 6, 7, 5, dtype=t), (3, 3, 1, 5), groups=5, pads=(1, 1, 1, 1)
    ),
    "max pool": lambda net, t: net.pool2d(net.x(1, 5, 6, 9, dtype=t), kind="max", **POOL),
    "average pool": lambda net, t: net.pool2d(net.x(1, 5, 6, 9, dtype=t), kind="avg", **POOL),
    "lrn": lambda net, t: net.lrn(net.x(1, 2, 37, dtype=t), size=5, alpha=0.1, beta=0.75, bias=1.0),
    "concat": lambda net, t: net.tanh(
        net.concat(net.x(3, 5, dtype=t), net.relu(net.x(2, 5, dtype=t)), axis=0)
    ),
    "gather": lambda net, t: net.gather(
        net.x(5, 6, dtype=t), net.constant(np.array([2, 0, 4, -1], np.int64), "i"), axis=0
    ),
    "cast": lambda net, t: net.add(
        net.cast(net.mul(net.x(3, 9), net.x(9)), to=t), net.x(3, 9, dtype=t)
    ),
}  # fmt: skip


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("case", CASES)
def test_every_operator(case, dtype):
    net = Net()
    graph = net.done(CASES[case](net, dtype))
    check(graph, interpreted=True)
    check_cuda(graph)


def _large(dtype):
    """Numbers whose squares, sums and products are beyond what f16 holds."""
    net = Net()
    x = net.x(3, 40, dtype=dtype)
    high = net.mul(x, net.scalar(300.0, x))
    square = net.reduce(net.mul(high, high), op="mean", axes=(1,), keepdims=True)
    root = net.sqrt(square)
    product = net.matmul(high, net.transpose(high, perm=(1, 0)))
    scaled = net.mul(product, net.scalar(2.0**-10, x))
    return net.done(root, scaled, net.softmax(high), _norm(net, high, 40))


@pytest.mark.skipif(not HAS_COMPILER, reason="g++ is not installed")
@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_nothing_overflows_between_a_load_and_a_store(dtype):
    """As on ONNX Runtime's CPU provider: the product of two operators of a kernel is not stored."""
    graph = _large(dtype)
    rng = np.random.default_rng(3)
    halves = {"x0": as_dtype(rng.standard_normal((3, 40)), dtype)}
    x = single(halves["x0"]).astype(np.float64) * 300
    wanted = [np.sqrt((x * x).mean(1, keepdims=True)), x @ x.T / 1024]
    on_cpu = compiled(graph).run(halves)
    on_gpu = compiled(graph, target=H200).interpret(halves, run_emulated)
    for found in (list(on_cpu.values()), list(on_gpu.values())):
        for got, want in zip(found, wanted, strict=False):
            np.testing.assert_allclose(single(got), want, 3e-2, 3e-2 * np.abs(want).max())
        assert all(np.isfinite(single(array)).all() for array in found)
