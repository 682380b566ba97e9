"""QDQ graphs become contractions of integers, with the values of ONNX Runtime's CPU provider."""

import numpy as np
import pytest

from hidet_core.graph.groups import form_groups
from hidet_core.graph.passes.quantize_contractions import quantize_contractions
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import i8, i32
from tests.hidet_core.compiled import compiled
from tests.hidet_core.importer.one_node import import_model, run_ort
from tests.hidet_core.qdq_models import STEP, Qdq, residual_block


def image(seed=3):
    return {"x": np.random.default_rng(seed).standard_normal((1, 3, 11, 9)).astype(np.float32)}


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_residual_block(dtype):
    model, feeds = residual_block(seed=4, dtype=dtype), image()
    (expected,) = run_ort(model, feeds)
    _, graph = import_model(model)
    for found in (run_graph(graph, feeds), compiled(graph).run(feeds)):
        (values,) = found.values()
        steps = np.abs(values - expected) / STEP
        assert steps.max() < 1.01
        assert (steps > 0.01).mean() < 0.2
    assert len(np.unique(expected)) > 4


def test_kernels_of_a_residual_block():
    _, graph = import_model(residual_block())
    contractions = [op for op in graph.operators if op.op.name in ("conv2d", "matmul")]
    assert len(contractions) == 5
    assert all(op.output.type.dtype == i32 for op in contractions)
    names = [[op.op.name for op in group.operators] for group in form_groups(graph)]
    assert names[0] == ["quantize", "transpose"]
    assert names[1] == ["conv2d", "sub", "cast", "mul", "add", "relu", "quantize"]
    assert names[2] == ["pool2d"]
    assert len(names) == 8


def after(net, output):
    """The names of operators of a model of one output, by the pass alone."""
    graph, _ = import_model(net.done(output))
    changed = quantize_contractions(graph)
    assert quantize_contractions(changed) is changed
    feeds = {"x": np.random.default_rng(0).standard_normal((4, 6)).astype(np.float32)}
    for name, expected in run_graph(graph, feeds).items():
        found = run_graph(changed, feeds)[name]
        assert found.dtype == expected.dtype
        limit = 1e-5 if found.dtype == np.float32 else 1
        np.testing.assert_allclose(found.astype(float), expected, rtol=1e-5, atol=limit)
    return [op.op.name for op in changed.operators], changed


def test_matmul_without_a_quantised_result():
    net = Qdq()
    x = net.quantized(net.x(4, 6), 0.0213)
    names, graph = after(net, net.matmul(x, (6, 5)))
    assert names.count("matmul") == 1
    assert next(op for op in graph.operators if op.op.name == "matmul").output.type.dtype == i32


def test_signed_activations_become_unsigned():
    _, graph = import_model(residual_block(dtype=np.int8))
    assert all(op.output.type.dtype != i8 for op in graph.operators)
    pads = [op.attrs.get("pad_value", 0) for op in graph.operators if op.op.name == "conv2d"]
    assert sum(map(bool, pads)) == 1, "all but the image are 0 after a Relu"


def test_signed_outputs_stay_signed():
    net = Qdq(dtype=np.int8)
    x = net.quantized(net.x(4, 6), 0.0213, -7)
    y = net.node("QuantizeLinear", net.matmul(x, (6, 5)), *net.nodes[0].input[1:])
    names, graph = after(net, y)
    assert names[-2:] == ["xor", "cast"]
    assert graph.outputs[0].type.dtype == i8


def test_convolution_of_one_dim():
    net = Qdq()
    x = net.quantized(net.x(4, 6), 0.0213)
    row = net.node("Unsqueeze", x, net.constant(np.asarray([0], np.int64)))
    net.scales[row] = net.scales[x]
    _, graph = after(net, net.conv(row, (5, 4, 3), pads=[1, 1]))
    assert next(op for op in graph.operators if op.op.name == "conv2d").output.type.dtype == i32


def test_scales_along_the_sum_stay_floats():
    net = Qdq()
    x = net.quantized(net.x(4, 6), 0.0213)
    weights, _ = net.weights((6, 5), axis=0)
    _, graph = after(net, net.node("MatMul", x, weights))
    assert next(op for op in graph.operators if op.op.name == "matmul").output.type.dtype != i32


def test_wide_integers_stay_floats():
    net = Qdq(dtype=np.uint16)
    x = net.quantized(net.x(4, 6), 2e-4)
    net.dtype = np.int8
    _, graph = after(net, net.matmul(x, (6, 5)))
    assert next(op for op in graph.operators if op.op.name == "matmul").output.type.dtype != i32


def test_concat_of_equal_steps_is_one_of_integers():
    net = Qdq()
    x = net.x(4, 6)
    parts = [net.quantized(x, 0.0213, 7), net.quantized(net.node("Neg", x), 0.0213, 7)]
    joined = net.quantized(net.node("Concat", *parts, axis=1), 0.0213, 7)
    names, graph = after(net, joined)
    assert names.count("quantize") == 2
    assert next(op for op in graph.operators if op.op.name == "concat").output.type.dtype.is_byte


def test_other_steps_are_quantised_again():
    net = Qdq()
    x = net.quantized(net.x(4, 6), 0.0213, 7)
    names, _ = after(net, net.quantized(x, 0.03, 7))
    assert names == ["quantize", "dequantize", "quantize", "dequantize"]
