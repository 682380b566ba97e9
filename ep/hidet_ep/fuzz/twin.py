"""The model in double precision, for what its exact results are and how far rounding may move them.

In: a model whose values all have an element type in value_info. Out: the same graph on doubles
(operators for which the CPU provider has no double kernel run between casts). With noise, each
result of an inexact node is multiplied by 1 + r, |r| <= a few ulp of the type that the original
computes in, and so is each operand of a node that accumulates. How far the outputs then move is
what rounding may do to them: conditioning, depth and cancellation are in it without any rule.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field

import numpy as np
import onnx
import onnxruntime as ort
from onnx import NodeProto, TensorProto, helper, numpy_helper

from .dtypes import BY_ONNX, KINDS, is_float, is_half

DOUBLE, SINGLE = TensorProto.DOUBLE, TensorProto.FLOAT
EXACT = frozenset(
    "Transpose Identity Dropout Flatten Reshape Squeeze Unsqueeze Concat Split Slice Pad Tile "
    "Expand Constant ConstantOfShape DepthToSpace SpaceToDepth Trilu Gather GatherElements "
    "GatherND OneHot Neg Abs Sign Relu Max Min Floor Ceil Round Clip Where ReduceMax ReduceMin "
    "MaxPool GlobalMaxPool Hardmax ThresholdedRelu Range TopK Compress "
    "ReverseSequence EyeLike Scatter".split()
)  # fmt: skip
ACCUMULATE = frozenset(
    "MatMul Gemm FusedMatMul FusedConv Einsum Conv ConvTranspose AveragePool GlobalAveragePool "
    "GlobalLpPool LpPool LRN ReduceSum ReduceMean ReduceL1 ReduceL2 ReduceSumSquare ReduceLogSum "
    "ReduceLogSumExp ReduceProd LayerNormalization RMSNormalization SimplifiedLayerNormalization "
    "SkipLayerNormalization SkipSimplifiedLayerNormalization InstanceNormalization "
    "GroupNormalization MeanVarianceNormalization LpNormalization BatchNormalization Sum Mean "
    "CumSum Softmax LogSoftmax Resize GridSample Attention MultiHeadAttention RNN GRU LSTM "
    "GroupQueryAttention RotaryEmbedding Upsample AffineGrid NhwcConv "
    "ScatterElements ScatterND QuantizeLinear DynamicQuantizeLinear QLinearMatMul QLinearConv "
    "ConvTranspose QLinearAdd "
    "QLinearMul QLinearSigmoid QLinearLeakyRelu QLinearConcat QLinearGlobalAveragePool".split()
)
# approximations whose error is absolute where the result is small
ABSOLUTE = frozenset(
    "Erf Gelu FastGelu BiasGelu QuickGelu Tanh Sigmoid Sin Cos Tan Softmax LogSoftmax Elu Selu "
    "Celu Mish Swish Softplus Log Exp HardSwish Asin Acos Atan Sinh Asinh Acosh Atanh Pow Mod "
    "Attention RNN GRU LSTM".split()
)
PARAMETERS_BEHIND = ("Resize", "Upsample")  # floats behind their first input decide shapes
ULPS = {"f32": 8.0, "f64": 64.0, "f16": 2.0, "bf16": 2.0}
WINOGRAD_ULPS = 80.0
NO_KERNEL = re.compile(
    r"implementation for (\w+)\(|operator \((\w+)\) in node|(\w+) operator does not"
)
MOST_SINGLE = 40

# run in float32: scales that are of that type; functions whose bodies lack kernels
_single: set[str] = set(
    "Resize Upsample Gelu Mish HardSwish Celu Swish MeanVarianceNormalization RNN GRU LSTM".split()
)


@dataclass
class _Twin:
    """types: of every value of the model. noise: seed of the random factors, None for none."""

    model: onnx.ModelProto
    types: dict[str, str]
    noise: int | None
    nodes: list[NodeProto] = field(default_factory=list)
    count: int = 0

    def build(self) -> onnx.ModelProto:
        graph = self.model.graph
        infos = [*graph.input, *graph.output, *graph.value_info]
        self.ranks = {info.name: len(info.type.tensor_type.shape.dim) for info in infos}
        self.ranks |= {tensor.name: len(tensor.dims) for tensor in graph.initializer}
        for node in graph.node:
            self.add(node)
        twin = onnx.ModelProto()
        twin.CopyFrom(self.model)
        for field_name in ("node", "initializer", "input", "output", "value_info"):
            del getattr(twin.graph, field_name)[:]
        twin.graph.node.extend(self.nodes)
        twin.graph.initializer.extend(_widened(tensor) for tensor in graph.initializer)
        twin.graph.input.extend(_as_double(info) for info in graph.input)
        twin.graph.output.extend(_as_double(info) for info in graph.output)
        return twin

    def add(self, node: NodeProto) -> None:
        """The node on doubles, in float32 between casts where there is no kernel."""
        copy = NodeProto()
        copy.CopyFrom(node)
        if node.op_type in ("Cast", "CastLike"):
            self._add_cast(node)
            return
        if self.noise is not None and node.op_type in ACCUMULATE:
            unit = max(KINDS["f32"].unit * ULPS["f32"], 0.0)
            if "f64" in {self.types.get(name, "") for name in node.input}:
                unit = KINDS["f64"].unit * ULPS["f64"]
            unit = self._wide_unit(node, unit)
            count = 1 if node.op_type in PARAMETERS_BEHIND else len(node.input)
            copy.input[:count] = [self._noisy(name, unit) for name in node.input[:count]]
        results = [name for name in node.output if is_float(self.types.get(name, ""))]
        alone = node.op_type in _single or node.op_type in (
            "Constant",
            "ConstantOfShape",
            "EyeLike",
        )
        if alone:
            copy.input[:] = [self._cast(name, SINGLE) for name in copy.input]
        renamed = {name: self._fresh(name) for name in results} if alone else {}
        noisy = self.noise is not None and node.op_type not in EXACT
        ends = {name: self._fresh(name) for name in results} if noisy else {}
        copy.output[:] = [renamed.get(name, ends.get(name, name)) for name in node.output]
        is_norm = copy.op_type == "InstanceNormalization"
        self.nodes.extend(self._instance_norm(copy) if is_norm else [copy])
        for name, inner in renamed.items():
            cast = helper.make_node("Cast", [inner], [ends.get(name, name)], to=DOUBLE)
            self.nodes.append(cast)
        for name, inner in ends.items():
            self._scatter(inner, name, self.types[name], node.op_type in ABSOLUTE)

    def _instance_norm(self, node: NodeProto) -> list[NodeProto]:
        """In primitives: the kernel of the provider is of float32, and cancels."""
        x, scale, bias = node.input
        rank = self.ranks[x.partition("~")[0]]
        eps = next((a.f for a in node.attribute if a.name == "epsilon"), 1e-5)
        names = {
            key: self._fresh(key) for key in ("m", "d", "q", "v", "e", "r", "n", "s", "b", "p")
        }
        axes, column = list(range(2, rank)), [-1, *[1] * (rank - 2)]
        shape = self._constant(np.array(column, np.int64))
        attrs, more = {"axes": axes}, []
        if next(o.version for o in self.model.opset_import if not o.domain) >= 18:
            attrs, more = {}, [self._constant(np.array(axes, np.int64))]
        rows = (
            ("ReduceMean", [x, *more], names["m"], attrs),
            ("Sub", [x, names["m"]], names["d"], {}),
            ("Mul", [names["d"], names["d"]], names["q"], {}),
            ("ReduceMean", [names["q"], *more], names["v"], attrs),
            ("Add", [names["v"], self._number(eps)], names["e"], {}),
            ("Sqrt", [names["e"]], names["r"], {}),
            ("Div", [names["d"], names["r"]], names["n"], {}),
            ("Reshape", [scale, shape], names["s"], {}),
            ("Reshape", [bias, shape], names["b"], {}),
            ("Mul", [names["n"], names["s"]], names["p"], {}),
            ("Add", [names["p"], names["b"]], node.output[0], {}),
        )
        return [helper.make_node(op, ins, [out], **more) for op, ins, out, more in rows]

    def _wide_unit(self, node: NodeProto, unit: float) -> float:
        is_square = any(a.name == "kernel_shape" and list(a.ints) == [3, 3] for a in node.attribute)
        return unit * WINOGRAD_ULPS / ULPS["f32"] if node.op_type == "Conv" or is_square else unit

    def _add_cast(self, node: NodeProto) -> None:
        to = self.types[node.output[0]]
        source = node.input[0]
        if not is_float(to):
            self.nodes.append(helper.make_node("Cast", [source], node.output, to=KINDS[to].onnx))
            return
        rounded, end = self._fresh(source), node.output[0]
        noisy = self.noise is not None and is_half(to)
        inner = self._fresh(end) if noisy else end
        self.nodes.append(helper.make_node("Cast", [source], [rounded], to=KINDS[to].onnx))
        self.nodes.append(helper.make_node("Cast", [rounded], [inner], to=DOUBLE))
        if noisy:
            self._scatter(inner, end, to, absolute=False)

    def _cast(self, name: str, to: int) -> str:
        if not is_float(self.types.get(name.partition("~")[0], "")):
            return name
        made = self._fresh(name)
        self.nodes.append(helper.make_node("Cast", [name], [made], to=to))
        return made

    def _noisy(self, name: str, unit: float) -> str:
        if not is_float(self.types.get(name, "")):
            return name
        made = self._fresh(name)
        self._times(name, made, unit)
        return made

    def _scatter(self, inner: str, end: str, dtype: str, absolute: bool) -> None:
        unit = KINDS[dtype].unit * ULPS[dtype]
        if not absolute:
            self._times(inner, end, unit)
            return
        middle, shift = self._fresh(end), self._fresh(end)
        self._times(inner, middle, unit)
        self._random(inner, shift, -unit, unit)
        self.nodes.append(helper.make_node("Add", [middle, shift], [end]))

    def _times(self, inner: str, end: str, unit: float) -> None:
        factor = self._fresh(end)
        self._random(inner, factor, 1.0 - unit, 1.0 + unit)
        self.nodes.append(helper.make_node("Mul", [inner, factor], [end]))

    def _random(self, like: str, name: str, low: float, high: float) -> None:
        """Numbers that look random, from values and places: sin(w tanh(x / 1000) + place + phase).

        (The CPU provider lacks RandomUniformLike at new opset versions.)
        """
        phase = float(np.random.RandomState([self.noise or 0, self.count]).uniform(0, 6.28))
        middle, reach = (low + high) / 2, (high - low) / 2
        steps = (("Mul", 1e-3), ("Tanh", None), ("Mul", 1.7e9), ("Add", phase), ("Sin", None),
                 ("Mul", reach), ("Add", middle))  # fmt: skip
        at, place = like, self._place(like)
        for step, (op, number) in enumerate(steps):
            end = name if step == len(steps) - 1 else self._fresh(name)
            inputs = [at] if number is None else [at, self._number(number)]
            if op == "Sin" and place:
                moved = self._fresh(name)
                self.nodes.append(helper.make_node("Add", [at, place], [moved]))
                inputs = [moved]
            self.nodes.append(helper.make_node(op, inputs, [end]))
            at = end

    def _place(self, like: str) -> str:
        """Numbers that differ from element to element of a tensor; "" where CumSum is missing."""
        rank = self.ranks.get(like.partition("~")[0], 0)
        opset = next(o.version for o in self.model.opset_import if not o.domain)
        if not rank or opset < 11:
            return ""
        shape, ones = self._fresh("place"), self._fresh("place")
        value = numpy_helper.from_array(np.ones(1, np.float64))
        self.nodes.append(helper.make_node("Shape", [like], [shape]))
        self.nodes.append(helper.make_node("ConstantOfShape", [shape], [ones], value=value))
        total = ""
        for axis in range(rank):
            count, part = self._fresh("place"), self._fresh("place")
            at = self._constant(np.array(axis, np.int64))
            self.nodes.append(helper.make_node("CumSum", [ones, at], [count]))
            factor = self._number(37.7 + 11.3 * axis)
            self.nodes.append(helper.make_node("Mul", [count, factor], [part]))
            added = self._fresh("place") if total else part
            if total:
                self.nodes.append(helper.make_node("Add", [total, part], [added]))
            total = added
        return total

    def _number(self, number: float) -> str:
        return self._constant(np.array(number, np.float64))

    def _constant(self, array: np.ndarray) -> str:
        name = self._fresh("k")
        value = numpy_helper.from_array(array, name)
        self.nodes.append(helper.make_node("Constant", [], [name], value=value))
        return name

    def _fresh(self, name: str) -> str:
        self.count += 1
        return f"{name.partition('~')[0]}~{self.count}"


def _widened(tensor: TensorProto) -> TensorProto:
    name = BY_ONNX.get(tensor.data_type, "")
    if not is_float(name):
        return tensor
    array = np.asarray(numpy_helper.to_array(tensor)).astype(np.float64)
    return numpy_helper.from_array(array, tensor.name)


def _as_double(info: onnx.ValueInfoProto) -> onnx.ValueInfoProto:
    copy = onnx.ValueInfoProto()
    copy.CopyFrom(info)
    if is_float(BY_ONNX.get(info.type.tensor_type.elem_type, "")):
        copy.type.tensor_type.elem_type = DOUBLE
    return copy


def value_types(model: onnx.ModelProto) -> dict[str, str]:
    """Short type name of every value whose type the model tells."""
    graph = model.graph
    infos = [*graph.input, *graph.output, *graph.value_info]
    found = {info.name: BY_ONNX.get(info.type.tensor_type.elem_type, "") for info in infos}
    return found | {t.name: BY_ONNX.get(t.data_type, "") for t in graph.initializer}


def run_twin(
    model: onnx.ModelProto, feeds: Sequence[dict[str, np.ndarray]], noise: int | None = None
) -> list[list[np.ndarray]] | None:
    """The outputs for each of the feeds; None where the CPU provider cannot run the twin."""
    types = value_types(model)
    for _ in range(MOST_SINGLE):
        twin = _Twin(model, types, noise).build()
        try:
            session = plain_session(twin)
            return [session.run(None, _wide_feeds(feed)) for feed in feeds]
        except Exception as error:  # ONNX Runtime's own classes; which one differs by cause
            found = NO_KERNEL.search(str(error))
            op = next((name for name in found.groups() if name), "") if found else ""
            if not op or op in _single:
                return None
            _single.add(op)
    return None


def _wide_feeds(feeds: dict[str, np.ndarray]) -> dict[str, np.ndarray]:
    return {
        name: array.astype(np.float64) if array.dtype.kind == "f" else array
        for name, array in feeds.items()
    }


def plain_session(model: onnx.ModelProto) -> ort.InferenceSession:
    """On the CPU provider alone, without ONNX Runtime's rewrites."""
    options = ort.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 4
    options.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    text = model.SerializeToString()
    return ort.InferenceSession(text, options, providers=["CPUExecutionProvider"])
