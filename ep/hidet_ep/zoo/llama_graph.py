"""A decoder of Llama's kind (Touvron et al., 2023) with a KV cache, as exporters write it.

In: sizes, a spelling; out: an onnx.ModelProto. Inputs: input_ids i64[batch, sequence],
attention_mask i64[batch, past + sequence], position_ids i64[batch, sequence] (of the spelling in
primitives), and of each layer past_key_values.N.key and .value [batch, groups, past, head].
Outputs: logits[batch, sequence, vocabulary], and present.N.key and .value.

'primitives': torch's exporter, where scaled dot-product attention and rotary embedding are spelled
out; 'grouped': ONNX Runtime GenAI's builder, with GroupQueryAttention.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import onnx

from hidet_ep.zoo.nodes import MICROSOFT, Nodes, Size

LLAMA_SPELLINGS = ("primitives", "grouped")
OPSET = 18
EPSILON = 1e-5
THETA = 10000.0


@dataclass(frozen=True)
class LlamaSizes:
    """groups: heads of keys and values; batch, sequence and past may be symbols."""

    layers: int = 16
    hidden: int = 2048
    heads: int = 32
    groups: int = 8
    intermediate: int = 8192
    vocabulary: int = 32000
    positions: int = 2048
    batch: Size = "batch_size"
    sequence: Size = "sequence_length"
    past: Size = "past_sequence_length"

    def __post_init__(self) -> None:
        if self.hidden % self.heads or self.heads % self.groups:
            raise ValueError(
                f"hidden {self.hidden}, heads {self.heads} and groups {self.groups} do not divide"
            )

    @property
    def head(self) -> int:
        return self.hidden // self.heads

    @property
    def total(self) -> Size:
        if isinstance(self.past, int) and isinstance(self.sequence, int):
            return self.past + self.sequence
        return f"{self.past} + {self.sequence}"


def llama(
    sizes: LlamaSizes | None = None,
    spelling: str = "primitives",
    dtype: str = "float32",
    seed: int = 0,
) -> onnx.ModelProto:
    """spelling: one of LLAMA_SPELLINGS."""
    if spelling not in LLAMA_SPELLINGS:
        raise ValueError(f"spelling {spelling!r} is unknown; there are {LLAMA_SPELLINGS}")
    sizes = sizes or LlamaSizes()
    nodes = Nodes("llama", seed, dtype, OPSET)
    decoder = (_Primitives if spelling == "primitives" else _Grouped)(nodes, sizes)
    return decoder.model()


class _Decoder:
    """What the spellings share. They differ in norms, in attention, and in what comes before."""

    def __init__(self, nodes: Nodes, sizes: LlamaSizes) -> None:
        self.nodes, self.sizes = nodes, sizes

    def begin(self) -> None:
        """What all layers use."""
        raise NotImplementedError

    def attend(self, x: str, past: tuple[str, str]) -> tuple[str, str, str]:
        """Mixed heads, and the layer's present."""
        raise NotImplementedError

    def norm(self, x: str, added: str = "") -> tuple[str, str]:
        """The norm of x + added, and that sum."""
        raise NotImplementedError

    def model(self) -> onnx.ModelProto:
        n, sizes = self.nodes, self.sizes
        ids = n.input("input_ids", (sizes.batch, sizes.sequence))
        self.mask = n.input("attention_mask", (sizes.batch, self.total))
        cache = (sizes.batch, sizes.groups, sizes.past, sizes.head)
        self.past = [
            tuple(
                n.input(f"past_key_values.{layer}.{kind}", cache, n.dtype)
                for kind in ("key", "value")
            )
            for layer in range(sizes.layers)
        ]
        self.begin()
        table = n.weights(sizes.vocabulary, sizes.hidden, fan_in=1, name="table")
        outputs, x = {}, n.op("Gather", table, ids, axis=0)
        y = ""
        for layer in range(sizes.layers):
            normal, x = self.norm(x, y)
            mixed, *present = self.attend(normal, self.past[layer])
            normal, x = self.norm(x, self.linear(mixed, sizes.hidden, sizes.hidden))
            y = self.feed_forward(normal)
            shape = (*cache[:2], self.total, cache[3])
            for kind, value in zip(("key", "value"), present, strict=True):
                outputs[f"present.{layer}.{kind}"] = (value, shape)
        last = self.linear(self.norm(x, y)[0], sizes.hidden, sizes.vocabulary)
        logits = (last, (sizes.batch, sizes.sequence, sizes.vocabulary))
        return n.model({"logits": logits, **outputs})

    @property
    def total(self) -> Size:
        return self.sizes.total

    def linear(self, x: str, wide: int, out: int) -> str:
        return self.nodes.op("MatMul", x, self.nodes.weights(wide, out))

    def feed_forward(self, x: str) -> str:
        """silu(x gate) * (x up), down again."""
        n, sizes = self.nodes, self.sizes
        gate, up = (self.linear(x, sizes.hidden, sizes.intermediate) for _ in range(2))
        gate = n.op("Mul", gate, n.op("Sigmoid", gate))
        return self.linear(n.op("Mul", gate, up), sizes.intermediate, sizes.hidden)

    def angles(self) -> tuple[np.ndarray, np.ndarray]:
        """Cosines and sines of all positions, [positions, head / 2]."""
        head = self.sizes.head
        turns = THETA ** (-np.arange(0, head, 2) / head)
        angles = np.arange(self.sizes.positions)[:, None] * turns
        return np.cos(angles).astype(self.nodes.dtype), np.sin(angles).astype(self.nodes.dtype)


class _Primitives(_Decoder):
    """As torch's exporter writes it."""

    def begin(self) -> None:
        self._begin_mask()
        self._begin_angles()

    def _length(self, value: str, axis: int) -> str:
        """The size of an axis, as i64[1]."""
        return self.nodes.op("Shape", value, start=axis, end=axis + 1)

    def _begin_mask(self) -> None:
        """0 where the key is not later and no padding, else -inf: [batch, 1, sequence, total]."""
        n = self.nodes
        self.batch, sequence = (self._length("input_ids", axis) for axis in (0, 1))
        past = self._length(self.past[0][0], 2)
        self.sequence = sequence
        self.keys = n.op("Add", past, sequence)
        begin, end, zero = (
            n.op("Squeeze", value, n.ints(0)) for value in (past, self.keys, n.ints(0))
        )
        one = n.const(np.int64(1), "step")
        queries = n.op("Unsqueeze", n.op("Range", begin, end, one), n.ints(1))
        keys = n.op("Unsqueeze", n.op("Range", zero, end, one), n.ints(0))
        seen = n.op("LessOrEqual", keys, queries)
        kept = n.op("Cast", self.mask, to=onnx.TensorProto.BOOL)
        kept = n.op("And", n.op("Unsqueeze", kept, n.ints(1, 2)), seen)
        self.added = n.op("Where", kept, n.scalar(0.0), n.scalar(-math.inf))

    def _begin_angles(self) -> None:
        """cos and sin of position_ids, [batch, 1, sequence, head]."""
        n, sizes = self.nodes, self.sizes
        positions = n.input("position_ids", (sizes.batch, sizes.sequence))
        turns = (THETA ** (-np.arange(0, sizes.head, 2) / sizes.head)).astype(np.float32)
        rows = n.op("Cast", n.op("Unsqueeze", positions, n.ints(1)), to=onnx.TensorProto.FLOAT)
        columns = n.op("Concat", self.batch, n.ints(sizes.head // 2, 1), axis=0)
        columns = n.op("Expand", n.const(turns[None, :, None], "turns"), columns)
        angles = n.op("Transpose", n.op("MatMul", columns, rows), perm=[0, 2, 1])
        both = n.op("Concat", angles, angles, axis=-1)
        kind = onnx.helper.np_dtype_to_tensor_dtype(n.dtype)
        self.cos, self.sin = (
            n.op("Unsqueeze", n.op("Cast", n.op(op, both), to=kind), n.ints(1))
            for op in ("Cos", "Sin")
        )

    def norm(self, x: str, added: str = "") -> tuple[str, str]:
        n = self.nodes
        x = n.op("Add", x, added) if added else x
        wide = n.op("Cast", x, to=onnx.TensorProto.FLOAT)
        square = n.op("Pow", wide, n.const(np.float32(2), "two"))
        mean = n.op("ReduceMean", square, n.ints(-1), keepdims=1)
        root = n.op("Sqrt", n.op("Add", mean, n.const(np.float32(EPSILON), "epsilon")))
        normal = n.op("Mul", wide, n.op("Reciprocal", root))
        normal = n.op("Cast", normal, to=onnx.helper.np_dtype_to_tensor_dtype(n.dtype))
        return n.op("Mul", n.vector(self.sizes.hidden, 1.0, "gamma"), normal), x

    def attend(self, x: str, past: tuple[str, str]) -> tuple[str, str, str]:
        n, sizes = self.nodes, self.sizes
        hidden, width = sizes.hidden, sizes.groups * sizes.head
        q = self._heads(self.linear(x, hidden, hidden), sizes.heads)
        k, v = (self._heads(self.linear(x, hidden, width), sizes.groups) for _ in range(2))
        q, k = self._turn(q), self._turn(k)
        k, v = (n.op("Concat", old, new, axis=2) for old, new in zip(past, (k, v), strict=True))
        root = n.scalar(sizes.head**-0.25)
        turned = n.op("Transpose", self._repeat(k), perm=[0, 1, 3, 2])
        scores = n.op("MatMul", n.op("Mul", q, root), n.op("Mul", turned, root))
        weights = n.op("Softmax", n.op("Add", scores, self.added), axis=-1)
        weights = n.op("Where", n.op("IsNaN", weights), n.scalar(0.0), weights)
        mixed = n.op("Transpose", n.op("MatMul", weights, self._repeat(v)), perm=[0, 2, 1, 3])
        shape = n.op("Concat", self.batch, self.sequence, n.ints(hidden), axis=0)
        return n.op("Reshape", mixed, shape), k, v

    def _heads(self, x: str, heads: int) -> str:
        n = self.nodes
        last = n.ints(heads, self.sizes.head)
        cut = n.op("Reshape", x, n.op("Concat", self.batch, self.sequence, last, axis=0))
        return n.op("Transpose", cut, perm=[0, 2, 1, 3])

    def _turn(self, x: str) -> str:
        """x cos + rotate_half(x) sin."""
        n, half = self.nodes, self.sizes.head // 2
        last, axis = n.ints(np.iinfo(np.int64).max), n.ints(3)
        first = n.op("Slice", x, n.ints(0), n.ints(half), axis)
        second = n.op("Slice", x, n.ints(half), last, axis)
        rotated = n.op("Concat", n.op("Neg", second), first, axis=-1)
        return n.op("Add", n.op("Mul", x, self.cos), n.op("Mul", rotated, self.sin))

    def _repeat(self, x: str) -> str:
        """Every head of keys for all the heads of queries that share it."""
        n, sizes = self.nodes, self.sizes
        groups, times, head = sizes.groups, sizes.heads // sizes.groups, n.ints(sizes.head)
        wide = n.op("Concat", self.batch, n.ints(groups, times), self.keys, head, axis=0)
        each = n.op("Expand", n.op("Unsqueeze", x, n.ints(2)), wide)
        shape = n.op("Concat", self.batch, n.ints(sizes.heads), self.keys, head, axis=0)
        return n.op("Reshape", each, shape)


class _Grouped(_Decoder):
    """As ONNX Runtime GenAI's builder writes it."""

    @property
    def total(self) -> Size:
        known = isinstance(self.sizes.total, int)
        return self.sizes.total if known else "total_sequence_length"

    def begin(self) -> None:
        n = self.nodes
        count = n.op("ReduceSum", self.mask, n.ints(1), keepdims=0)
        count = n.op("Sub", count, n.ints(1))
        self.lengths = n.op("Cast", count, to=onnx.TensorProto.INT32)
        size = n.op("Gather", n.op("Shape", self.mask), n.const(np.int64(1), "axis"), axis=0)
        self.keys = n.op("Cast", size, to=onnx.TensorProto.INT32)
        self.cos, self.sin = (n.const(table, "angles") for table in self.angles())

    def norm(self, x: str, added: str = "") -> tuple[str, str]:
        n = self.nodes
        gamma = n.vector(self.sizes.hidden, 1.0, "gamma")
        if not added:
            kind = "SimplifiedLayerNormalization"
            return n.op(kind, x, gamma, axis=-1, epsilon=EPSILON, stash_type=1), x
        kind = "SkipSimplifiedLayerNormalization"
        normal, _, _, total = n.ops(kind, 4, x, added, gamma, domain=MICROSOFT, epsilon=EPSILON)
        return normal, total

    def attend(self, x: str, past: tuple[str, str]) -> tuple[str, str, str]:
        n, sizes = self.nodes, self.sizes
        merged = self.linear(x, sizes.hidden, sizes.hidden + 2 * sizes.groups * sizes.head)
        inputs = (merged, "", "", *past, self.lengths, self.keys, self.cos, self.sin)
        mixed, k, v = n.ops(
            "GroupQueryAttention",
            3,
            *inputs,
            domain=MICROSOFT,
            num_heads=sizes.heads,
            kv_num_heads=sizes.groups,
            scale=sizes.head**-0.5,
            do_rotary=1,
        )
        return mixed, k, v
