"""Attention as exporters spell it becomes one operator that gives the same; what must not be taken
is left; projections of one input are merged.
"""

import numpy as np
import pytest

from hidet_core.graph.graph import count_ops, verify_graph
from hidet_core.graph.groups import form_groups
from hidet_core.graph.passes import run_passes
from hidet_core.graph.reference import run_graph
from hidet_core.graph.storage import make_storable
from hidet_core.importer import from_model, import_subgraph
from hidet_core.ir.dtypes import f16
from tests.hidet_core.compiled import Net, feeds_of, symbols_of
from tests.hidet_core.graph.attention_idioms import IDIOMS


def imported(model):
    graph = from_model(model)
    ids = [node.id for node in graph.nodes]
    return import_subgraph(graph, ids, graph.inputs, graph.outputs)


def attention_of(graph):
    (found,) = (operator for operator in graph.operators if operator.op.name == "attention")
    return found


def feeds_for(graph):
    feeds = feeds_of(graph, 1, **{symbol.name: 5 for symbol in graph.symbols})
    for value in graph.inputs:
        if value.name == "mask" and value.type.dtype.is_int:
            feeds["mask"] = np.array([[1, 1, 1, 1, 1, 0, 0], [1, 0, 0, 0, 0, 0, 0]])
    return feeds


@pytest.mark.parametrize("name", IDIOMS)
def test_idiom(name):
    idiom, scale, causal, zero_nan, inputs = IDIOMS[name]
    before = imported(idiom())
    after = run_passes(before)
    verify_graph(after)
    found = attention_of(after)
    assert len(found.inputs) == inputs
    assert found.attrs["scale"] == pytest.approx(scale)
    assert (found.attrs["causal"], found.attrs["zero_nan"]) == (causal, zero_nan)
    counts = count_ops(after)
    assert counts["matmul"] == 1, "three projections are one product"
    assert not counts.keys() & {"softmax", "isnan", "div"}
    feeds = feeds_for(before)
    expected, got = run_graph(before, feeds), run_graph(after, feeds)
    for key, array in expected.items():
        np.testing.assert_allclose(got[key], array, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", IDIOMS)
def test_no_transpose_remains(name):
    """Two kernels, and masks: whatever moves data is an index map of the attention."""
    graph = make_storable(run_passes(imported(IDIOMS[name][0]())))
    groups = {group.anchor.op.name: group for group in form_groups(graph)}
    assert set(groups) == {"matmul", "attention"}
    inside = [operator.op.name for operator in groups["attention"].operators]
    assert {"slice", "reshape", "transpose"} <= set(inside)


def two_products(net, read_scores=False, dtype=None, width=8):
    q, k, v = (net.x(2, 5, width, **({} if dtype is None else {"dtype": dtype})) for _ in range(3))
    scores = net.matmul(q, net.transpose(k, perm=(0, 2, 1)))
    weights = net.softmax(scores)
    y = net.matmul(weights, v)
    return net.done(y, weights) if read_scores else net.done(y)


def test_weights_that_are_read_elsewhere_are_computed():
    graph = run_passes(two_products(Net(), read_scores=True))
    assert "attention" not in count_ops(graph)


def test_wide_heads_are_left():
    assert "attention" not in count_ops(run_passes(two_products(Net(), width=257)))
    assert "attention" in count_ops(run_passes(two_products(Net(), width=256)))


def test_halves():
    assert "attention" in count_ops(run_passes(two_products(Net(), dtype=f16)))


def test_a_softmax_that_is_no_attention_is_left():
    net = Net()
    y = net.matmul(net.softmax(net.add(net.x(2, 5, 6), net.x(5, 6))), net.x(2, 6, 4))
    assert count_ops(run_passes(net.done(y))) == {"add": 1, "matmul": 1, "softmax": 1}


def test_a_triangle_that_is_not_aligned_stays_a_mask():
    """Keys up to one later than the query are seen."""
    net = Net()
    q, k, v = net.x(1, 6, 4), net.x(1, 6, 4), net.x(1, 6, 4)
    mask = net.constant(np.where(np.tri(6, k=1), 0, -np.inf).astype(np.float32), "m")
    scores = net.add(net.matmul(q, net.transpose(k, perm=(0, 2, 1))), mask)
    graph = run_passes(net.done(net.matmul(net.softmax(scores), v)))
    assert not attention_of(graph).attrs["causal"] and len(attention_of(graph).inputs) == 4


def test_keys_before_the_queries():
    """With keys of the past the triangle ends at the last key."""
    net = Net()
    q, k, v = net.x(1, 3, 4), net.x(1, 7, 4), net.x(1, 7, 4)
    mask = net.constant(np.where(np.tri(3, 7, 4), 0, -np.inf).astype(np.float32), "m")
    scores = net.add(net.matmul(q, net.transpose(k, perm=(0, 2, 1))), mask)
    before = net.done(net.matmul(net.softmax(scores), v))
    after = run_passes(before)
    assert attention_of(after).attrs["causal"]
    feeds = feeds_of(before)
    np.testing.assert_allclose(
        run_graph(after, feeds)["y0"], run_graph(before, feeds)["y0"], rtol=1e-5
    )


def test_products_that_others_read_are_not_merged():
    net = Net()
    x = net.x(2, 6, 8)
    q, k, v = (net.matmul(x, net.const(8, 8)) for _ in range(3))
    scores = net.matmul(q, net.transpose(k, perm=(0, 2, 1)))
    graph = run_passes(net.done(net.matmul(net.softmax(scores), v), q))
    assert count_ops(graph)["matmul"] == 2, "q is an output, k and v are one product"
    symbols_of(graph, {})


def two_layers(net, shape, reads=()):
    """Two attentions with one mask, made of an input by four operators."""
    given = net.x(*shape)
    mask = net.mul(net.sub(net.constant(np.float32(1), "one"), net.exp_(given)) if reads else
                   net.sub(net.constant(np.float32(1), "one"), given),
                   net.constant(np.float32(-1e9), "low"))  # fmt: skip
    x = net.x(2, 3, 6, 4)
    for _ in range(2):
        scores = net.add(net.matmul(x, net.transpose(x, perm=(0, 1, 3, 2))), mask)
        x = net.tanh(net.matmul(net.softmax(scores), x))
    return run_passes(net.done(x))


def test_a_small_mask_is_computed_by_each_attention():
    graph = two_layers(Net(), (2, 1, 1, 6))
    groups = form_groups(graph)
    assert [group.anchor.op.name for group in groups] == ["attention", "attention"]
    assert all("mul" in [op.op.name for op in group.prologue] for group in groups)


@pytest.mark.parametrize(("shape", "reads"), [((2, 1, 6, 6), ()), ((2, 1, 1, 6), ("exp",))])
def test_a_large_or_dear_mask_is_computed_once(shape, reads):
    groups = form_groups(two_layers(Net(), shape, reads))
    assert len(groups) == 3 and groups[0].anchor.op.name != "attention"
