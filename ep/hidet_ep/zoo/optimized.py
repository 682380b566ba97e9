"""BERT as ONNX Runtime's transformer optimizer writes it: nodes of com.microsoft.

In: a graph being written and the names of its inputs; out: the name of the last layer's output.
Queries, keys and values have one matrix; biases of what is added to a residual are inputs of the
normalisation.
"""

from __future__ import annotations

import onnx

from hidet_ep.zoo.encoder import Sizes
from hidet_ep.zoo.nodes import MICROSOFT, Nodes

OPTIMIZED = "optimized"
TYPES = 2  # of segments
EPSILON = 1e-12


def optimized_bert(nodes: Nodes, sizes: Sizes, ids: str, types: str, mask: str) -> str:
    """mask: i64[batch, sequence] of 1 and 0, or "" for none."""
    narrow = [
        nodes.op("Cast", name, to=onnx.TensorProto.INT32) if name else ""
        for name in (ids, types, mask)
    ]
    tables = (
        nodes.weights(rows, sizes.hidden, fan_in=1, name="table")
        for rows in (sizes.vocabulary, sizes.positions, TYPES)
    )
    vectors = _norm(nodes, sizes.hidden)
    embed = "EmbedLayerNormalization"
    inputs = (*narrow[:2], *tables, *vectors)
    x, _ = nodes.ops(embed, 2, *inputs, epsilon=EPSILON, domain=MICROSOFT)
    for _ in range(sizes.layers):
        x = _layer(nodes, sizes, x, narrow[2])
    return x


def _norm(nodes: Nodes, hidden: int) -> tuple[str, str]:
    return nodes.vector(hidden, 1.0, "gamma"), nodes.vector(hidden, 0.0, "beta")


def _layer(nodes: Nodes, sizes: Sizes, x: str, mask: str) -> str:
    hidden = sizes.hidden
    merged = (nodes.weights(hidden, 3 * hidden), nodes.vector(3 * hidden))
    mixed = nodes.contrib("Attention", x, *merged, mask, num_heads=sizes.heads)
    x = _residual(nodes, hidden, nodes.op("MatMul", mixed, nodes.weights(hidden, hidden)), x)
    wide = nodes.op("MatMul", x, nodes.weights(hidden, 4 * hidden))
    wide = nodes.contrib("BiasGelu", wide, nodes.vector(4 * hidden))
    return _residual(nodes, hidden, nodes.op("MatMul", wide, nodes.weights(4 * hidden, hidden)), x)


def _residual(nodes: Nodes, hidden: int, y: str, x: str) -> str:
    """layer_norm(y + x + bias)."""
    vectors = (*_norm(nodes, hidden), nodes.vector(hidden))
    return nodes.contrib("SkipLayerNormalization", y, x, *vectors, epsilon=EPSILON)
