"""A classifier of text by a bidirectional LSTM of two layers, as torch exports it.

In: sizes, batch and sequence (sizes or symbols); out: an onnx.ModelProto. Input: input_ids,
i64[batch, sequence]; output: scores [batch, classes].
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import onnx

from hidet_ep.zoo.layers import dim, expand
from hidet_ep.zoo.nodes import Nodes, Size

OPSET = 17
GATES, SIDES = 4, 2


@dataclass(frozen=True)
class LstmSizes:
    layers: int = 2
    embedded: int = 256
    hidden: int = 256
    vocabulary: int = 20000
    classes: int = 4
    sequence: Size = 64
    batch: Size = 1


def lstm(sizes: LstmSizes | None = None, dtype: str = "float32", seed: int = 0) -> onnx.ModelProto:
    s, n = sizes or LstmSizes(), Nodes("lstm", seed, dtype, OPSET)
    ids = n.input("input_ids", (s.batch, s.sequence))
    table = n.weights(s.vocabulary, s.embedded, fan_in=1, name="table")
    x = n.op("Transpose", n.op("Gather", table, ids, axis=0), perm=[1, 0, 2])
    start = np.zeros((1, 1, 1), n.dtype)
    state = expand(n, n.const(start, "zeros"), SIDES, dim(n, ids, 0, s.batch), s.hidden)
    last = ""
    for layer in range(s.layers):
        wide = SIDES * s.hidden if layer else s.embedded
        x, last = _layer(n, x, wide, state, s.hidden)
    # the last states of both directions, side by side
    forth, back = (n.op("Gather", last, n.const(np.int64(k), "side"), axis=0) for k in range(SIDES))
    wide = SIDES * s.hidden
    weights, bias = n.weights(s.classes, wide, fan_in=wide), n.vector(s.classes)
    y = n.op("Gemm", n.op("Concat", forth, back, axis=1), weights, bias, transB=1)
    return n.model({"scores": (n.op("Softmax", y, axis=-1), (s.batch, s.classes))})


def _layer(n: Nodes, x: str, wide: int, state: str, hidden: int) -> tuple[str, str]:
    """x[sequence, batch, wide] -> [sequence, batch, 2 * hidden], and the last state."""
    rows = GATES * hidden
    weights = (
        n.weights(SIDES, rows, wide, fan_in=wide),
        n.weights(SIDES, rows, hidden, fan_in=hidden),
        n.const(np.stack([n.rng.normal(0, 0.1, 2 * rows) for _ in range(SIDES)]).astype(n.dtype)),
    )
    how = {"hidden_size": hidden, "direction": "bidirectional"}
    y, last, _ = n.ops("LSTM", 3, x, *weights, "", state, state, **how)
    turned = n.op("Transpose", y, perm=[0, 2, 1, 3])
    return n.op("Reshape", turned, n.ints(0, 0, -1)), last
