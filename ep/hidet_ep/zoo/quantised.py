"""A float32 network of images -> the same network in 8 bits, as static quantisers write it (QDQ).

    model = in_int8(resnet50_v1_5())        apart = cut(model)

before:  y = Relu(Conv(x, w, b))
after:   y = Relu(Conv(D(Q(x)), D(w'), D(b')))      read by others as D(Q(y))

Q is QuantizeLinear, D DequantizeLinear. Weights are i8 with one scale for each output channel,
biases i32 with the scale of the product, activations u8 over the range of values that seeded images
give on ONNX Runtime's CPU provider (so the scales, alone of all numbers of the zoo, depend on how
the machine rounds). What a Relu or Clip reads is not quantised; pools and views keep the scale of
what they read.

`cut` takes a quantised network apart: each integer tensor is an output, and what reads it reads an
input of the model instead. Fed with the integers of another run, all layers can be compared one by
one, without the differences that add up on the way.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import onnx
import onnxruntime as ort
from onnx import helper, numpy_helper

from hidet_ep.zoo.samples import inputs

OPSET = 17
PRODUCTS = ("Conv", "Gemm", "MatMul")
BETWEEN = ("Relu", "Clip")  # part of the layer before them
KEEPS = ("MaxPool", "Flatten", "Reshape")  # values of the input, and no others
QUANTISED = (*PRODUCTS, *KEEPS, "Add", "Concat", "AveragePool", "GlobalAveragePool")
LARGEST = 127  # of weights: both signs are alike
GIVEN = "_given"
SIZES = {"H": 64, "W": 64}  # of symbolic images that give the ranges


def in_int8(model: onnx.ModelProto, seed: int = 0, images: int = 2) -> onnx.ModelProto:
    """images: how many runs give the ranges."""
    return _Quantiser(model, _ranges(model, seed, images)).model()


def _ranges(model: onnx.ModelProto, seed: int, images: int) -> dict[str, tuple[float, float]]:
    """Least and greatest value, and 0, of each activation."""
    shown = onnx.ModelProto()
    shown.CopyFrom(model)
    names = [name for node in model.graph.node for name in node.output]
    del shown.graph.output[:]
    shown.graph.output.extend(onnx.ValueInfoProto(name=name) for name in names)
    options = ort.SessionOptions()
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    session = ort.InferenceSession(
        shown.SerializeToString(), options, providers=["CPUExecutionProvider"]
    )
    found: dict[str, tuple[float, float]] = {}
    for image in range(images):
        feeds = inputs(model, seed + image, SIZES)
        arrays = dict(zip(names, session.run(None, feeds), strict=True)) | feeds
        for name, array in arrays.items():
            low, high = found.get(name, (0.0, 0.0))
            if array.dtype == np.float32 and array.size:
                found[name] = min(low, float(array.min())), max(high, float(array.max()))
    return found


class _Quantiser:
    """Writes the nodes of a model anew; `real` is what stands for a value where it is read."""

    def __init__(self, model: onnx.ModelProto, ranges: Mapping[str, tuple[float, float]]) -> None:
        self.source, self.ranges = model, ranges
        tensors = model.graph.initializer
        self.given = {tensor.name: numpy_helper.to_array(tensor) for tensor in tensors}
        self.nodes: list[onnx.NodeProto] = []
        self.constants: dict[str, np.ndarray] = {}
        self.real: dict[str, str] = {}
        self.steps: dict[str, tuple[str, str]] = {}  # names of scale and zero point, by value
        readers: dict[str, list[str]] = {}
        for node in model.graph.node:
            for name in node.input:
                readers.setdefault(name, []).append(node.op_type)
        self.readers = readers

    def model(self) -> onnx.ModelProto:
        graph = self.source.graph
        for value in graph.input:
            self.quantise(value.name)
        for node in graph.node:
            self.node(node)
        used = {name for node in self.nodes for name in node.input}
        kept = [t for t in graph.initializer if t.name in used]
        kept += [numpy_helper.from_array(array, key) for key, array in self.constants.items()]
        made = helper.make_graph(self.nodes, f"{graph.name}_int8", graph.input, graph.output, kept)
        opset = helper.make_opsetid("", OPSET)
        return helper.make_model(made, opset_imports=[opset], ir_version=self.source.ir_version)

    def node(self, node: onnx.NodeProto) -> None:
        new = onnx.NodeProto()
        new.CopyFrom(node)
        names = [self.real.get(name, name) for name in node.input]
        if node.op_type in PRODUCTS and node.input[1] in self.given:
            names[1:] = self.parameters(node)
        new.ClearField("input")
        new.input.extend(names)
        self.nodes.append(new)
        is_last = all(op in BETWEEN for op in self.readers.get(node.output[0], ["Relu"]))
        if node.op_type in (*QUANTISED, *BETWEEN) and not is_last:
            keeps = node.op_type in KEEPS
            self.quantise(node.output[0], self.steps.get(node.input[0]) if keeps else None)

    def constant(self, name: str, array: np.ndarray) -> str:
        self.constants[name] = array
        return name

    def quantise(self, value: str, steps: tuple[str, str] | None = None) -> None:
        """Q and D of a value; steps: of the value that it has its numbers from."""
        low, high = self.ranges[value]
        if steps is None:
            scale = np.float32(max(high - low, 1e-6) / 255)
            zero = np.uint8(np.clip(np.rint(-low / scale), 0, 255))
            steps = (
                self.constant(f"{value}_scale", np.asarray(scale)),
                self.constant(f"{value}_zero", np.asarray(zero)),
            )
        self.steps[value], self.real[value] = steps, f"{value}_real"
        whole = f"{value}_whole"
        self.nodes += [
            helper.make_node("QuantizeLinear", [value, *steps], [whole], name=f"{value}_q"),
            helper.make_node("DequantizeLinear", [whole, *steps], [f"{value}_real"],
                             name=f"{value}_d"),
        ]  # fmt: skip

    def parameters(self, node: onnx.NodeProto) -> Iterator[str]:
        """The names of the weights of a layer, and of its bias where it has one."""
        weights = self.given[node.input[1]]
        turned = any(a.name == "transB" and a.i for a in node.attribute)
        axis = 0 if node.op_type == "Conv" or turned else weights.ndim - 1
        others = tuple(k for k in range(weights.ndim) if k != axis)
        scale = np.maximum(np.abs(weights).max(axis=others), 1e-8).astype(np.float32) / LARGEST
        shape = [-1 if k == axis else 1 for k in range(weights.ndim)]
        whole = np.rint(weights / scale.reshape(shape)).astype(np.int8)
        yield self.dequantised(node.input[1], whole, scale, axis)
        if len(node.input) > 2:
            bias = self.given[node.input[2]]
            step = scale * self.constants[self.steps[node.input[0]][0]]
            yield self.dequantised(node.input[2], np.rint(bias / step).astype(np.int32), step, 0)

    def dequantised(self, name: str, whole: np.ndarray, scale: np.ndarray, axis: int) -> str:
        parts = (
            self.constant(f"{name}_whole", whole),
            self.constant(f"{name}_scale", scale),
            self.constant(f"{name}_zero", np.zeros(scale.shape, whole.dtype)),
        )
        self.nodes.append(
            helper.make_node(
                "DequantizeLinear", parts, [f"{name}_real"], name=f"{name}_d", axis=axis
            )
        )
        return f"{name}_real"


def cut(model: onnx.ModelProto) -> onnx.ModelProto:
    """Inputs: those of the model, and NAME_given for each integer tensor NAME, which are the
    outputs.
    """
    apart = onnx.ModelProto()
    apart.CopyFrom(model)
    graph = apart.graph
    whole = [n.output[0] for n in graph.node if n.op_type == "QuantizeLinear"]
    known = onnx.shape_inference.infer_shapes(model).graph.value_info
    types = {value.name: value.type for value in known}
    for node in graph.node:
        for place, name in enumerate(node.input):
            if name in whole:
                node.input[place] = name + GIVEN
    graph.input.extend(helper.make_value_info(name + GIVEN, types[name]) for name in whole)
    del graph.output[:]
    graph.output.extend(helper.make_value_info(name, types[name]) for name in whole)
    return apart
