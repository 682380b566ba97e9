"""Random graphs, fused and compiled for NVIDIA GPUs, give on the emulated device what their
definitions give.
"""

import pytest
from hypothesis import given, settings

from hidet_core.graph.passes import run_passes
from tests.hidet_core.cuda_check import check_cuda
from tests.hidet_core.random_graphs import graphs

MOVES = ("transpose", "reshape", "slice", "pad", "concat", "unary", "binary", "rows", "reduce")


def examples(count):
    return settings(deadline=None, max_examples=count, derandomize=True)


@examples(12)
@given(graphs(most=6))
def test_any_graph(graph):
    check_cuda(graph, interpreted=False, tolerance=1e-4)


@examples(8)
@given(graphs(MOVES, most=9))
def test_layout_changes_after_the_passes(graph):
    check_cuda(run_passes(graph), interpreted=False, tolerance=1e-4)


@examples(8)
@given(graphs(symbolic=True, most=6))
def test_symbolic_batches(graph):
    check_cuda(graph, {"n": 1}, {"n": 3}, interpreted=False, tolerance=1e-4)


@pytest.mark.slow
@examples(100)
@given(graphs(most=12))
def test_many_graphs(graph):
    check_cuda(graph, interpreted=False, tolerance=1e-4)
