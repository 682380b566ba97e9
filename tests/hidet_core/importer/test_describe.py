"""What the importer says of itself."""

from onnx import TensorProto
from onnx import helper as onnx_helper

from hidet_core.importer import (
    describe,
    describe_operators,
    explain_graph,
    from_model,
    registry,
)
from hidet_core.importer.registry import MICROSOFT

by_name = {(one.domain, one.op_type): one for one in describe_operators()}


def test_every_importable_operator_is_described_once():
    assert set(by_name) == set(registry.HANDLERS)
    assert len(describe_operators()) == len(by_name)


def test_opsets_and_types():
    assert by_name["", "Clip"].since[:2] == (1, 11)
    assert {"f16", "bf16", "f32", "f64", "i8", "u64"} <= set(by_name["", "Clip"].types)
    assert by_name["", "And"].types == ("bool",)
    assert by_name[MICROSOFT, "BiasGelu"].types == ()


def helper(ctx):
    ctx.fail(f"mode {ctx.attr('mode')!r} {ctx.version} of {ctx.node} is odd")
    ctx.builder.constant(1, "a value of ours")


def handler(ctx):
    steps = [helper, len]
    ctx.fail("too late")
    ctx.ints(1, "pads")
    return steps


def unused(ctx):
    ctx.fail("never reached")


def test_refusals_are_those_of_the_function_and_of_what_it_uses(monkeypatch):
    monkeypatch.setattr(describe, "PACKAGE", __name__)
    handlers = {("", "Odd"): {1: lambda ctx: handler(ctx), 7: unused}}
    monkeypatch.setattr(describe, "HANDLERS", handlers)
    (one,) = describe_operators()
    assert (one.op_type, one.since) == ("Odd", (1, 7))
    assert one.refused == (
        "too late",
        "pads not known at compile time, or symbolic",
        "mode ... of ... is odd",
        "never reached",
    )


def test_a_refusal_of_the_importer_is_in_its_description():
    """The description promises what the importer then says."""
    shape = onnx_helper.make_tensor_value_info("shape", TensorProto.INT64, [2])
    y = onnx_helper.make_tensor_value_info("y", TensorProto.FLOAT, [None, None])
    node = onnx_helper.make_node("ConstantOfShape", ["shape"], ["y"])
    graph = from_model(onnx_helper.make_model(onnx_helper.make_graph([node], "g", [shape], [y])))
    assert explain_graph(graph) == {0: "shape (input 0) is not known at compile time"}
    assert "shape not known at compile time" in by_name["", "ConstantOfShape"].refused
