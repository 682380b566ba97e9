"""A float32 model -> the same network in float16, and its float32 twin to compare with.

    half, twin = in_half(model), rounded(model)

`half` has float16 inputs, outputs, parameters and activations; `twin` is `model` with every
parameter rounded to float16 and back, so that the two differ by the arithmetic alone. Inputs of the
twin should be rounded as well. Sizes are those of the zoo: activations of order one, far from
float16's limits. A model with bodies of control flow is an error: they are not looked at.
"""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import numpy_helper

SINGLE, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
LARGEST = float(np.finfo(np.float16).max)
TYPED = {"Cast": "to"}  # operators whose attribute names a data type


def in_half(model: onnx.ModelProto) -> onnx.ModelProto:
    """Raises ValueError for a parameter beyond float16's range, or a body of control flow."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    for tensor in _tensors(graph):
        _replace(tensor, _to_half)
    for value in (*graph.input, *graph.output, *graph.value_info):
        if value.type.tensor_type.elem_type == SINGLE:
            value.type.tensor_type.elem_type = HALF
    for node in graph.node:
        for attribute in node.attribute:
            if TYPED.get(node.op_type) == attribute.name and attribute.i == SINGLE:
                attribute.i = HALF
    return half


def rounded(model: onnx.ModelProto) -> onnx.ModelProto:
    """The model with the parameters of `in_half(model)`, in float32."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for tensor in _tensors(twin.graph):
        _replace(tensor, lambda name, values: _to_half(name, values).astype(np.float32))
    return twin


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Float32 tensors: initializers, and those that nodes hold as attributes."""
    held = [attribute for node in graph.node for attribute in node.attribute]
    if any(attribute.HasField("g") or attribute.graphs for attribute in held):
        raise ValueError(f"graph {graph.name!r} has control flow, whose bodies are not converted")
    tensors = [*graph.initializer, *(attribute.t for attribute in held if attribute.HasField("t"))]
    yield from (tensor for tensor in tensors if tensor.data_type == SINGLE)


def _replace(tensor: onnx.TensorProto, convert: Callable[[str, np.ndarray], np.ndarray]) -> None:
    values = convert(tensor.name, numpy_helper.to_array(tensor))
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def _to_half(name: str, values: np.ndarray) -> np.ndarray:
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)  # infinities stay what they are
    if largest > LARGEST:
        raise ValueError(f"parameter {name!r} has {largest:.3g}, float16 ends at {LARGEST:.0f}")
    return values.astype(np.float16)
