"""Seeded parameters for a network of which only the shapes are known: one walk over its nodes.

In: a graph whose float initializers have a shape; out: (name, array) of each parameter. The walk
carries an estimate of mean and variance of every value and draws the parameters of a layer so that
its output has the variance wanted there: 1 as a rule, 1/alpha in front of an LRN (else the LRN does
nothing), less on residual branches, LOGIT_STD for the last layer. No model is run.

Filters sum to zero, as after weight standardisation: the common offset that a Relu leaves in all
channels cancels, so that outputs depend on the image and not on the weights alone.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import onnx

LOGIT_STD = 1.5  # 1000 classes then have a softmax whose top is near 0.1
RESIDUAL_STD = 0.6  # of a branch that is added to another

# pooling of a Relu's output, as measured: (variance times this, mean plus std times this)
POOLED = {"MaxPool": (1.6, 1.5), "AveragePool": (0.4, 0.0), "GlobalAveragePool": (0.2, 0.0)}

# std asked of the last layer where the estimates upstream are off, so that LOGIT_STD comes out
LAST_STD = {
    "bvlc_alexnet": 3.0,
    "densenet121": 0.25,
    "inception_v1": 2.5,
    "inception_v2": 0.5,
    "squeezenet": 10.0,
    "vgg19": 4.0,
    "zfnet512": 3.0,
}

LRN_DEFAULTS = {"alpha": 1e-4, "beta": 0.75, "bias": 1.0}

Parameters = Iterator[tuple[str, np.ndarray]]


@dataclass(frozen=True)
class Moments:
    """Estimated mean and variance over a value's elements; channels: size of its second axis."""

    mean: float
    variance: float
    channels: int = 1

    @property
    def power(self) -> float:
        return self.mean**2 + self.variance


class Walk:
    """State of one walk: moments of the values seen, shapes of the parameters, who reads what."""

    def __init__(self, graph: onnx.GraphProto, last_std: float, rng: np.random.Generator) -> None:
        self.rng = rng
        self.shapes = {
            tensor.name: tuple(tensor.dims)
            for tensor in graph.initializer
            if tensor.data_type == onnx.TensorProto.FLOAT
        }
        self.views: dict[str, str] = {}
        self.moments = {value.name: Moments(0.0, 1.0, 3) for value in graph.input}
        self.readers: dict[str, list[onnx.NodeProto]] = {}
        for node in graph.node:
            for name in node.input:
                self.readers.setdefault(name, []).append(node)
        linear = [node for node in graph.node if node.op_type in ("Conv", "Gemm")]
        self.last, self.last_std = linear[-1].output[0], last_std

    def normal(self, name: str, std: float, mean: float = 0.0) -> tuple[str, np.ndarray]:
        drawn = self.rng.standard_normal(self.shapes[name], np.float32)
        drawn *= np.float32(std)
        return name, drawn + np.float32(mean) if mean else drawn

    def uniform(self, name: str, low: float, high: float) -> tuple[str, np.ndarray]:
        return name, self.rng.uniform(low, high, self.shapes[name]).astype(np.float32)

    def wanted_std(self, value: str) -> float:
        """Standard deviation that the layer which makes `value` should give it."""
        if value == self.last:
            return self.last_std
        readers = self.readers.get(value, [])
        if any(self.is_residual(node) for node in readers):
            return RESIDUAL_STD
        alpha = self.alpha_behind(value)
        return 1.0 / math.sqrt(alpha) if alpha else 1.0

    def is_residual(self, node: onnx.NodeProto) -> bool:
        """A sum of activations, not of one and its shift per channel."""
        sums = node.op_type in ("Add", "Sum")
        return sums and not any(self.parameter(name) for name in node.input)

    def alpha_behind(self, value: str) -> float | None:
        """alpha of the LRN that reads value, maybe through a Relu and pooling."""
        for node in self.readers.get(value, []):
            if node.op_type == "LRN":
                return _attribute(node, "alpha", LRN_DEFAULTS["alpha"])
            if node.op_type in ("Relu", "MaxPool"):
                return self.alpha_behind(node.output[0])
        return None

    def parameter(self, name: str) -> str | None:
        """The parameter that `name` is, or is a view of; None for an activation."""
        return self.views.get(name, name if name in self.shapes else None)


def draw_parameters(graph: onnx.GraphProto, name: str, rng: np.random.Generator) -> Parameters:
    """Every float parameter of the graph once, in the order of the nodes."""
    walk = Walk(graph, LAST_STD.get(name, LOGIT_STD), rng)
    drawn: set[str] = set()
    for node in graph.node:
        rule = RULES.get(node.op_type)
        if rule is None:
            raise ValueError(f"zoo model {name}: no rule for the parameters of a {node.op_type}")
        for key, values in rule(walk, node):
            drawn.add(key)
            yield key, values
    missing = set(walk.shapes) - drawn
    if missing:
        raise ValueError(f"zoo model {name}: parameters without a rule: {sorted(missing)[:5]}")


# ---- one rule per kind of node: yields its parameters, notes its output's moments -------------


def _linear(walk: Walk, node: onnx.NodeProto) -> Parameters:
    """Conv: weights [out, in / groups, ...]; Gemm: weights [out, in] (transB)."""
    data, std = walk.moments[node.input[0]], walk.wanted_std(node.output[0])
    weights = walk.parameter(node.input[1])
    yield weights, _filters(walk, weights, std, data)
    if len(node.input) > 2:
        yield walk.normal(node.input[2], 0.1 * std)
    channels = _filter_shape(walk.shapes[weights])[0]
    walk.moments[node.output[0]] = Moments(0.0, std**2, channels)


def _filters(walk: Walk, name: str, std: float, data: Moments) -> np.ndarray:
    stored = walk.shapes[name]
    shape = _filter_shape(stored)
    weights = walk.rng.standard_normal(shape, np.float32)
    centred = shape[1] > 1  # a depthwise filter keeps its offset: its channel has nothing else
    if centred:
        weights -= weights.mean(axis=tuple(range(1, len(shape))), keepdims=True)
    power = data.variance if centred else data.power
    weights *= np.float32(std / math.sqrt(math.prod(shape[1:]) * power))
    return weights.reshape(stored)


def _filter_shape(stored: tuple[int, ...]) -> tuple[int, ...]:
    """[out, in, ...]; inception_v1 stores the weights of its Gemm as [1, 1, out, in]."""
    while stored[0] == 1:
        stored = stored[1:]
    return stored


def _batch_norm(walk: Walk, node: onnx.NodeProto) -> Parameters:
    data, std = walk.moments[node.input[0]], walk.wanted_std(node.output[0])
    scale, bias, mean, variance = node.input[1:5]
    yield walk.uniform(scale, 0.7 * std, 1.3 * std)
    yield walk.normal(bias, 0.2 * std)
    yield walk.normal(mean, 0.1 * math.sqrt(data.variance), data.mean)
    yield walk.uniform(variance, 0.7 * data.variance, 1.3 * data.variance)
    walk.moments[node.output[0]] = Moments(0.0, std**2, data.channels)


def _sum(walk: Walk, node: onnx.NodeProto) -> Parameters:
    """Add, Sum: of activations, or of one activation and a shift per channel."""
    parts = []
    for name in node.input:
        shift = walk.parameter(name)
        if shift is None:
            parts.append(walk.moments[name])
        else:
            yield walk.normal(shift, 0.2)
    mean, variance = (sum(getattr(p, key) for p in parts) for key in ("mean", "variance"))
    walk.moments[node.output[0]] = Moments(mean, variance, parts[0].channels)


def _scale(walk: Walk, node: onnx.NodeProto) -> Parameters:
    data, scale = walk.moments[node.input[0]], walk.parameter(node.input[1])
    yield walk.uniform(scale, 0.7, 1.3)
    walk.moments[node.output[0]] = data


def _relu(walk: Walk, node: onnx.NodeProto) -> Parameters:
    """Moments of max(x, 0) for a normal x."""
    data = walk.moments[node.input[0]]
    std = math.sqrt(data.variance)
    at = data.mean / std
    density = math.exp(-at * at / 2) / math.sqrt(2 * math.pi)
    above = (1 + math.erf(at / math.sqrt(2))) / 2
    mean = data.mean * above + std * density
    power = data.power * above + data.mean * std * density
    walk.moments[node.output[0]] = Moments(mean, power - mean**2, data.channels)
    yield from ()


def _pool(walk: Walk, node: onnx.NodeProto) -> Parameters:
    data = walk.moments[node.input[0]]
    shrink, rise = POOLED[node.op_type]
    mean = data.mean + rise * math.sqrt(data.variance)
    walk.moments[node.output[0]] = Moments(mean, data.variance * shrink, data.channels)
    yield from ()


def _lrn(walk: Walk, node: onnx.NodeProto) -> Parameters:
    data = walk.moments[node.input[0]]
    alpha, beta, bias = (_attribute(node, k, v) for k, v in LRN_DEFAULTS.items())
    factor = (bias + alpha * data.power) ** -beta
    moments = Moments(data.mean * factor, data.variance * factor**2, data.channels)
    walk.moments[node.output[0]] = moments
    yield from ()


def _concat(walk: Walk, node: onnx.NodeProto) -> Parameters:
    parts = [walk.moments[name] for name in node.input]
    channels = sum(p.channels for p in parts)
    mean = sum(p.mean * p.channels for p in parts) / channels
    power = sum(p.power * p.channels for p in parts) / channels
    walk.moments[node.output[0]] = Moments(mean, power - mean**2, channels)
    yield from ()


def _same(walk: Walk, node: onnx.NodeProto) -> Parameters:
    """A view or a copy: of a parameter it stays one, drawn where it is used."""
    viewed = walk.parameter(node.input[0])
    if viewed is None:
        walk.moments[node.output[0]] = walk.moments[node.input[0]]
    else:
        walk.views[node.output[0]] = viewed
    yield from ()


def _attribute(node: onnx.NodeProto, name: str, default: float) -> float:
    return next((a.f for a in node.attribute if a.name == name), default)


RULES: dict[str, Callable[[Walk, onnx.NodeProto], Parameters]] = {
    "Conv": _linear,
    "Gemm": _linear,
    "BatchNormalization": _batch_norm,
    "Add": _sum,
    "Sum": _sum,
    "Mul": _scale,
    "Relu": _relu,
    "MaxPool": _pool,
    "AveragePool": _pool,
    "GlobalAveragePool": _pool,
    "LRN": _lrn,
    "Concat": _concat,
    "Dropout": _same,
    "Reshape": _same,
    "Transpose": _same,
    "Unsqueeze": _same,
    "Softmax": _same,
}
