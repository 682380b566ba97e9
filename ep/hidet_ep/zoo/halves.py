"""A float32 model -> the same network in halves, and its float32 twin to compare with.

    half, twin = in_half(model), rounded(model)                              float16
    half, twin = in_half(model, "bfloat16"), rounded(model, "bfloat16")

`half` has float16 inputs, outputs, parameters and activations; `twin` is `model` with every
parameter rounded to float16 and back, so that the two differ by the arithmetic alone. Inputs of the
twin should be rounded as well. Sizes are those of the zoo: activations of order one, far from
float16's limits. A model in bfloat16 keeps its inputs and outputs of float32, with Casts, because
NumPy has no such type. A model with bodies of control flow is an error: they are not looked at.
"""

from collections.abc import Callable, Iterator

import numpy as np
import onnx
from onnx import numpy_helper

SINGLE, HALF = onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16
BRAIN = onnx.TensorProto.BFLOAT16
LARGEST = float(np.finfo(np.float16).max)
# operators of the zoo whose bfloat16 came with opset 22
BRAIN_SINCE_22 = frozenset("Conv ConvTranspose GlobalAveragePool AveragePool MaxPool LSTM".split())
MOST = np.finfo(np.float32).max  # masks have the lowest float, which becomes the lowest half
TYPED = {"Cast": "to"}  # operators whose attribute names a data type


def in_half(model: onnx.ModelProto, dtype: str = "float16") -> onnx.ModelProto:
    """Raises ValueError for a parameter beyond float16's range, a body of control flow, a network
    in 8 bits, or an operator that has no bfloat16 in the model's opset.
    """
    if any(node.op_type == "QuantizeLinear" for node in model.graph.node):
        raise ValueError(f"graph {model.graph.name!r} is quantised: its scales stay float32")
    half = onnx.ModelProto()
    half.CopyFrom(model)
    graph, kind = half.graph, HALF if dtype == "float16" else BRAIN
    for tensor in _tensors(graph):
        _replace(tensor, _to_half if kind == HALF else _to_brain)
    for value in graph.value_info:
        _retype(value, kind)
    for node in graph.node:
        for attribute in node.attribute:
            if TYPED.get(node.op_type) == attribute.name and attribute.i == SINGLE:
                attribute.i = kind
    if kind == HALF:
        for value in (*graph.input, *graph.output):
            _retype(value, kind)
    else:
        _check_opset(half)
        _cast_border(graph)
    return half


def rounded(model: onnx.ModelProto, dtype: str = "float16") -> onnx.ModelProto:
    """The model with the parameters of `in_half(model, dtype)`, in float32."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    for tensor in _tensors(twin.graph):
        values = numpy_helper.to_array(tensor)
        if dtype == "float16":
            values = _to_half(tensor.name, values).astype(np.float32)
        else:
            values = (_brain_bits(values).astype(np.uint32) << 16).view(np.float32)
        tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))
    return twin


def _retype(value: onnx.ValueInfoProto, kind: int) -> None:
    if value.type.tensor_type.elem_type == SINGLE:
        value.type.tensor_type.elem_type = kind


def _check_opset(model: onnx.ModelProto) -> None:
    (opset,) = (entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx"))
    late = sorted({node.op_type for node in model.graph.node} & BRAIN_SINCE_22)
    if opset < 22 and late:
        raise ValueError(f"{', '.join(late)} has no bfloat16 before opset 22, this is {opset}")


def _cast_border(graph: onnx.GraphProto) -> None:
    """Inputs and outputs stay float32: x -> Cast -> x', and y' -> Cast -> y."""
    inner = {v.name: f"{v.name}_brain" for v in (*graph.input, *graph.output) if _is_single(v)}
    for node in graph.node:
        for names in (node.input, node.output):
            for place, name in enumerate(names):
                names[place] = inner.get(name, name)
    casts = {True: [], False: []}
    for is_input, values in ((True, graph.input), (False, graph.output)):
        for name in (v.name for v in values if v.name in inner):
            pair = (name, inner[name]) if is_input else (inner[name], name)
            to = BRAIN if is_input else SINGLE
            made = onnx.helper.make_node("Cast", [pair[0]], [pair[1]], f"border_{name}", to=to)
            casts[is_input].append(made)
    nodes = [*casts[True], *graph.node, *casts[False]]
    del graph.node[:]
    graph.node.extend(nodes)


def _is_single(value: onnx.ValueInfoProto) -> bool:
    return value.type.tensor_type.elem_type == SINGLE


def _tensors(graph: onnx.GraphProto) -> Iterator[onnx.TensorProto]:
    """Float32 tensors: initializers, and those that nodes hold as attributes."""
    held = [attribute for node in graph.node for attribute in node.attribute]
    if any(attribute.HasField("g") or attribute.graphs for attribute in held):
        raise ValueError(f"graph {graph.name!r} has control flow, whose bodies are not converted")
    tensors = [*graph.initializer, *(attribute.t for attribute in held if attribute.HasField("t"))]
    yield from (tensor for tensor in tensors if tensor.data_type == SINGLE)


def _replace(tensor: onnx.TensorProto, convert: Callable[[str, np.ndarray], np.ndarray]) -> None:
    values = convert(tensor.name, numpy_helper.to_array(tensor))
    if values.dtype == np.uint16:
        made = onnx.helper.make_tensor(tensor.name, BRAIN, values.shape, values.tobytes(), raw=True)
    else:
        made = numpy_helper.from_array(values, tensor.name)
    tensor.CopyFrom(made)


def _to_brain(_: str, values: np.ndarray) -> np.ndarray:
    return _brain_bits(values)


def _brain_bits(values: np.ndarray) -> np.ndarray:
    """bfloat16 as uint16: rounded to nearest, ties to even; finite numbers stay finite."""
    largest = np.array(0x7F7F0000, np.uint32).view(np.float32)
    inside = np.where(np.isfinite(values), np.clip(values, -largest, largest), values)
    bits = np.asarray(inside, np.float32, order="C").view(np.uint32)
    return ((bits + np.uint32(0x7FFF) + (bits >> 16 & 1)) >> 16).astype(np.uint16)


def _to_half(name: str, values: np.ndarray) -> np.ndarray:
    values = np.where(np.abs(values) == MOST, np.copysign(np.float32(LARGEST), values), values)
    largest = np.abs(values[np.isfinite(values)]).max(initial=0.0)  # infinities stay what they are
    if largest > LARGEST:
        raise ValueError(f"parameter {name!r} has {largest:.3g}, float16 ends at {LARGEST:.0f}")
    return values.astype(np.float16)
