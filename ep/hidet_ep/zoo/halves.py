"""A model of float32 -> the same model of float16: inputs, outputs, constants and attributes.

Operators whose bounds and scales are float32 whatever their input (Resize) are not known here; the
zoo's networks have none.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import onnx
from onnx import AttributeProto, TensorProto, numpy_helper


def to_float16(model: onnx.ModelProto) -> onnx.ModelProto:
    """A copy; weights are rounded to nearest."""
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph = half.graph
    del graph.value_info[:]
    for value in (*graph.input, *graph.output):
        tensor = value.type.tensor_type
        if tensor.elem_type == TensorProto.FLOAT:
            tensor.elem_type = TensorProto.FLOAT16
    for tensor in (*graph.initializer, *_attribute_tensors(graph.node)):
        if tensor.data_type == TensorProto.FLOAT:
            array = numpy_helper.to_array(tensor).astype(np.float16)
            tensor.CopyFrom(numpy_helper.from_array(array, tensor.name))
    for node in graph.node:
        if node.op_type == "Cast":
            for attribute in node.attribute:
                if attribute.name == "to" and attribute.i == TensorProto.FLOAT:
                    attribute.i = TensorProto.FLOAT16
    return half


def _attribute_tensors(nodes: Iterable[onnx.NodeProto]) -> list[TensorProto]:
    attributes = (attribute for node in nodes for attribute in node.attribute)
    return [attribute.t for attribute in attributes if attribute.type == AttributeProto.TENSOR]
