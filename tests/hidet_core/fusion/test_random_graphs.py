"""Fusion as a property: random graphs, fused and compiled, give what their definitions give."""

import pytest
from hypothesis import given, settings

from hidet_core.graph.passes import run_passes
from hidet_core.target.cpu import AVX2
from tests.hidet_core.compiled import CPU, check
from tests.hidet_core.random_graphs import graphs

CHAINS = ("unary", "binary", "broadcast", "twice", "matmul", "conv", "reshape", "transpose")
MOVES = ("transpose", "reshape", "slice", "pad", "concat", "unary", "binary", "rows", "reduce")


def examples(count):
    return settings(deadline=None, max_examples=count, derandomize=True)


@examples(20)
@given(graphs())
def test_any_graph(graph):
    check(graph, tolerance=1e-4)


@examples(15)
@given(graphs(most=14))
def test_any_graph_after_the_passes(graph):
    check(run_passes(graph), tolerance=1e-4)


@examples(15)
@given(graphs(CHAINS, most=14))
def test_chains_around_contractions(graph):
    check(graph, tolerance=1e-4)


@examples(15)
@given(graphs(MOVES, most=12))
def test_layout_changes(graph):
    check(graph, tolerance=1e-4)


@examples(15)
@given(graphs(symbolic=True))
def test_symbolic_batches(graph):
    check(graph, {"n": 1}, {"n": 3}, {"n": 2}, tolerance=1e-4)


@examples(15)
@given(graphs(most=7))
def test_no_access_leaves_its_tensor(graph):
    """In the interpreter, on memory that holds NaN where nothing was written."""
    check(graph, interpreted=True, tolerance=1e-4)


@pytest.mark.slow
@examples(300)
@given(graphs(most=16))
def test_many_graphs(graph):
    check(graph, interpreted=True, tolerance=1e-4)


@pytest.mark.slow
@pytest.mark.skipif(not CPU.isa.startswith("avx"), reason="this machine has no AVX2")
@examples(100)
@given(graphs(most=16))
def test_many_graphs_for_avx2(graph):
    check(graph, target=AVX2, tolerance=1e-4)


@pytest.mark.slow
@examples(100)
@given(graphs(most=12, symbolic=True))
def test_many_symbolic_graphs(graph):
    check(graph, {"n": 1}, {"n": 3}, {"n": 2}, interpreted=True, tolerance=1e-4)
