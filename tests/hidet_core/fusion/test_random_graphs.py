"""Fusion as a property: random graphs, fused and compiled, give what their definitions give."""

from hypothesis import given, settings

from hidet_core.graph.passes import run_passes
from tests.hidet_core.compiled import check
from tests.hidet_core.random_graphs import graphs

CHAINS = ("unary", "binary", "broadcast", "twice", "matmul", "conv", "reshape", "transpose")
MOVES = ("transpose", "reshape", "slice", "pad", "concat", "unary", "binary", "rows", "reduce")


@settings(deadline=None, max_examples=50, derandomize=True)
@given(graphs())
def test_any_graph(graph):
    check(graph, tolerance=1e-4)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(graphs(most=14))
def test_any_graph_after_the_passes(graph):
    check(run_passes(graph), tolerance=1e-4)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(graphs(CHAINS, most=14))
def test_chains_around_contractions(graph):
    check(graph, tolerance=1e-4)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(graphs(MOVES, most=12))
def test_layout_changes(graph):
    check(graph, tolerance=1e-4)


@settings(deadline=None, max_examples=30, derandomize=True)
@given(graphs(most=7))
def test_no_access_leaves_its_tensor(graph):
    """In the interpreter, on memory that holds NaN where nothing was written."""
    check(graph, interpreted=True, tolerance=1e-4)
