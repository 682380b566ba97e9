"""The encoder of Whisper (Radford et al., 2022) as torch exports transformers': two convolutions of
one dimension, products of [batch * heads, frames, width].

In: sizes, batch and mel frames (sizes or symbols); out: an onnx.ModelProto of one input [batch,
mels, frames] and one output last_hidden_state [batch, frames / 2, hidden].
"""

from __future__ import annotations

from dataclasses import dataclass

import onnx

from hidet_ep.zoo.convnet import GELU
from hidet_ep.zoo.layers import Part, dim, gelu, linear, mlp, norm, target
from hidet_ep.zoo.nodes import Nodes, Size

OPSET = 17
EPSILON = 1e-5


@dataclass(frozen=True)
class WhisperSizes:
    """Those of whisper-tiny. positions: half of the frames, or more where frames are a symbol."""

    layers: int = 4
    hidden: int = 384
    heads: int = 6
    mels: int = 80
    frames: Size = 3000
    positions: int = 1500
    batch: Size = 1


def whisper_encoder(
    sizes: WhisperSizes | None = None, dtype: str = "float32", seed: int = 0
) -> onnx.ModelProto:
    s, n = sizes or WhisperSizes(), Nodes("whisper_encoder", seed, dtype, OPSET)
    sound = n.input("input_features", (s.batch, s.mels, s.frames), n.dtype)
    x = gelu(n, _conv(n, sound, s.mels, s.hidden, 1, 1.0))
    x = gelu(n, _conv(n, x, s.hidden, s.hidden, 2, GELU))
    x = n.op("Transpose", x, perm=[0, 2, 1])
    x = n.op("Add", x, _positions(n, x, s))
    for _ in range(s.layers):
        x = n.op("Add", x, _attend(n, norm(n, x, s.hidden, EPSILON), s))
        x = n.op("Add", x, mlp(n, norm(n, x, s.hidden, EPSILON), s.hidden, 4 * s.hidden))
    tokens = (s.frames + 1) // 2 if isinstance(s.frames, int) else "tokens"
    shape = (s.batch, tokens, s.hidden)
    return n.model({"last_hidden_state": (norm(n, x, s.hidden, EPSILON), shape)})


def _conv(n: Nodes, x: str, wide: int, out: int, stride: int, gain: float) -> str:
    filters = n.weights(out, wide, 3, fan_in=round(3 * wide / gain))
    how = {"kernel_shape": [3], "strides": [stride], "pads": [1, 1]}
    return n.op("Conv", x, filters, n.vector(out), **how)


def _positions(n: Nodes, x: str, s: WhisperSizes) -> str:
    """[tokens, hidden], the first rows of a table."""
    table = n.weights(s.positions, s.hidden, fan_in=25, name="positions")
    if isinstance(s.frames, int):
        return table
    return n.op("Slice", table, n.ints(0), dim(n, x, 1, "tokens"), n.ints(0))


def _attend(n: Nodes, x: str, s: WhisperSizes) -> str:
    width, hidden = s.hidden // s.heads, s.hidden
    tokens = (s.frames + 1) // 2 if isinstance(s.frames, int) else "tokens"
    batch, length = dim(n, x, 0, s.batch), dim(n, x, 1, tokens)
    q = n.op("Mul", linear(n, x, hidden, hidden), n.scalar(width**-0.5))
    k, v = (linear(n, x, hidden, hidden, bias) for bias in (False, True))
    q, k, v = (_flat_heads(n, value, (batch, length), s) for value in (q, k, v))
    weights = n.op("Softmax", n.op("MatMul", q, n.op("Transpose", k, perm=[0, 2, 1])), axis=-1)
    mixed = n.op("MatMul", weights, v)
    mixed = n.op("Reshape", mixed, target(n, batch, s.heads, length, width))
    mixed = n.op("Transpose", mixed, perm=[0, 2, 1, 3])
    return linear(n, n.op("Reshape", mixed, target(n, batch, length, hidden)), hidden, hidden)


def _flat_heads(n: Nodes, x: str, sizes: tuple[Part, Part], s: WhisperSizes) -> str:
    """[batch, tokens, hidden] -> [batch * heads, tokens, width]."""
    width = s.hidden // s.heads
    cut = n.op("Reshape", x, target(n, *sizes, s.heads, width))
    turned = n.op("Transpose", cut, perm=[0, 2, 1, 3])
    return n.op("Reshape", turned, target(n, -1, sizes[1], width))
