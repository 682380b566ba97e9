"""Models in float16, and their float32 twins."""

import numpy as np
import onnx
import onnxruntime as ort
import pytest
from onnx import TensorProto, helper, numpy_helper

from hidet_ep import zoo
from tests.ep import models


def parameters(model):
    return {t.name: numpy_helper.to_array(t) for t in model.graph.initializer}


def run(model, feeds):
    options = ort.SessionOptions()
    options.log_severity_level = 3
    made = model.SerializeToString()
    return ort.InferenceSession(made, options, providers=["CPUExecutionProvider"]).run(None, feeds)


def test_a_network_becomes_halves_and_stays_valid():
    model = zoo.build("squeezenet", image=64)
    half, twin = zoo.in_half(model), zoo.rounded(model)
    onnx.checker.check_model(half, full_check=True)
    types = {value.type.tensor_type.elem_type for value in (*half.graph.input, *half.graph.output)}
    assert types == {TensorProto.FLOAT16}
    halves, wide = parameters(half), parameters(twin)
    floats = [name for name in wide if wide[name].dtype == np.float32]
    assert floats and all(halves[name].dtype == np.float16 for name in floats)
    assert all(np.array_equal(halves[name].astype(np.float32), wide[name]) for name in floats)
    (feed,) = (feeds := zoo.inputs(half)).values()
    want = run(twin, {key: x.astype(np.float32) for key, x in feeds.items()})[0]
    assert feed.dtype == np.float16
    assert abs(run(half, feeds)[0] - want).max() < 0.02 * want.max()


def test_casts_and_tensors_of_attributes_follow():
    held = numpy_helper.from_array(np.array([2.5], np.float32), "two")
    nodes = [
        helper.make_node("Cast", ["i"], ["x"], to=TensorProto.FLOAT),
        helper.make_node("ConstantOfShape", ["s"], ["t"], value=held),
        helper.make_node("Mul", ["x", "t"], ["y"]),
    ]
    graph = helper.make_graph(
        nodes,
        "g",
        [helper.make_tensor_value_info("i", TensorProto.INT64, (3,))],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, (3,))],
        [numpy_helper.from_array(np.array([3], np.int64), "s")],
    )
    opset = helper.make_opsetid("", 17)
    half = zoo.in_half(helper.make_model(graph, opset_imports=[opset], ir_version=9))
    onnx.checker.check_model(half, full_check=True)
    (output,) = run(half, {"i": np.arange(3)})
    assert output.dtype == np.float16
    assert output.tolist() == [0, 2.5, 5]


def test_bfloat16_keeps_float32_at_the_border():
    model = zoo.build_network("bert", "reduced")
    half, twin = zoo.in_half(model, "bfloat16"), zoo.rounded(model, "bfloat16")
    onnx.checker.check_model(half, full_check=True)
    outputs = {value.type.tensor_type.elem_type for value in half.graph.output}
    assert outputs == {TensorProto.FLOAT}
    kinds = {tensor.data_type for tensor in half.graph.initializer}
    assert kinds == {TensorProto.BFLOAT16, TensorProto.INT64}
    exact, near = parameters(model), parameters(twin)
    floats = [name for name in near if near[name].dtype == np.float32]
    for name in floats:
        assert not np.any(near[name].view(np.uint32) & 0xFFFF), "eight bits of mantissa"
        difference = abs(near[name] - exact[name])
        assert np.all(difference <= abs(exact[name]) * 2.0**-8)
    assert any(np.any(near[name] != exact[name]) for name in floats)
    half_bits = {t.name: t.raw_data for t in half.graph.initializer if t.data_type == 16}
    name = next(name for name in floats if near[name].size > 9)
    assert half_bits[name] == (near[name].view(np.uint32) >> 16).astype(np.uint16).tobytes()


def test_what_a_half_cannot_hold_is_an_error():
    large, _ = models.with_constant()
    model = onnx.load_from_string(large)
    values = numpy_helper.to_array(model.graph.initializer[0]) * np.float32(1e6)
    model.graph.initializer[0].CopyFrom(numpy_helper.from_array(values, "c"))
    with pytest.raises(ValueError, match=r"parameter 'c' has .*, float16 ends at 65504"):
        zoo.in_half(model)
    with pytest.raises(ValueError, match="is quantised"):
        zoo.in_half(zoo.build_network("resnet50_int8", "reduced"))
    with pytest.raises(ValueError, match="control flow"):
        zoo.in_half(onnx.load_from_string(models.with_if()[0]))
