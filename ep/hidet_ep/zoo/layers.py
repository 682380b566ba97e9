"""Layers of transformers in the spellings of torch's exporters: what the builders of ViT, Swin,
ConvNeXt, T5 and Whisper share.

Sizes that are symbols are computed in the graph, as an exporter does: Shape, Gather, Unsqueeze,
Concat.
"""

from __future__ import annotations

import math

import numpy as np

from hidet_ep.zoo.nodes import Nodes, Size

Part = int | str  # of a shape: a number, or the name of a value [1]


def dim(n: Nodes, like: str, axis: int, size: Size) -> Part:
    """The size of an axis of the value `like`: itself if it is a number, else computed."""
    if isinstance(size, int):
        return size
    found = n.op("Gather", n.op("Shape", like), n.const(np.int64(axis), "axis"), axis=0)
    return n.op("Unsqueeze", found, n.ints(0))


def target(n: Nodes, *parts: Part) -> str:
    """A shape: a constant if all parts are numbers."""
    if all(isinstance(part, int) for part in parts):
        return n.ints(*(int(part) for part in parts))
    each = (part if isinstance(part, str) else n.ints(part) for part in parts)
    return n.op("Concat", *each, axis=0)


def expand(n: Nodes, x: str, *parts: Part) -> str:
    """torch's expand, with its guard: a size of -1 would mean "as it is"."""
    shape = target(n, *parts)
    if all(isinstance(part, int) for part in parts):
        return n.op("Expand", x, shape)
    one = np.ones(1, np.int64)
    ones = n.op("ConstantOfShape", n.ints(len(parts)), value=n.tensor(one))
    kept = n.op("Equal", shape, n.op("Mul", ones, n.const(np.int64(-1), "minus")))
    return n.op("Expand", x, n.op("Where", kept, ones, shape))


def linear(n: Nodes, x: str, wide: int, out: int, bias: bool = True, gain: float = 1.0) -> str:
    """x[..., wide] times weights; gain: of the variance."""
    weights = n.weights(wide, out, fan_in=max(1, round(wide / gain)))
    y = n.op("MatMul", x, weights)
    return n.op("Add", n.vector(out), y) if bias else y


def norm(n: Nodes, x: str, wide: int, epsilon: float = 1e-6) -> str:
    """Layer normalisation over the last axis."""
    scale, bias = n.vector(wide, 1.0, "gamma"), n.vector(wide, 0.0, "beta")
    return n.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=epsilon)


def gelu(n: Nodes, x: str) -> str:
    """x * (erf(x / sqrt(2)) + 1) * 0.5, as the tracer writes it."""
    inner = n.op("Erf", n.op("Div", x, n.scalar(math.sqrt(2))))
    grown = n.op("Mul", x, n.op("Add", inner, n.scalar(1.0)))
    return n.op("Mul", grown, n.scalar(0.5))


def mlp(n: Nodes, x: str, wide: int, inner: int) -> str:
    """Two linear layers and a GELU between them."""
    y = gelu(n, linear(n, x, wide, inner))
    return linear(n, y, inner, wide, gain=2.35)


def pick(n: Nodes, x: str, count: int, axis: int = 0) -> list[str]:
    """x[0], x[1], ... along an axis: a Gather of one index each."""
    return [n.op("Gather", x, n.const(np.int64(k), "index"), axis=axis) for k in range(count)]
