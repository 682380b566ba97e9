"""GPT-2 (Radford et al., 2019) as exporters write it, with seeded weights.

In: sizes, a spelling; out: an onnx.ModelProto. Input: input_ids, i64[batch, sequence]; output:
last_hidden_state, or the logits of the next token for all positions.
"""

from __future__ import annotations

import math

import numpy as np
import onnx

from hidet_ep.zoo.encoder import SPELLINGS, Parts, Sizes
from hidet_ep.zoo.nodes import Nodes

OPSET = 17
GPT2 = Sizes(vocabulary=50257, positions=1024)


def gpt2(
    sizes: Sizes = GPT2,
    spelling: str = "traced",
    head: bool = False,
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    """spelling: a key of SPELLINGS; head: whether logits are computed."""
    nodes = Nodes("gpt2", seed, dtype, OPSET)
    parts = Parts(nodes, sizes, SPELLINGS[spelling])
    shape = (sizes.batch, sizes.sequence)
    ids = nodes.input("input_ids", shape)
    x = nodes.op(
        "Add",
        parts.embed(ids, sizes.vocabulary),
        parts.embed(parts.positions(ids), sizes.positions),
    )
    causal = _causal(nodes, parts, ids)
    for _ in range(sizes.layers):
        x = _layer(nodes, parts, x, causal)
    x = parts.norm(x)
    if not head:
        return nodes.model({"last_hidden_state": (x, (*shape, sizes.hidden))})
    logits = nodes.op("MatMul", x, nodes.weights(sizes.hidden, sizes.vocabulary))
    return nodes.model({"logits": (logits, (*shape, sizes.vocabulary))})


def _causal(nodes: Nodes, parts: Parts, ids: str) -> str:
    """A triangle of true for the pairs (query, key) where the key is not later."""
    sizes = parts.sizes
    if isinstance(sizes.sequence, int):
        return nodes.const(np.tri(sizes.sequence, dtype=bool)[None, None], "causal")
    every = nodes.const(np.tri(sizes.positions, dtype=bool)[None, None], "causal")
    length = nodes.op("Gather", nodes.op("Shape", ids), nodes.const(np.int64(1), "axis"), axis=0)
    end = nodes.op("Unsqueeze", length, nodes.ints(0))
    rows = nodes.op("Slice", every, nodes.ints(0), end, nodes.ints(2))
    return nodes.op("Slice", rows, nodes.ints(0), end, nodes.ints(3))


def _layer(nodes: Nodes, parts: Parts, x: str, causal: str) -> str:
    hidden = parts.sizes.hidden
    merged = _conv1d(nodes, parts, parts.norm(x), hidden, 3 * hidden)
    sizes = nodes.ints(hidden, hidden, hidden)
    q, k, v = map(parts.split_heads, nodes.ops("Split", 3, merged, sizes, axis=2))
    mixed = _conv1d(nodes, parts, _attend(nodes, parts, (q, k, v), causal), hidden, hidden)
    x = nodes.op("Add", mixed, x)
    wide = _gelu(nodes, _conv1d(nodes, parts, parts.norm(x), hidden, 4 * hidden))
    return nodes.op("Add", x, _conv1d(nodes, parts, wide, 4 * hidden, hidden))


def _conv1d(nodes: Nodes, parts: Parts, x: str, wide: int, out: int) -> str:
    """The linear layer of GPT-2: rows times weights that are not transposed."""
    rows = nodes.op("Reshape", x, nodes.ints(-1, wide))
    y = nodes.op("Gemm", rows, nodes.weights(wide, out), nodes.vector(out))
    return nodes.op("Reshape", y, parts.shape(x, out))


def _attend(nodes: Nodes, parts: Parts, heads: tuple[str, str, str], causal: str) -> str:
    """Scores of later keys are replaced by the lowest float."""
    q, k, v = heads
    if parts.spelling.scale != "scores":
        fill = nodes.op("Where", causal, nodes.scalar(0.0), nodes.scalar(-math.inf))
        return parts.attend(q, k, v, fill)
    scores = nodes.op("MatMul", q, nodes.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = nodes.op("Div", scores, nodes.scalar(math.sqrt(parts.sizes.head)))
    lowest = nodes.scalar(float(np.finfo(nodes.dtype).min))
    return parts.weigh(nodes.op("Where", causal, scores, lowest), v)


def _gelu(nodes: Nodes, x: str) -> str:
    """x / 2 * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x^3)))."""
    cube = nodes.op("Mul", nodes.op("Pow", x, nodes.scalar(3.0)), nodes.scalar(0.044715))
    inner = nodes.op("Mul", nodes.op("Add", x, cube), nodes.scalar(math.sqrt(2 / math.pi)))
    grown = nodes.op("Add", nodes.op("Tanh", inner), nodes.scalar(1.0))
    return nodes.op("Mul", nodes.op("Mul", x, nodes.scalar(0.5)), grown)
