"""Networks in 8 bits: what the quantiser writes, and that each layer is within one step of ONNX
Runtime's CPU provider."""

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from hidet_ep import zoo
from hidet_ep.zoo.convnet import ConvNet
from tests.hidet_core.compiled import compiled
from tests.hidet_core.importer.one_node import import_model, run_ort


def block(batch=1):
    """A stem, a bottleneck with a shortcut, a classifier."""
    net = ConvNet("block", batch, 20, seed=3)
    x = net.pool("MaxPool", net.then("Relu", net.conv(net.input, 10, 3, stride=2)), 2, 1)
    y = net.then("Relu", net.conv(x, 8))
    y = net.conv(net.then("Relu", net.conv(y, 8, 3, stride=2)), 24, gain=0.3)
    x = net.then("Relu", net.then("Add", y, net.conv(x, 24, stride=2, gain=1)))
    return net.classify(x, 12)


@pytest.fixture(scope="module")
def model():
    return zoo.in_int8(block())


def test_every_product_is_of_integers(model):
    onnx.checker.check_model(model, full_check=True)
    made = {output: node for node in model.graph.node for output in node.output}
    given = {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}
    products = [node for node in model.graph.node if node.op_type in ("Conv", "Gemm")]
    assert len(products) == 6
    for node in products:
        assert made[node.input[0]].op_type == "DequantizeLinear"
        whole, scale, zero = (given[name] for name in made[node.input[1]].input)
        assert whole.dtype == np.int8 and scale.shape == zero.shape == whole.shape[:1]
        assert abs(whole.reshape(len(whole), -1)).max(axis=1).min() == 127
        assert given[made[node.input[2]].input[0]].dtype == np.int32


def test_it_computes_nearly_what_it_was_made_of(model):
    feeds = zoo.inputs(model, 11)
    (real,), (found,) = run_ort(block(), feeds), run_ort(model, feeds)
    assert abs(found - real).max() < 0.1 * abs(real).max()


def test_each_layer_is_within_a_step_of_the_cpu_provider(model):
    apart = zoo.cut(model)
    names = [output.name for output in apart.graph.output]
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    shown.graph.output.extend(apart.graph.output)
    feeds = zoo.inputs(model, 5)
    whole = dict(zip(names, run_ort(shown, feeds)[1:], strict=True))
    feeds |= {name + zoo.GIVEN: array for name, array in whole.items()}
    _, graph = import_model(apart)
    contractions = [op for op in graph.operators if op.op.name in ("conv2d", "matmul")]
    assert len(contractions) == 6
    assert not any(op.output.type.dtype.is_float for op in contractions)
    found = compiled(graph).run({value.name: feeds[value.name] for value in graph.inputs})
    for name, expected in whole.items():
        steps = abs(found[name].astype(int) - expected.astype(int))
        assert steps.max(initial=0) <= 1, name
        assert (steps > 0).mean() < 0.02, name
    assert len(np.unique(whole[names[-1]])) > 6


def test_any_batch():
    model = zoo.in_int8(block("N"))
    assert len(run_ort(model, zoo.inputs(model, 1, {"N": 3}))[0]) == 3
