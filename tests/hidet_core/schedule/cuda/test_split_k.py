"""Split-k: parts of k in several blocks, added in order by the last; the epilogue runs once."""

import functools
import re

import numpy as np
import pytest

from hidet_core.codegen import emit_cuda
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import bf16, f16, f32
from hidet_core.schedule.choose import candidates
from tests.emulator.cuda import CudaError
from tests.hidet_core import cuda_emulated
from tests.hidet_core.compiled import Net, compare, compiled, feeds_of, lowered
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated
from tests.hidet_core.schedule.cuda.picking import of

SEEDS = (0, 1, 7)


def _fused(m, k, n, dtype=f32):
    """Bias, ReLU and a residual after a product whose first operand is computed; two outputs."""
    net, numpy = Net(), dtype.numpy
    y = net.matmul(net.tanh(net.x(m, k, dtype=dtype)), net.const(k, n, dtype=numpy))
    y = net.relu(net.add(y, net.const(n, dtype=numpy)))
    return net.done(y, net.add(y, net.x(m, n, dtype=dtype)))


def simt(splits, block_k=8):
    return of("Simt", lambda c: c.splits == splits and c.block_k == block_k)


@pytest.mark.parametrize("splits", [2, 4, 16])
@pytest.mark.parametrize("sizes", [(16, 256, 32), (17, 261, 37), (5, 257, 3)])
def test_parts_add_up(splits, sizes):
    result = check_cuda(_fused(*sizes), pick=simt(splits), seeds=SEEDS)
    assert len(result.kernels) == 1 and result.kernels[0].scheduled.workspace


@pytest.mark.parametrize("dtype", [f16, bf16], ids=str)
def test_half_precision(dtype):
    check_cuda(_fused(9, 130, 12, dtype), pick=simt(4), seeds=SEEDS)


def test_a_convolution():
    net = Net()
    x = net.relu(net.x(1, 4, 5, 24))
    y = net.conv(x, 3, 3, 24, 40, pads=(1, 1, 1, 1))
    check_cuda(net.done(net.relu(net.add(y, net.x(1, 4, 5, 40)))), pick=simt(8), seeds=SEEDS)


def test_one_kernel_for_all_sizes():
    """The parts that have nothing to sum take their tickets too."""
    net = Net()
    graph = net.done(net.matmul(net.x("b", "m", "k"), net.x("b", "k", "n")))
    sizes = [(1, 1, 1, 1), (2, 5, 70, 9), (3, 17, 0, 33)]
    symbols = [dict(zip("bmkn", size, strict=True)) for size in sizes]
    check_cuda(graph, *symbols, pick=simt(2), seeds=SEEDS)


@pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler")
def test_results_do_not_depend_on_the_order_of_blocks():
    graph = _fused(33, 1024, 40)
    result, feeds = compiled(graph, simt(8), H200), feeds_of(graph)
    found = [
        result.interpret(feeds, lambda *args, seed=seed: run_emulated(*args, seed=seed))["y0"]
        for seed in SEEDS
    ]
    for other in found[1:]:
        np.testing.assert_array_equal(found[0], other)


def _no_barrier(source):
    """The ticket is taken while other threads still store their parts."""
    at = source.rindex("ht_barrier();", 0, source.index("ht_atomic_add(before"))
    return source[:at] + source[at + len("ht_barrier();") :]


def _first_not_last(source):
    return re.sub(r"if \((arrived\w*\[0\]) == 1\)", r"if (\1 == 0)", source)


def _ticket_stays(source):
    return re.sub(r"(tickets\w*\[[^=]*\]) = 0;", ";", source)


def _unordered(source):
    """An addition that orders nothing."""
    return re.sub(
        r"ht_atomic_add\((before\w*) \+ 0, (tickets.*)\);", r"*\1 = atomicAdd(\2);", source
    )


@pytest.mark.skipif(not HAS_COMPILER, reason="no C++ compiler")
@pytest.mark.parametrize("broken", [_no_barrier, _first_not_last, _ticket_stays, _unordered])
def test_mistakes_are_found(broken, monkeypatch):
    """Each by the emulated device or by wrong results, under one of the seeds."""
    graph = _fused(16, 64, 32)
    result, feeds = compiled(graph, simt(2), H200), feeds_of(graph)
    right = emit_cuda(lowered(result.kernels[0].program, H200))
    assert broken(right) != right
    monkeypatch.setattr(cuda_emulated, "emit_cuda", lambda program: broken(emit_cuda(program)))
    found = []
    for seed in SEEDS:
        run = functools.partial(run_emulated, seed=seed)
        try:
            compare(result.interpret(feeds, run), run_graph(graph, feeds))
        except (AssertionError, CudaError) as error:
            found.append(str(error))
    assert found


@needs_nvrtc
def test_nothing_spills():
    for used in usages(compiled(_fused(196, 2304, 256), pick=simt(8), target=H200)):
        assert used.spill_bytes == used.stack_bytes == 0, used


def test_parts_do_not_fill_the_memory():
    """As many parts as there are steps for, but not of large outputs, or of unknown size."""
    net = Net()
    graphs = [
        (_fused(64, 4096, 64), 16),
        (_fused(4096, 4096, 4096), 1),
        (net.done(net.matmul(net.x("m", 4096), net.const(4096, 64))), 4),
    ]
    for graph, most in graphs:
        problem = compiled(graph, target=H200).kernels[-1].draft.problem
        configs = [candidate.config for candidate in candidates(problem, H200)]
        assert max(getattr(config, "splits", 1) for config in configs) == most
