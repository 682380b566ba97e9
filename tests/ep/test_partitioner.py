"""The partitioner alone, on graphs made by hand, with compilers that say what the test wants."""

from dataclasses import dataclass

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hidet_core import CompilerBug, OnnxGraph, OnnxNode, OnnxValue, Unsupported
from hidet_ep.options import Options
from hidet_ep.partitioner import partition

FLOAT, INT64 = 1, 7


@dataclass
class Result:
    plan: bytes
    constants: tuple = ()
    report: None = None


class Compiler:
    """Supports all but `unsupported` operators; compiling one of `errors` raises that error."""

    def __init__(self, unsupported=(), errors=None):
        self.unsupported, self.errors, self.calls = unsupported, errors or {}, []

    def explain(self, graph, node):
        return f"no {node.op_type} here" if node.op_type in self.unsupported else None

    def compile(self, graph, node_ids, inputs, outputs):
        self.calls.append(tuple(node_ids))
        for node in graph.nodes:
            if node.id in node_ids and node.op_type in self.errors:
                raise self.errors[node.op_type]
        return Result(repr((list(inputs), list(outputs))).encode())


def graph_of(*lines, outputs, dtype=FLOAT, shape=(2, 64), constants=(), outer_used=()):
    """Each line: "Op a b -> c". Node i has id 10 + i and the name Op_i."""
    nodes, names = [], dict.fromkeys(constants)
    for i, line in enumerate(lines):
        left, right = line.split("->")
        op, *inputs = left.split()
        nodes.append(
            OnnxNode(
                id=10 + i,
                name=f"{op}_{i}",
                op_type=op,
                domain="",
                since_version=1,
                inputs=tuple(inputs),
                outputs=tuple(right.split()),
                attributes={},
                has_subgraph=op == "If",
            )
        )
        names.update(dict.fromkeys((*inputs, *right.split())))
    made = {name for node in nodes for name in node.outputs}
    data = np.zeros(shape, np.float32)
    values = {
        name: OnnxValue(name, dtype, shape, data if name in constants else None, name in constants)
        for name in names
    }
    return OnnxGraph(
        name="g",
        nodes=tuple(nodes),
        values=values,
        inputs=tuple(name for name in names if name not in made and name not in constants),
        outputs=tuple(outputs),
        opsets={"": 17},
        outer_used=frozenset(outer_used),
    )


def ids(result):
    return [part.node_ids for part in result.partitions]


def reasons(result):
    return {entry.node: entry.reason for entry in result.refused}


def test_one_partition_with_its_border():
    graph = graph_of(
        "Conv x w -> a", "Relu a -> b", "Add b a -> c", "Sub b w -> d", outputs="cd", constants="w"
    )
    result = partition(graph, Compiler(), Options())
    (part,) = result.partitions
    assert part.node_ids == (10, 11, 12, 13)
    assert (part.inputs, part.outputs) == (("x",), ("c", "d"))
    assert not result.refused


def test_a_value_used_outside_is_an_output_too():
    graph = graph_of("Relu x -> a", "Topk a -> t", "Neg a -> b", outputs="tb")
    result = partition(graph, Compiler(unsupported={"Topk"}), Options())
    assert ids(result) == [(10, 12)]
    assert result.partitions[0].outputs == ("a", "b")
    assert reasons(result) == {"Topk_1": "no Topk here"}


def test_bodies_use_values_by_name():
    graph = graph_of("Relu x -> a", "Neg a -> b", "If f -> c", "Add b c -> d", outputs="d")
    result = partition(graph, Compiler(), Options(), implicit={12: ("a",)})
    assert ids(result) == [(10, 11), (13,)]
    assert result.partitions[0].outputs == ("a", "b")
    assert "control flow" in reasons(result)["If_2"]


def test_outer_used_values_are_outputs():
    graph = graph_of("Relu x -> a", "Neg a -> b", outputs="b", outer_used="a")
    (part,) = partition(graph, Compiler(), Options()).partitions
    assert part.outputs == ("a", "b")


def test_reserved_nodes_are_left_but_count_for_convexity():
    graph = graph_of("Relu x -> a", "Relu a -> b", "Add a b -> c", outputs="c")
    result = partition(graph, Compiler(), Options(), reserved={11: "belongs to Other"})
    assert ids(result) == [(10,), (12,)]
    assert reasons(result) == {"Relu_1": "belongs to Other"}


def test_unreadable_constant():
    graph = graph_of("Add x w -> y", outputs="y", constants="w")
    graph.values["w"] = OnnxValue("w", 16, (2, 64), None, True)
    result = partition(graph, Compiler(), Options())
    assert not result.partitions
    assert "constant 'w' (ONNX type 16)" in reasons(result)["Add_0"]


def test_blamed_node_is_left_and_the_rest_is_regrouped():
    graph = graph_of("Relu x -> a", "Odd a -> b", "Neg b -> y", outputs="y")
    compiler = Compiler(errors={"Odd": Unsupported("Odd_1", "too odd")})
    result = partition(graph, compiler, Options())
    assert ids(result) == [(10,), (12,)]
    assert reasons(result) == {"Odd_1": "too odd"}
    assert compiler.calls == [(10, 11, 12), (10,), (12,)]


def test_groups_that_compiled_are_not_compiled_again():
    graph = graph_of(
        "Relu x -> a", "Topk a -> t", "Neg t -> b", "Odd b -> c", "Abs c -> y", outputs="y"
    )
    compiler = Compiler({"Topk"}, {"Odd": Unsupported("Odd_3", "too odd")})
    assert ids(partition(graph, compiler, Options())) == [(10,), (12,), (14,)]
    assert compiler.calls == [(10,), (12, 13, 14), (12,), (14,)]


@pytest.mark.parametrize(
    ("error", "warned"),
    [
        (Unsupported("?", "cannot"), False),
        (CompilerBug("lower", "cannot"), True),
        (ValueError("cannot"), True),
    ],
)
def test_failing_group_is_left_as_a_whole(error, warned):
    graph = graph_of("Relu x -> a", "Topk a -> t", "Odd t -> b", "Neg b -> y", outputs="y")
    result = partition(graph, Compiler({"Topk"}, {"Odd": error}), Options())
    assert ids(result) == [(10,)]
    assert all("cannot" in reasons(result)[name] for name in ("Odd_2", "Neg_3"))
    assert bool(result.warnings) == warned


def test_moving_data_alone_is_not_worth_it():
    graph = graph_of("Reshape x s -> a", "Transpose a -> y", outputs="y")
    result = partition(graph, Compiler(), Options())
    assert not result.partitions and "only moves data" in reasons(result)["Reshape_0"]
    assert ids(partition(graph, Compiler(), Options(claim="all"))) == [(10, 11)]


def test_shape_arithmetic_alone_is_not_worth_it():
    graph = graph_of("Add s t -> u", "Mul u t -> y", outputs="y", dtype=INT64, shape=(4,))
    assert not partition(graph, Compiler(), Options()).partitions
    wide = graph_of("Add s t -> u", "Mul u t -> y", outputs="y", dtype=INT64, shape=(400,))
    assert ids(partition(wide, Compiler(), Options())) == [(10, 11)]


def test_min_partition_nodes():
    graph = graph_of("Relu x -> a", "Neg a -> y", outputs="y")
    result = partition(graph, Compiler(), Options(min_partition_nodes=3))
    assert not result.partitions and "min_partition_nodes" in reasons(result)["Neg_1"]


@st.composite
def random_graphs(draw):
    lines, names = [], ["x"]
    for i in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from(["Relu", "Neg", "Topk", "Odd", "Reshape"]))
        a, b = draw(st.sampled_from(names)), draw(st.sampled_from(names))
        lines.append(f"{op} {a} {b} -> v{i}")
        names.append(f"v{i}")
    return graph_of(*lines, outputs=[names[-1]])


@given(random_graphs())
def test_every_node_is_taken_or_refused_with_a_reason(graph):
    class Picky(Compiler):
        def compile(self, graph, node_ids, inputs, outputs):
            odd = [n for n in graph.nodes if n.id in node_ids and n.op_type == "Odd"]
            if odd:
                raise Unsupported(odd[-1].name, "too odd")
            return super().compile(graph, node_ids, inputs, outputs)

    result = partition(graph, Picky({"Topk"}), Options())
    taken = [node for part in result.partitions for node in part.node_ids]
    refused = [entry.node_id for entry in result.refused]
    assert sorted(taken + refused) == [node.id for node in graph.nodes]
    assert all(entry.reason for entry in result.refused)
    assert not any(entry.op_type in ("Relu", "Neg") for entry in result.refused)
