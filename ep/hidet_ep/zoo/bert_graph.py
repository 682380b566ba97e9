"""BERT (Devlin et al., 2018) as exporters write it, with seeded weights.

In: sizes, a spelling, a mask; out: an onnx.ModelProto. Inputs: input_ids, token_type_ids and, with
a mask, attention_mask, all i64[batch, sequence]; outputs: last_hidden_state and pooler_output.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from hidet_ep.zoo.encoder import SPELLINGS, Parts, Sizes
from hidet_ep.zoo.nodes import Nodes
from hidet_ep.zoo.optimized import OPTIMIZED, optimized_bert

TYPES = 2  # of segments
OPSET = 17
MASKS = ("additive", "boolean", "none")


def bert(
    sizes: Sizes | None = None,
    spelling: str = "traced",
    mask: str = "additive",
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    """spelling: a key of SPELLINGS, or OPTIMIZED (as ONNX Runtime's transformer optimizer writes
    it, whose only masks are 'additive'); mask: 'additive' (0 or the lowest float is added to the
    scores), 'boolean' (0 or -inf, from a Where) or 'none'.
    """
    if mask not in MASKS:
        raise ValueError(f"mask {mask!r} is unknown; there are {', '.join(MASKS)}")
    sizes = sizes or Sizes()
    nodes = Nodes("bert", seed, dtype, OPSET)
    shape = (sizes.batch, sizes.sequence)
    ids, types = (nodes.input(name, shape) for name in ("input_ids", "token_type_ids"))
    if spelling == OPTIMIZED:
        kept = nodes.input("attention_mask", shape) if mask != "none" else ""
        return _with_pooler(nodes, sizes, optimized_bert(nodes, sizes, ids, types, kept))
    parts = Parts(nodes, sizes, SPELLINGS[spelling])
    added = _mask(nodes, nodes.input("attention_mask", shape), mask) if mask != "none" else ""
    x = nodes.op("Add", parts.embed(ids, sizes.vocabulary), parts.embed(types, TYPES))
    x = nodes.op("Add", x, parts.embed(parts.positions(ids), sizes.positions))
    x = parts.norm(x)
    for _ in range(sizes.layers):
        x = _layer(nodes, parts, x, added)
    return _with_pooler(nodes, sizes, x)


def _with_pooler(nodes: Nodes, sizes: Sizes, x: str) -> onnx.ModelProto:
    """The model whose last layer gives x."""
    hidden, shape = sizes.hidden, (sizes.batch, sizes.sequence)
    first = nodes.op("Gather", x, nodes.const(np.int64(0), "first"), axis=1)
    pooled = nodes.op("Gemm", first, nodes.weights(hidden, hidden), nodes.vector(hidden), transB=1)
    return nodes.model(
        {
            "last_hidden_state": (x, (*shape, hidden)),
            "pooler_output": (nodes.op("Tanh", pooled), (sizes.batch, hidden)),
        }
    )


def _mask(nodes: Nodes, given: str, kind: str) -> str:
    """[batch, sequence] of 1 (a token) and 0 (padding) -> what is added to the scores."""
    wide = nodes.op("Unsqueeze", nodes.op("Unsqueeze", given, nodes.ints(1)), nodes.ints(2))
    if kind == "boolean":
        kept = nodes.op("Cast", wide, to=onnx.TensorProto.BOOL)
        return nodes.op("Where", kept, nodes.scalar(0.0), nodes.scalar(-math.inf))
    number = onnx.helper.np_dtype_to_tensor_dtype(nodes.dtype)
    padding = nodes.op("Sub", nodes.scalar(1.0), nodes.op("Cast", wide, to=number))
    return nodes.op("Mul", padding, nodes.scalar(float(np.finfo(nodes.dtype).min)))


def _layer(nodes: Nodes, parts: Parts, x: str, mask: str) -> str:
    hidden = parts.sizes.hidden
    q, k, v = (parts.split_heads(parts.linear(x, hidden, hidden)) for _ in range(3))
    mixed = parts.linear(parts.attend(q, k, v, mask), hidden, hidden)
    x = parts.norm(nodes.op("Add", mixed, x))
    wide = _gelu(nodes, parts.linear(x, hidden, 4 * hidden))
    return parts.norm(nodes.op("Add", parts.linear(wide, 4 * hidden, hidden), x))


def _gelu(nodes: Nodes, x: str) -> str:
    """x * (erf(x / sqrt(2)) + 1) * 0.5."""
    inner = nodes.op("Erf", nodes.op("Div", x, nodes.scalar(math.sqrt(2))))
    grown = nodes.op("Mul", x, nodes.op("Add", inner, nodes.scalar(1.0)))
    return nodes.op("Mul", grown, nodes.scalar(0.5))
