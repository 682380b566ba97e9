"""Reasons for refused nodes, and errors of imports: each names the thing and what is missing."""

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from hidet_core.base.errors import Unsupported
from hidet_core.importer import explain_graph, explain_node, from_model, import_subgraph
from hidet_core.importer.importer import Importer
from hidet_core.importer.registry import HANDLERS, find_handler
from tests.hidet_core.importer.one_node import Case, one_node_model


def reason(case, dims=None):
    graph = from_model(one_node_model(case, case.arrays(), dims))
    return explain_node(graph, graph.nodes[0])


@pytest.mark.parametrize(
    ("case", "expected"),
    [
        (Case("Det", 13, [(5, 5)]), "at most 4 rows"),
        (Case("Unique", 13, [(3,)]), "operator Unique is not supported"),
        (Case("NhwcConv", 13, [(3, 3)], domain="com.microsoft"), "com.microsoft.NhwcConv"),
        (Case("Reshape", 13, [(2, 3), np.array([6])]), "shape (input 1) is not known"),
        (Case("Resize", 13, [(1, 1, 4, 4), None, np.ones(4, np.float32)], {"mode": "curved"}, (2,)),
         "mode 'curved'"),
        (Case("MaxPool", 13, [(1, 2, 4, 4)], {"kernel_shape": [5, 2]}), "padded image of 4"),
        (Case("MaxPool", 13, [(1, 2, 4, 6)], {"kernel_shape": [1, 1], "strides": [3, 3],
                                              "auto_pad": "SAME_UPPER"}), "a stride of 3"),
        (Case("MaxPool", 13, [(1, 2, 4, 4)]), "malformed node"),
        (Case("Cast", 13, [(2,)], {"to": 8}), "element type 8"),
        (Case("Softplus", 1, [np.zeros(2, np.int32)]), "expected floats"),
        (Case("Einsum", 12, [(2, 2)], {"equation": "i->i"}), "'i->i'"),
        (Case("BatchNormalization", 9, [(1, 2, 3)] + [(2,)] * 4, outputs=5), "output 'y1'"),
    ],
    ids=str,
)  # fmt: skip
def test_reasons(case, expected):
    assert expected in reason(case)


def test_supported_nodes_have_no_reason():
    assert reason(Case("Relu", 13, [(2, 3)])) is None


def test_sizes_that_may_differ():
    found = reason(Case("Add", 13, [(2, 3), (2, 3)]), [["a", 3], ["b", 3]])
    assert "[a, 3] and [b, 3] do not broadcast" in found
    assert reason(Case("Add", 13, [(2, 3), (2, 3)]), [["a", 3], ["a", 3]]) is None


def chain(*nodes, inputs=("x",), outputs=("z",), shape=(2, 3)):
    infos = [helper.make_tensor_value_info(name, TensorProto.FLOAT, shape) for name in inputs]
    outs = [onnx.ValueInfoProto(name=name) for name in outputs]
    graph = helper.make_graph(list(nodes), "g", infos, outs)
    opsets = [helper.make_opsetid("", 13), helper.make_opsetid("nowhere", 1)]
    return from_model(helper.make_model(graph, opset_imports=opsets))


def test_only_the_refused_node_is_refused():
    graph = chain(
        helper.make_node("Relu", ["x"], ["a"]),
        helper.make_node("CumSum", ["a", "axis"], ["b"]),
        helper.make_node("Tanh", ["b"], ["z"]),
    )
    assert set(explain_graph(graph)) == {1}
    middle = import_subgraph(graph, [2], ["b"], ["z"])
    assert [op.op.name for op in middle.operators] == ["tanh"]
    assert middle.output_names == ("z",)


def test_what_depends_on_an_unknown_rank_is_refused():
    graph = chain(
        helper.make_node("Mystery", ["x"], ["a"], domain="nowhere"),
        helper.make_node("Tanh", ["a"], ["z"]),
    )
    reasons = explain_graph(graph)
    assert "nowhere.Mystery" in reasons[0]
    assert "value 'a' has no known" in reasons[1]


def test_nodes_with_subgraphs_are_refused():
    body = helper.make_graph([], "b", [], [])
    node = helper.make_node("Relu", ["x"], ["z"])
    node.attribute.append(helper.make_attribute("body", body))
    assert "subgraph" in explain_graph(chain(node))[0]


def test_unsupported_names_the_node():
    graph = chain(helper.make_node("Unique", ["x"], ["z"], name="my_node"))
    with pytest.raises(Unsupported, match=r"my_node: operator Unique is not supported"):
        import_subgraph(graph, [0], ["x"], ["z"])


def test_a_value_that_nobody_gives_is_unsupported():
    graph = chain(helper.make_node("Relu", ["x"], ["a"]), helper.make_node("Tanh", ["a"], ["z"]))
    with pytest.raises(Unsupported, match="'a' is neither imported nor a constant"):
        import_subgraph(graph, [1], [], ["z"])


def test_one_symbol_per_name_and_a_fresh_one_without():
    graph = chain(helper.make_node("Relu", ["x"], ["z"]), inputs=("x", "y"), shape=("n", None))
    importer = Importer(graph)
    x, y = importer.declare_input("x"), importer.declare_input("y")
    assert x.type.shape[0] is y.type.shape[0]
    assert x.type.shape[1] is not y.type.shape[1]


def test_versions():
    assert "from opset 9" in find_handler("", "Where", 8)
    assert find_handler("", "Clip", 10) is not find_handler("", "Clip", 11)
    assert find_handler("ai.onnx", "Clip", 13) is find_handler("", "Clip", 11)
    assert len(HANDLERS) > 120
