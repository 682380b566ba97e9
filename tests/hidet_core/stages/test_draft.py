"""Drafts: a group in terms of the IR, and nothing of the graph."""

import numpy as np

from hidet_core.graph.graph import consumers
from hidet_core.graph.groups import form_groups
from hidet_core.graph.storage import make_storable, plan_storage
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Const
from hidet_core.stages import draft_group
from hidet_core.stages.draft import MAX_NAME
from tests.hidet_core.compiled import Net


def drafts(*outputs, net):
    graph = make_storable(net.done(*outputs))
    storage, readers = plan_storage(graph), consumers(graph)
    return [draft_group(group, graph, storage, readers) for group in form_groups(graph)]


def test_the_problem_is_the_anchor_alone():
    net = Net()
    x = net.tanh(net.x(3, 5))
    y = net.relu(net.add(net.matmul(x, net.const(5, 7)), net.const(7)))
    (draft,) = drafts(y, net=net)
    problem = draft.problem
    assert (problem.op, draft.name) == ("matmul", "tanh_matmul_add_relu")
    assert problem.constant == (False, True) and problem.computed == (True, False)
    assert [step.mains[0].name for step in draft.steps] == ["matmul", "add"]
    assert list(draft.prologue) == [problem.inputs[0]]
    assert [draft.values[buffer].name for buffer in draft.stored] == ["relu"]


def test_buffers_have_the_strides_of_their_storage():
    net = Net()
    x = net.relu(net.x(1, 4, 5, 3))
    y = net.conv(x, 3, 3, 3, 2, pads=(1, 1, 1, 1))
    z = net.concat(y, net.conv(x, 1, 1, 3, 4), axis=3)
    first, conv, *_ = drafts(net.neg(z), net=net)
    assert first.problem.output.strides == (6 * 7 * 3, 7 * 3, 3, 1)  # a halo of one
    assert conv.problem.inputs[0] is not first.problem.output
    assert conv.problem.inputs[0].strides == first.problem.output.strides
    assert conv.problem.output.strides == (4 * 5 * 6, 5 * 6, 6, 1)  # a part of the concat


def test_constants_of_one_element_become_literals():
    net = Net()
    half = net.constant(np.array([[0.5]], np.float32))
    (draft,) = drafts(net.mul(net.softmax(net.x(3, 5)), half), net=net)
    (definition,) = draft.prologue.values()
    assert isinstance(definition.value, Const)
    assert (definition.value.value, definition.value.dtype) == (0.5, f32)


def test_an_injective_problem_is_the_whole_chain():
    """Its config is chosen by all accesses: those of the prologue too."""
    net = Net()
    x = net.transpose(net.x(3, 5), perm=(1, 0))
    (draft,) = drafts(net.tanh(net.add(x, net.x(3))), net=net)
    assert draft.problem.op == "injective" and draft.steps == ()
    assert [draft.values[buffer].name for buffer in draft.problem.inputs] == ["x0", "x1"]


def test_what_is_read_outside_is_stored():
    net = Net()
    x = net.matmul(net.x(3, 5), net.const(5, 4))
    shifted = net.add(x, net.const(4))
    outs = [net.relu(shifted), net.reduce(shifted, op="max", axes=(1,), keepdims=False)]
    draft, _ = drafts(*outs, net=net)
    assert {draft.values[b].name for b in draft.stored} == {"add", "relu"}


def test_a_value_that_only_a_concat_reads_is_stored():
    net = Net()
    x = net.relu(net.x(3, 5))
    draft, other = drafts(net.neg(net.concat(x, net.tanh(net.x(1, 5)), axis=0)), net=net)[:2]
    assert {draft.name, other.name} == {"relu", "tanh"} and len(draft.stored) == 1


def test_two_readings_of_one_value_are_two_mains_of_one_step():
    net = Net()
    x = net.matmul(net.x(3, 5), net.const(5, 4))
    (draft,) = drafts(net.mul(x, net.sigmoid(x)), net=net)
    assert [[b.name for b in step.mains] for step in draft.steps] == [
        ["matmul"], ["matmul", "sigmoid"],
    ]  # fmt: skip


def test_names_are_short():
    net = Net()
    x = net.x(3, 5)
    for op in ("tanh", "gelu_tanh", "hard_swish", "softplus", "softsign", "sigmoid", "mish"):
        x = net.emit(op, x)
    (draft,) = drafts(x, net=net)
    assert len(draft.name) <= MAX_NAME and draft.name.startswith("tanh_gelu_tanh_hard_swish")
