"""The neutral view of an ONNX graph that the importer and the partitioner read.

Plain data: no ONNX Runtime, no protobuf. The EP fills it from OrtGraph; `from_model` fills it from
a ModelProto (for tests and tools; this function alone needs the onnx package).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from hidet_core.ir.dtypes import bf16, f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz

OnnxShape = tuple[int | str | None, ...]


@dataclass(frozen=True, eq=False)
class OnnxValue:
    """dtype: TensorProto number (0 unknown). shape: int known, str dim_param, None unknown; None:
    unknown rank.

    data: the initializer's array, a view without a copy; is_constant: nothing can override it.
    """

    name: str
    dtype: int
    shape: OnnxShape | None
    data: np.ndarray | None = None
    is_constant: bool = False


@dataclass(frozen=True, eq=False)
class OnnxNode:
    """inputs and outputs: value names, '' where absent. attributes: bytes for strings."""

    id: int
    name: str
    op_type: str
    domain: str
    since_version: int
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Any]
    has_subgraph: bool = False


@dataclass(frozen=True, eq=False)
class OnnxGraph:
    """nodes in topological order. outer_used: values that nodes outside of the candidates use."""

    name: str
    nodes: tuple[OnnxNode, ...]
    values: Mapping[str, OnnxValue]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    opsets: Mapping[str, int]
    outer_used: frozenset[str] = field(default=frozenset())


def from_model(model: Any) -> OnnxGraph:
    """The view of an onnx.ModelProto, with shapes inferred."""
    import onnx
    from onnx import numpy_helper

    model = onnx.shape_inference.infer_shapes(model)
    graph = model.graph
    opsets = {opset.domain or "": opset.version for opset in model.opset_import}
    values: dict[str, OnnxValue] = {}
    for info in (*graph.input, *graph.value_info, *graph.output):
        values[info.name] = _typed_value(info)
    for tensor in graph.initializer:
        array = _array(numpy_helper.to_array(tensor))
        values[tensor.name] = OnnxValue(
            tensor.name, tensor.data_type, tuple(array.shape), array, is_constant=True
        )
    nodes = tuple(_node(k, node, opsets, onnx, numpy_helper) for k, node in enumerate(graph.node))
    for node in nodes:
        for name in (*node.inputs, *node.outputs):
            values.setdefault(name, OnnxValue(name, 0, None))
    initialized = {tensor.name for tensor in graph.initializer}
    inputs = tuple(info.name for info in graph.input if info.name not in initialized)
    outputs = tuple(info.name for info in graph.output)
    return OnnxGraph(graph.name, nodes, values, inputs, outputs, opsets)


_ML_DTYPES = {
    "bfloat16": bf16, "float8_e4m3fn": f8e4m3fn, "float8_e4m3fnuz": f8e4m3fnuz,
    "float8_e5m2": f8e5m2, "float8_e5m2fnuz": f8e5m2fnuz,
}  # fmt: skip


def _array(array: np.ndarray) -> np.ndarray:
    """bfloat16 and floats of 8 bits, which onnx has as dtypes of ml_dtypes, as we have them."""
    dtype = _ML_DTYPES.get(array.dtype.name)
    return array if dtype is None else array.view(f"u{dtype.bytes}").view(dtype.numpy)


def _typed_value(info: Any) -> OnnxValue:
    tensor = info.type.tensor_type
    shape = None
    if tensor.HasField("shape"):
        shape = tuple(
            dim.dim_value if dim.HasField("dim_value") else dim.dim_param or None
            for dim in tensor.shape.dim
        )
    return OnnxValue(info.name, tensor.elem_type, shape)


def _node(number: int, node: Any, opsets: Mapping[str, int], onnx: Any, helper: Any) -> OnnxNode:
    domain = "" if node.domain == "ai.onnx" else node.domain
    attributes, has_subgraph = {}, False
    for attribute in node.attribute:
        value = onnx.helper.get_attribute_value(attribute)
        if attribute.type in (onnx.AttributeProto.GRAPH, onnx.AttributeProto.GRAPHS):
            has_subgraph = True
            continue
        if attribute.type == onnx.AttributeProto.TENSOR:
            value = _array(helper.to_array(value))
        attributes[attribute.name] = value
    version = opsets.get(domain, 1)
    if onnx.defs.has(node.op_type, version, domain):
        version = onnx.defs.get_schema(node.op_type, version, domain).since_version
    inputs, outputs = tuple(node.input), tuple(node.output)
    name = node.name or f"{node.op_type}_{number}"
    return OnnxNode(
        number, name, node.op_type, domain, version, inputs, outputs, attributes, has_subgraph
    )
