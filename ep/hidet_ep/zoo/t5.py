"""The encoder of T5 (Raffel et al., 2020) as torch exports transformers': RMS normalisation in
primitives, a bias for relative positions, put in buckets by arithmetic on a Range, no scale.

In: sizes (batch and sequence may be symbols); out: an onnx.ModelProto. Inputs: input_ids and
attention_mask, i64[batch, sequence]; output: last_hidden_state.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx

from hidet_ep.zoo.convnet import GELU, RELU
from hidet_ep.zoo.layers import Part, dim, linear, target
from hidet_ep.zoo.nodes import Nodes, Size

OPSET = 17
EPSILON = 1e-6


@dataclass(frozen=True)
class T5Sizes:
    """Those of t5-small. gated: the feed-forward layers of v1.1."""

    layers: int = 6
    hidden: int = 512
    heads: int = 8
    head: int = 64
    inner: int = 2048
    vocabulary: int = 32128
    buckets: int = 32
    distance: int = 128
    sequence: Size = 128
    batch: Size = 1
    gated: bool = False


def t5_encoder(
    sizes: T5Sizes | None = None, dtype: str = "float32", seed: int = 0
) -> onnx.ModelProto:
    s, n = sizes or T5Sizes(), Nodes("t5_encoder", seed, dtype, OPSET)
    shape = (s.batch, s.sequence)
    ids, mask = (n.input(name, shape) for name in ("input_ids", "attention_mask"))
    x = n.op("Gather", n.weights(s.vocabulary, s.hidden, fan_in=1, name="table"), ids, axis=0)
    bias = n.op("Add", _bias(n, ids, s), _mask(n, mask))
    for _ in range(s.layers):
        x = n.op("Add", x, _attend(n, _norm(n, x, s), bias, s))
        x = n.op("Add", x, _feed(n, _norm(n, x, s), s))
    return n.model({"last_hidden_state": (_norm(n, x, s), (*shape, s.hidden))})


def _norm(n: Nodes, x: str, s: T5Sizes) -> str:
    """scale * (x * 1 / sqrt(mean(x^2) + epsilon))."""
    power = n.op("ReduceMean", n.op("Pow", x, n.scalar(2.0)), axes=[-1])
    root = n.op("Sqrt", n.op("Add", power, n.scalar(EPSILON)))
    normal = n.op("Mul", x, n.op("Div", n.scalar(1.0), root))
    return n.op("Mul", n.vector(s.hidden, 1.0, "gamma"), normal)


def _mask(n: Nodes, given: str) -> str:
    """1 (a token) and 0 (padding) -> 0 and the lowest float."""
    wide = n.op("Unsqueeze", n.op("Unsqueeze", given, n.ints(1)), n.ints(2))
    number = onnx.helper.np_dtype_to_tensor_dtype(n.dtype)
    padding = n.op("Sub", n.scalar(1.0), n.op("Cast", wide, to=number))
    return n.op("Mul", padding, n.scalar(float(np.finfo(n.dtype).min)))


def _bias(n: Nodes, ids: str, s: T5Sizes) -> str:
    """[1, heads, sequence, sequence]: a row of a table for each bucket of distances."""
    end = dim(n, ids, 1, s.sequence)
    if isinstance(end, int):
        places = n.const(np.arange(end, dtype=np.int64), "places")
    else:
        zero, one = n.const(np.int64(0), "zero"), n.const(np.int64(1), "one")
        places = n.op("Range", zero, n.op("Squeeze", end, n.ints(0)), one)
    queries, keys = (n.op("Unsqueeze", places, n.ints(axis)) for axis in (1, 0))
    buckets = _buckets(n, n.op("Sub", keys, queries), s)
    table = n.weights(s.buckets, s.heads, fan_in=1, name="table")
    values = n.op("Gather", table, buckets, axis=0)
    return n.op("Unsqueeze", n.op("Transpose", values, perm=[2, 0, 1]), n.ints(0))


def _buckets(n: Nodes, apart: str, s: T5Sizes) -> str:
    """Half of the buckets for keys behind; of each half one for every small distance, then some
    that grow with the logarithm.
    """
    half = s.buckets // 2
    exact = half // 2
    whole, real = onnx.TensorProto.INT64, onnx.TensorProto.FLOAT
    behind = n.op("Cast", n.op("Greater", apart, n.const(np.int64(0), "zero")), to=whole)
    behind = n.op("Mul", behind, n.const(np.int64(half), "half"))
    far = n.op("Abs", apart)
    ratio = n.op("Div", n.op("Cast", far, to=real), n.const(np.float32(exact), "exact"))
    grown = n.op(
        "Div", n.op("Log", ratio), n.const(np.float32(math.log(s.distance / exact)), "log")
    )
    grown = n.op("Cast", n.op("Mul", grown, n.const(np.float32(half - exact), "rest")), to=whole)
    large = n.op("Add", grown, n.const(np.int64(exact), "exact"))
    large = n.op("Min", large, n.const(np.int64(half - 1), "last"))
    near = n.op("Less", far, n.const(np.int64(exact), "exact"))
    return n.op("Add", behind, n.op("Where", near, far, large))


def _attend(n: Nodes, x: str, bias: str, s: T5Sizes) -> str:
    wide, batch = s.heads * s.head, dim(n, x, 0, s.batch)
    q, k, v = (_heads(n, linear(n, x, s.hidden, wide, False, gain), batch, s)
               for gain in (1 / s.head, 1.0, 1.0))  # fmt: skip
    scores = n.op("MatMul", q, n.op("Transpose", k, perm=[0, 1, 3, 2]))
    weights = n.op("Softmax", n.op("Add", scores, bias), axis=-1)
    mixed = n.op("Transpose", n.op("MatMul", weights, v), perm=[0, 2, 1, 3])
    return linear(n, n.op("Reshape", mixed, target(n, batch, -1, wide)), wide, s.hidden, False)


def _heads(n: Nodes, x: str, batch: Part, s: T5Sizes) -> str:
    cut = n.op("Reshape", x, target(n, batch, -1, s.heads, s.head))
    return n.op("Transpose", cut, perm=[0, 2, 1, 3])


def _feed(n: Nodes, x: str, s: T5Sizes) -> str:
    y = linear(n, x, s.hidden, s.inner, False)
    if not s.gated:
        return linear(n, n.op("Relu", y), s.inner, s.hidden, False, RELU)
    gate = n.op("Mul", _gelu(n, y), linear(n, x, s.hidden, s.inner, False))
    return linear(n, gate, s.inner, s.hidden, False, GELU)


def _gelu(n: Nodes, x: str) -> str:
    """0.5 * x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))."""
    cube = n.op("Mul", n.op("Pow", x, n.scalar(3.0)), n.scalar(0.044715))
    inner = n.op("Mul", n.op("Add", x, cube), n.scalar(math.sqrt(2 / math.pi)))
    grown = n.op("Add", n.op("Tanh", inner), n.scalar(1.0))
    return n.op("Mul", n.op("Mul", x, n.scalar(0.5)), grown)
