"""Fusion groups: what joins which kernel, and that groups can run in their order."""

import numpy as np
from hypothesis import given, settings

from hidet_core.graph.graph import consumers, producers
from hidet_core.graph.groups import MAX_FUSED, form_groups
from hidet_core.graph.storage import make_storable
from tests.hidet_core.compiled import Net
from tests.hidet_core.random_graphs import graphs

SAME = {"pads": (1, 1, 1, 1)}


def grouped(*outputs, net):
    """The names of the operators of each group, as the kernels will run."""
    graph = make_storable(net.done(*outputs))
    return [[operator.op.name for operator in group.operators] for group in form_groups(graph)]


def test_convolution_takes_bias_residual_and_relu():
    net = Net()
    x = net.relu(net.x(1, 4, 4, 8))
    y = net.relu(net.add(net.conv(x, 3, 3, 8, 8, **SAME), net.const(8)))
    z = net.relu(net.add(net.conv(y, 3, 3, 8, 8, **SAME), x))
    assert grouped(z, net=net) == [["relu"], ["conv2d", "add", "relu"], ["conv2d", "add", "relu"]]


def test_the_later_producer_takes_the_sum():
    """Both branches of a residual are convolutions: the first is stored, the second adds."""
    net = Net()
    x = net.x(1, 4, 4, 3)
    a, b = net.conv(x, 1, 1, 3, 5), net.conv(x, 1, 1, 3, 5)
    assert grouped(net.relu(net.add(a, b)), net=net) == [["conv2d"], ["conv2d", "add", "relu"]]


def test_several_readers_of_one_value():
    """x * sigmoid(x), and another reader that moves elements: one kernel."""
    net = Net()
    x = net.matmul(net.x(3, 5), net.const(5, 7))
    silu, turned = net.mul(x, net.sigmoid(x)), net.neg(net.transpose(x, perm=(1, 0)))
    assert grouped(silu, turned, net=net) == [["matmul", "sigmoid", "mul", "transpose", "neg"]]


def test_elements_at_different_places_do_not_meet():
    """x + x.T: the sum needs two elements of the anchor's output."""
    net = Net()
    x = net.matmul(net.x(4, 5), net.const(5, 4))
    y = net.add(x, net.transpose(x, perm=(1, 0)))
    assert grouped(y, net=net) == [["matmul", "transpose"], ["add"]]


def test_a_value_that_comes_later_is_no_epilogue():
    """relu(conv) * gate, where the gate is computed from the convolution itself."""
    net = Net()
    x = net.conv(net.x(1, 4, 4, 3), 1, 1, 3, 5)
    gate = net.sigmoid(net.reduce(x, op="mean", axes=(1, 2), keepdims=True))
    groups = grouped(net.mul(net.relu(x), gate), net=net)
    assert groups == [["conv2d", "relu"], ["reduce", "sigmoid"], ["mul"]]


def test_broadcasting_is_no_epilogue():
    net = Net()
    row = net.matmul(net.x(1, 5), net.const(5, 7))
    assert grouped(net.add(row, net.x(3, 7)), net=net) == [["matmul"], ["add"]]


def test_layout_changes_join_what_computes_them():
    net = Net()
    x = net.matmul(net.x(2, 3, 8), net.const(8, 8))
    y = net.transpose(net.reshape(x, shape=(2, 3, 4, 2)), perm=(0, 2, 1, 3))
    assert grouped(y, net=net) == [["matmul", "reshape", "transpose"]]


def test_slices_begin_the_next_kernel():
    net = Net()
    x = net.matmul(net.x(6, 5), net.const(5, 6))
    parts = [net.relu(net.slice(x, starts=(0, k), steps=(1, 1), sizes=(6, 3))) for k in (0, 3)]
    assert grouped(*parts, net=net) == [["matmul"], ["slice", "relu"], ["slice", "relu"]]


def test_prologues():
    """The first input of a matmul and of a 1x1 convolution takes what computes it; a 3x3
    convolution would compute it nine times.
    """
    net = Net()
    x = net.tanh(net.x(3, 5))
    assert grouped(net.matmul(x, net.const(5, 5)), net=net) == [["tanh", "matmul"]]
    for size, expected in ((1, [["tanh", "conv2d"]]), (3, [["tanh"], ["conv2d"]])):
        net = Net()
        x = net.tanh(net.x(1, 5, 5, 3))
        assert grouped(net.conv(x, size, size, 3, 4), net=net) == expected


def test_values_with_readers_in_two_groups_are_computed_once():
    net = Net()
    x = net.tanh(net.x(5, 5))
    y, z = net.matmul(x, net.const(5, 5)), net.matmul(x, net.const(5, 5))
    assert grouped(y, z, net=net) == [["tanh"], ["matmul"], ["matmul"]]


def test_second_operands_are_no_prologue():
    net = Net()
    x = net.tanh(net.x(5, 5))
    assert grouped(net.matmul(net.x(5, 5), x), net=net) == [["tanh"], ["matmul"]]
    assert grouped(net.matmul(x, x), net=net)[0] == ["tanh"]


def cubic(net, x, axis):
    """Four taps along an axis."""
    size = x.type.shape[axis]
    pairs = [net.const(size, dtype=dtype) for _ in range(4) for dtype in (np.int64, np.float32)]
    return net.resample(x, *pairs, axis=axis)


def test_an_element_is_not_computed_too_often():
    """Two axes of four taps are one kernel, a third would read the first 64 times."""
    net = Net()
    x = cubic(net, cubic(net, cubic(net, net.neg(net.x(3, 4, 5)), 0), 1), 2)
    assert grouped(x, net=net) == [["neg", "resample"], ["resample", "resample"]]


def test_products_do_not_sample_again_for_each_column():
    net = Net()
    grid = net.grid_sample(net.x(1, 5, 4, 4), net.x(1, 2, 3, 2), mode="linear", padding="zeros",
                           align_corners=False)  # fmt: skip
    y = net.matmul(net.reshape(grid, shape=(5, 6)), net.const(6, 7))
    assert grouped(y, net=net) == [["grid_sample"], ["reshape", "matmul"]]


def test_outputs_inside_a_chain_stay_in_its_kernel():
    net = Net()
    x = net.add(net.matmul(net.x(3, 5), net.const(5, 7)), net.const(7))
    y = net.relu(x)
    assert grouped(y, x, net=net) == [["matmul", "add", "relu"]]


def test_concat_is_no_kernel():
    net = Net()
    x = net.x(1, 4, 4, 3)
    parts = [net.relu(net.conv(x, 1, 1, 3, 4)), net.relu(net.conv(x, 3, 3, 3, 5, **SAME))]
    y = net.conv(net.concat(*parts, axis=3), 1, 1, 9, 4)
    groups = grouped(y, net=net)
    assert groups == [["conv2d", "relu"], ["pad"], ["conv2d", "relu"], ["conv2d"]]


def test_long_chains_are_cut():
    net = Net()
    x = net.x(3, 5)
    for _ in range(3 * MAX_FUSED):
        x = net.neg(x)
    assert max(map(len, grouped(x, net=net))) <= MAX_FUSED + 1


@settings(deadline=None, max_examples=100, derandomize=True)
@given(graphs(most=14))
def test_groups_are_a_partition_that_can_run(graph):
    graph = make_storable(graph)
    groups = form_groups(graph)
    members = [operator for group in groups for operator in group.operators]
    wanted = [operator for operator in graph.operators if operator.op.name != "concat"]
    assert len(members) == len(set(members)) and set(members) == set(wanted)
    made, done = producers(graph), set()
    for group in groups:
        own = set(group.operators)
        for operator in group.operators:
            for value in operator.inputs:
                for source in _sources(made.get(value), made):
                    assert source in done or source in own, f"{operator.op.name} runs too early"
        done |= own


def _sources(operator, made):
    """The operators whose stores make a value: those behind concats."""
    if operator is None:
        return []
    if operator.op.name != "concat":
        return [operator]
    return [source for value in operator.inputs for source in _sources(made.get(value), made)]


@settings(deadline=None, max_examples=100, derandomize=True)
@given(graphs(most=14))
def test_only_the_last_values_of_a_group_are_read_outside_of_it(graph):
    """A prologue is read in its group alone: what it computes need not be stored."""
    graph = make_storable(graph)
    readers = consumers(graph)
    for group in form_groups(graph):
        for operator in group.prologue:
            assert operator.output not in graph.outputs
            assert set(readers[operator.output]) <= set(group.operators)
