"""Reductions for GPUs: axes, dtypes and sizes, along boxes and along results, three orders of
threads.
"""

import pytest

from hidet_core.ir.dtypes import bf16, f16, f32, i8, i32, i64, u8
from hidet_core.schedule.cuda.across import BOX, RESULTS
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages

SEEDS = (0, 1, 7)
SHAPES = {"tiny": (1, 2, 1), "ragged": (3, 10, 12), "prime": (2, 31, 13), "aligned": (4, 16, 64)}


def _graph(shape, dtype=f32, op="sum", axes=(1,), **attrs):
    net = Net()
    x = net.x(*shape, dtype=dtype)
    return net.done(net.reduce(x, op=op, axes=axes, **({"keepdims": True} | attrs)))


@pytest.mark.parametrize("dtype", [f32, f16, bf16, i32, i64, u8, i8], ids=str)
@pytest.mark.parametrize("size", SHAPES)
def test_sizes(size, dtype):
    for op, axes in (("sum", (1,)), ("max", (2,)), ("mean", (1, 2))):
        check_cuda(_graph(SHAPES[size], dtype, op, axes), seeds=SEEDS if op == "sum" else (1,))


def _way(**wanted):
    """Picks the first config with these fields."""

    def pick(found):
        fits = (c for c in found if all(getattr(c.config, k) == v for k, v in wanted.items()))
        return next(fits)

    return pick


@pytest.mark.parametrize("along", [BOX, RESULTS])
@pytest.mark.parametrize("team", [8, 32])
@pytest.mark.parametrize("vector", [1, 4])
@pytest.mark.parametrize("axes", [(0, 1), (1,)])
def test_ways(axes, vector, team, along):
    graph = _graph((5, 64, 68), f16, "mean", axes)
    check_cuda(graph, pick=_way(along=along, team=team, vector=vector), seeds=SEEDS)


@pytest.mark.parametrize("team", [64, 256, 1024])
def test_teams_of_several_warps(team):
    check_cuda(_graph((3, 1100), op="max"), pick=_way(team=team, along=BOX), seeds=SEEDS)


@pytest.mark.parametrize("op", ["l1", "l2", "sumsq", "logsum", "logsumexp", "prod", "min"])
def test_every_reduction(op):
    graph = _graph((4, 40), f16, op)
    check_cuda(graph)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize("dtype", [f32, f16, i32], ids=str)
def test_positions_of_extremes(dtype, last):
    """Ties, and two definitions of which the second reads the first."""
    for axis, along in ((1, BOX), (0, RESULTS)):
        net = Net()
        x = net.round(net.x(20, 64, dtype=dtype))
        y = net.arg_reduce(x, op="max", axis=axis, keepdims=False, last=last)
        check_cuda(net.done(y), pick=_last(along))


def _last(along):
    """The last kernel's first config along boxes or results, others as they come."""

    def pick(found):
        return next((c for c in found if getattr(c.config, "along", along) == along), found[0])

    return pick


@pytest.mark.parametrize(("along", "vector"), [(BOX, 1), (RESULTS, 4)])
def test_symbolic_sizes(along, vector):
    net = Net()
    y = net.reduce(net.exp(net.x("n", "m", 8)), op="sum", axes=(1,), keepdims=False)
    sizes = [{"n": n, "m": m} for n, m in [(1, 1), (5, 100), (3, 0)]]
    check_cuda(net.done(net.relu(y)), *sizes, pick=_way(along=along, vector=vector), seeds=SEEDS)


@needs_nvrtc
@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_nothing_spills(dtype):
    for axes, along in (((1, 2), BOX), ((2,), BOX), ((1,), RESULTS)):
        graph = _graph((8, 56, 256), dtype, "mean", axes)
        pick = _way(along=along, vector=16 // dtype.bytes)
        for used in usages(compiled(graph, pick=pick, target=H200)):
            assert used.spill_bytes == used.stack_bytes == 0, used
