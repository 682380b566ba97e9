"""The parts that BERT and GPT-2 share, each in the spellings of real exporters.

A `Spelling` says how the same maths is written: by torch.onnx's tracer (MatMul + Add, primitives)
or its dynamo exporter (Reshape + Gemm + Reshape, scaled operands, a guard against NaN).
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from hidet_ep.zoo.nodes import Nodes, Size


@dataclass(frozen=True)
class Sizes:
    """Sizes of a transformer; batch and sequence may be symbols."""

    layers: int = 12
    hidden: int = 768
    heads: int = 12
    sequence: Size = 128
    batch: Size = 1
    vocabulary: int = 30522
    positions: int = 512

    def __post_init__(self) -> None:
        if self.hidden % self.heads:
            raise ValueError(f"hidden {self.hidden} is no multiple of heads {self.heads}")
        if isinstance(self.sequence, int) and self.sequence > self.positions:
            raise ValueError(f"sequence {self.sequence} > {self.positions} positions")

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    @property
    def is_static(self) -> bool:
        return isinstance(self.sequence, int) and isinstance(self.batch, int)


@dataclass(frozen=True)
class Spelling:
    """linear: 'matmul' (MatMul + Add) or 'gemm' (on rows, between reshapes, transB). norm: 'node'
    (LayerNormalization) or 'primitives'. scale: 'scores' (divided after), 'query' (multiplied
    before) or 'both' (the root of the scale into q and k). guard: rows of NaN become zeros.
    """

    linear: str = "matmul"
    norm: str = "node"
    scale: str = "scores"
    guard: bool = False


TRACED = Spelling()
TRACED_PRIMITIVES = Spelling(norm="primitives")
DYNAMO = Spelling(linear="gemm", scale="both", guard=True)
SPELLINGS = {"traced": TRACED, "primitives": TRACED_PRIMITIVES, "dynamo": DYNAMO}


class Parts:
    """Writes the parts of a transformer into a graph."""

    def __init__(self, nodes: Nodes, sizes: Sizes, spelling: Spelling) -> None:
        self.nodes, self.sizes, self.spelling = nodes, sizes, spelling

    def shape(self, like: str, *dims: int) -> str:
        """[batch, sequence, *dims] as a constant, or computed from the value `like`."""
        n, sizes = self.nodes, self.sizes
        if sizes.is_static:
            return n.ints(int(sizes.batch), int(sizes.sequence), *dims)
        parts = []
        for axis in (0, 1):
            index = n.const(np.int64(axis), "axis")
            dim = n.op("Gather", n.op("Shape", like), index, axis=0)
            parts.append(n.op("Unsqueeze", dim, n.ints(0)))
        return n.op("Concat", *parts, *(n.ints(dim) for dim in dims), axis=0)

    def linear(self, x: str, wide: int, out: int) -> str:
        """x[batch, sequence, wide] times weights, plus a bias."""
        n = self.nodes
        if self.spelling.linear == "matmul":
            return n.op("Add", n.op("MatMul", x, n.weights(wide, out)), n.vector(out))
        rows = n.op("Reshape", x, n.ints(-1, wide))
        weights = n.weights(out, wide, fan_in=wide)
        y = n.op("Gemm", rows, weights, n.vector(out), transB=1)
        return n.op("Reshape", y, self.shape(x, out))

    def norm(self, x: str) -> str:
        """Layer normalisation over the last axis."""
        n, hidden = self.nodes, self.sizes.hidden
        scale, bias = n.vector(hidden, 1.0, "gamma"), n.vector(hidden, 0.0, "beta")
        if self.spelling.norm == "node":
            return n.op("LayerNormalization", x, scale, bias, axis=-1, epsilon=1e-5)
        centred = n.op("Sub", x, n.op("ReduceMean", x, axes=[-1]))
        square = n.op("Pow", centred, n.scalar(2.0))
        spread = n.op("Add", n.op("ReduceMean", square, axes=[-1]), n.scalar(1e-5))
        normal = n.op("Div", centred, n.op("Sqrt", spread))
        return n.op("Add", n.op("Mul", normal, scale), bias)

    def split_heads(self, x: str, perm: tuple[int, ...] = (0, 2, 1, 3)) -> str:
        """[batch, sequence, hidden] -> [batch, heads, sequence, head], or another order."""
        n, sizes = self.nodes, self.sizes
        cut = n.op("Reshape", x, self.shape(x, sizes.heads, sizes.head))
        return n.op("Transpose", cut, perm=list(perm))

    def attend(self, q: str, k: str, v: str, mask: str = "") -> str:
        """q, v: heads of queries and values; k: of keys, [batch, heads, sequence, head]. mask: is
        added to the scores. Gives [batch, sequence, hidden].
        """
        n, width, spelling = self.nodes, self.sizes.head, self.spelling
        k = n.op("Transpose", k, perm=[0, 1, 3, 2])
        if spelling.scale == "both":
            root = n.scalar(width**-0.25)
            q, k = n.op("Mul", q, root), n.op("Mul", k, root)
        elif spelling.scale == "query":
            q = n.op("Mul", q, n.scalar(width**-0.5))
        scores = n.op("MatMul", q, k)
        if spelling.scale == "scores":
            scores = n.op("Div", scores, n.scalar(math.sqrt(width)))
        if mask:
            scores = n.op("Add", scores, mask)
        return self.weigh(scores, v)

    def weigh(self, scores: str, v: str) -> str:
        """softmax(scores) times v, heads joined."""
        n = self.nodes
        weights = n.op("Softmax", scores, axis=-1)
        if self.spelling.guard:
            weights = n.op("Where", n.op("IsNaN", weights), n.scalar(0.0), weights)
        mixed = n.op("Transpose", n.op("MatMul", weights, v), perm=[0, 2, 1, 3])
        return n.op("Reshape", mixed, self.shape(mixed, self.sizes.hidden))

    def positions(self, ids: str) -> str:
        """The numbers of the positions, [1, sequence]."""
        n, sizes = self.nodes, self.sizes
        if isinstance(sizes.sequence, int):
            return n.const(np.arange(sizes.sequence, dtype=np.int64)[None], "positions")
        every = n.const(np.arange(sizes.positions, dtype=np.int64)[None], "positions")
        length = n.op("Gather", n.op("Shape", ids), n.const(np.int64(1), "axis"), axis=0)
        end = n.op("Unsqueeze", length, n.ints(0))
        return n.op("Slice", every, n.ints(0), end, n.ints(1))

    def embed(self, ids: str, rows: int) -> str:
        """Rows of a table."""
        table = self.nodes.weights(rows, self.sizes.hidden, fan_in=1, name="table")
        return self.nodes.op("Gather", table, ids, axis=0)
