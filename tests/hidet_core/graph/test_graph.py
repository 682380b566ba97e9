"""Graphs: building, text, verification, rewriting."""

from dataclasses import replace

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.compute.types import TensorType
from hidet_core.graph.builder import GraphBuilder, join_names, rewrite_graph
from hidet_core.graph.graph import (
    Operator,
    Value,
    consumers,
    count_ops,
    producers,
    use_counts,
    verify_graph,
)
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Var

N = Var("N")


def small_graph():
    """relu(x @ w + b) twice used."""
    builder = GraphBuilder("small")
    x = builder.input("x", TensorType(f32, (N, 2)))
    w = builder.constant(np.array([[1, 2, 3], [4, 5, 6]], np.float32), "w")
    y = builder.emit("relu", builder.emit("matmul", x, w), name="act")
    z = builder.emit("add", y, y)
    return builder.build([x], [z, y], ["sum", "act"], [N])


def test_text():
    assert str(small_graph()).splitlines() == [
        "graph small(%x: f32[N, 2])",
        "  const %w: f32[2, 3]",
        "  %matmul: f32[N, 3] = matmul(%x, %w)",
        "  %relu: f32[N, 3] = relu(%matmul)",
        "  %add: f32[N, 3] = add(%relu, %relu)",
        "  return sum=%add, act=%relu",
    ]


def test_reference_binds_symbols_by_shape():
    result = run_graph(small_graph(), {"x": np.array([[1, -1], [0, 1]], np.float32)})
    np.testing.assert_array_equal(result["act"], [[0, 0, 0], [4, 5, 6]])
    np.testing.assert_array_equal(result["sum"], [[0, 0, 0], [8, 10, 12]])
    with pytest.raises(CompilerBug, match="was given shape"):
        run_graph(small_graph(), {"x": np.zeros((2, 3), np.float32)})


def test_who_makes_and_who_reads():
    graph = small_graph()
    relu = graph.outputs[1]
    assert producers(graph)[relu].name == "act"
    assert [op.op.name for op in consumers(graph)[relu]] == ["add"]
    assert use_counts(graph)[relu] == 3
    assert count_ops(graph) == {"add": 1, "matmul": 1, "relu": 1}


def test_verify_accepts_what_the_builder_makes():
    verify_graph(small_graph())


def swap(graph):
    return replace(graph, operators=graph.operators[::-1])


def wrong_type(graph):
    first = graph.operators[0]
    bad = Operator(first.op, first.inputs, first.attrs, (Value("y", TensorType(f32, (3,))),))
    return replace(graph, operators=(bad, *graph.operators[1:]))


def wrong_constant(graph):
    return replace(graph, constants={v: np.zeros((2, 2), np.float32) for v in graph.constants})


def lost_output(graph):
    return replace(graph, operators=graph.operators[:-1])


@pytest.mark.parametrize(
    ("damage", "message"),
    [
        (swap, "used before it is defined"),
        (wrong_type, "expected a new value of type"),
        (wrong_constant, "holds float32"),
        (lost_output, "is not defined"),
        (lambda g: replace(g, output_names=("sum",)), "2 outputs but 1 output names"),
        (lambda g: replace(g, inputs=g.inputs * 2), "defined twice"),
    ],
)
def test_verify_finds_damage(damage, message):
    with pytest.raises(CompilerBug, match=message):
        verify_graph(damage(small_graph()))


def test_rewrite_without_a_match_gives_the_same_graph():
    graph = small_graph()
    assert rewrite_graph(graph, lambda builder, operator: None) is graph


def test_rewrite_replaces_and_renames_nothing_else():
    graph = small_graph()

    def rule(builder, operator):
        return builder.emit("tanh", *operator.inputs) if operator.op.name == "relu" else None

    changed = rewrite_graph(graph, rule)
    verify_graph(changed)
    assert count_ops(changed) == {"add": 1, "matmul": 1, "tanh": 1}
    assert changed.output_names == graph.output_names
    assert changed.operators[0] is graph.operators[0]


def test_builder_emits_nothing_for_nothing():
    builder = GraphBuilder("g")
    x = builder.input("x", TensorType(f32, (2, N)))
    assert builder.transpose(x, (0, 1)) is x
    assert builder.reshape(x, (2, N + 0)) is x
    assert builder.broadcast_to(x, (2, N)) is x
    assert builder.cast(x, f32) is x
    assert builder.operators == []


def test_builder_folds_small_constants_at_once():
    builder = GraphBuilder("g")
    two, three = (builder.constant(np.array(n, np.float32)) for n in (2, 3))
    assert builder.constants[builder.emit("mul", two, three)] == 6
    assert builder.operators == []
    lazy = GraphBuilder("g", fold=False)
    lazy.emit("mul", lazy.constant(np.float32(2)), lazy.constant(np.float32(3)))
    assert len(lazy.operators) == 1


def test_names_are_unique():
    builder = GraphBuilder("g")
    assert [builder.unique(n) for n in ("a", "a", "a.1", "a.1", "b.1")] == [
        "a", "a.1", "a.2", "a.3", "b.1",
    ]  # fmt: skip
    assert join_names("conv", "bn+relu", "", "conv") == "conv+bn+relu"
