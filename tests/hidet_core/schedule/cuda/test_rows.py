"""Rows for GPUs: every operator, dtype and kind of length, under three orders of threads; rows in
registers, read again, and staged; no spills.
"""

import numpy as np
import pytest

from hidet_core.ir.dtypes import bf16, f16, f32, f64
from hidet_core.schedule.cuda.rows import KEPT
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages

SEEDS = (0, 1, 7)
LENGTHS = {"tiny": 1, "ragged": 36, "prime": 101, "aligned": 256}


def _softmax(net, x):
    return net.softmax(x)


def _log_softmax(net, x):
    return net.log_softmax(x)


def _layer_norm(net, x):
    return net.layer_norm(x, *_vectors(net, x, 2), eps=1e-5)


def _rms_norm(net, x):
    return net.rms_norm(x, *_vectors(net, x, 1), eps=1e-6)


def _vectors(net, x, count):
    return [net.const(x.type.shape[-1], dtype=x.type.dtype.numpy) for _ in range(count)]


OPS = (_softmax, _log_softmax, _layer_norm, _rms_norm)


@pytest.mark.parametrize("dtype", [f32, f16, bf16], ids=str)
@pytest.mark.parametrize("size", LENGTHS)
@pytest.mark.parametrize("op", OPS, ids=lambda op: op.__name__[1:])
def test_lengths(op, size, dtype):
    net = Net()
    graph = net.done(op(net, net.x(5, LENGTHS[size], dtype=dtype)))
    check_cuda(graph, seeds=SEEDS)


def test_double_precision():
    net = Net()
    graph = net.done(
        net.softmax(net.x(3, 37, dtype=f64)), _layer_norm(net, net.x(3, 40, dtype=f64))
    )
    check_cuda(graph, tolerance=1e-12)


def _with(**wanted):
    """Picks the first config with these fields."""

    def pick(found):
        fits = (c for c in found if all(getattr(c.config, k) == v for k, v in wanted.items()))
        return next(fits)

    return pick


@pytest.mark.parametrize("wanted", [
    {"team": 8, "rows": 8, "vector": 4}, {"team": 16, "rows": 4}, {"team": 32, "rows": 8},
    {"team": 64, "rows": 4, "vector": 2}, {"team": 128, "rows": 2}, {"team": 256, "vector": 1},
], ids=str)  # fmt: skip
def test_teams(wanted):
    """Several rows of a block, more than there are, teams within warps and of several."""
    net = Net()
    graph = net.done(_layer_norm(net, net.x(7, 200)), net.softmax(net.x(5, 200)))
    result = check_cuda(graph, pick=_with(**wanted), seeds=SEEDS)
    assert all("kept=0" not in kernel.scheduled.config for kernel in result.kernels)


@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_rows_that_are_read_again(dtype):
    """Too long for registers, and not all of one vector."""
    net = Net()
    graph = net.done(net.softmax(net.x(2, 1100, dtype=dtype)))
    check_cuda(graph, pick=_with(team=32, rows=1, kept=0), seeds=SEEDS)
    net = Net()
    graph = net.done(net.layer_norm(net.x("n", "m", dtype=dtype), eps=1e-5))
    check_cuda(graph, {"n": 3, "m": 45}, {"n": 1, "m": 1}, {"n": 2, "m": 300})


def test_rows_of_a_prologue():
    """Kept in registers, staged in shared memory, or computed again: always the same."""
    net = Net()
    graph = net.done(net.softmax(net.tanh(net.x(3, 1088, dtype=f16))))
    for wanted in ({"team": 128}, {"team": 32, "kept": 0, "rows": 2}, {"team": 8, "kept": 0}):
        check_cuda(graph, pick=_with(**wanted), interpreted=False)


@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_a_residual_block_is_one_kernel(dtype):
    """Residual sum, normalisation, scale and shift, and what follows."""
    net = Net()
    x, skip = net.x(6, 96, dtype=dtype), net.x(6, 96, dtype=dtype)
    y = net.gelu(_layer_norm(net, net.add(net.add(x, skip), net.const(96, dtype=dtype.numpy))))
    result = check_cuda(net.done(y), seeds=SEEDS)
    assert len(result.kernels) == 1


def test_special_values():
    """A row of -inf, NaN, and numbers whose exponentials overflow."""
    net = Net()
    x = net.x(4, 32)
    result = compiled(net.done(net.softmax(x)), target=H200)
    rows = np.zeros((4, 32), np.float32)
    rows[0], rows[1, 3], rows[2, 5], rows[3] = -np.inf, np.nan, np.inf, 1e4
    (found,) = result.interpret({"x0": rows}).values()
    assert np.isnan(found[:3]).any(axis=1).all()
    np.testing.assert_allclose(found[3], 1 / 32, rtol=1e-6)


@needs_nvrtc
@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_full_registers_do_not_spill(dtype):
    net = Net()
    x = net.x(64, 8192, dtype=dtype)
    graph = net.done(_layer_norm(net, net.add(x, net.x(64, 8192, dtype=dtype))), net.softmax(x))

    def most(found):
        return max(found, key=lambda c: (c.config.kept * c.config.vector, str(c.config)))

    result = compiled(graph, pick=most, target=H200)
    configs = [kernel.scheduled.config for kernel in result.kernels]
    assert all("kept=0" not in config for config in configs), (KEPT, configs)
    for used in usages(result):
        assert used.spill_bytes == used.stack_bytes == 0, used
