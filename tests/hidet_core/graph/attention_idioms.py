"""Scaled dot-product attention as exporters spell it: small ONNX models, and what each must become.

Every idiom is a function of a `Net`; heads are [2, 3, sequence, 4] unless it says otherwise.
"""

import math

import numpy as np
import onnx
from onnx import helper

from tests.hidet_core.importer.networks import Net

BATCH, HEADS, SEQUENCE, WIDTH = 2, 3, 7, 4
LOWEST = float(np.finfo(np.float32).min)
SPLIT = np.array([0, 0, HEADS, WIDTH])
JOIN = np.array([0, 0, HEADS * WIDTH])
FLAT = np.array([BATCH * HEADS, SEQUENCE, WIDTH])
TRI = np.tri(SEQUENCE, dtype=bool)


def net_int(net, number):
    return net.const(np.array([number]))


class Attention(Net):
    """A net whose input is [batch, sequence, hidden]."""

    def __init__(self, sequence=SEQUENCE, opset=17):
        super().__init__(BATCH, sequence, HEADS * WIDTH, opset=opset)

    def number(self, value):
        return self.const(np.float32(value))

    def given(self, name, shape, kind=onnx.TensorProto.FLOAT):
        self.inputs.append(helper.make_tensor_value_info(name, kind, shape))
        return name

    def head(self, perm=(0, 2, 1, 3)):
        """A projection of x, cut into heads."""
        hidden = HEADS * WIDTH
        y = self.op("Add", self.op("MatMul", "x", self.weights(hidden, hidden)),
                    self.weights(hidden))  # fmt: skip
        return self.op("Transpose", self.op("Reshape", y, self.const(SPLIT)), perm=list(perm))

    def qkv(self):
        return self.head(), self.head((0, 2, 3, 1)), self.head()

    def rotated(self, x):
        """x cos + rotate_half(x) sin, with an angle for each position and element."""
        half, last, axis = (net_int(self, n) for n in (WIDTH // 2, WIDTH, 3))
        first = self.op("Slice", x, net_int(self, 0), half, axis)
        second = self.op("Neg", self.op("Slice", x, half, last, axis))
        turned = self.op("Concat", second, first, axis=-1)
        cos, sin = (self.weights(1, 1, SEQUENCE, WIDTH) for _ in range(2))
        return self.op("Add", self.op("Mul", x, cos), self.op("Mul", turned, sin))

    def repeated(self, x):
        """[batch, 1, sequence, width] for all heads."""
        wide = self.op("Unsqueeze", x, net_int(self, 2))
        shape = np.array([BATCH, 1, HEADS, SEQUENCE, WIDTH])
        wide = self.op("Expand", wide, self.const(shape))
        return self.op("Reshape", wide, self.const(shape[[0, 2, 3, 4]]))

    def join(self, mixed):
        return self.op("Reshape", self.op("Transpose", mixed, perm=[0, 2, 1, 3]), self.const(JOIN))

    def scaled(self, q, turned):
        return self.op("Div", self.op("MatMul", q, turned), self.number(math.sqrt(WIDTH)))

    def mix(self, scores, v):
        return self.model(self.join(self.op("MatMul", self.op("Softmax", scores, axis=-1), v)))


def plain():
    net = Attention()
    q, turned, v = net.qkv()
    return net.mix(net.op("MatMul", q, turned), v)


def divided_scores():
    net = Attention()
    q, turned, v = net.qkv()
    return net.mix(net.scaled(q, turned), v)


def scaled_query():
    net = Attention()
    q, turned, v = net.qkv()
    return net.mix(net.op("MatMul", net.op("Mul", q, net.number(0.25)), turned), v)


def scaled_bias_and_weights():
    """The scale in the projection, which folds into its weights: nothing left to match but 1."""
    net = Attention()
    q, turned, v = net.head(), net.head((0, 2, 3, 1)), net.head()
    return net.mix(net.op("Mul", net.op("MatMul", q, turned), net.number(0.125)), v)


def dynamo():
    """Keys are turned through three dims; the root of the scale goes into q and k; a guard."""
    net = Attention()
    q, k, v = (net.head() for _ in range(3))
    flat = net.op("Reshape", k, net.const(FLAT))
    turned = net.op("Transpose", flat, perm=[0, 2, 1])
    turned = net.op("Reshape", turned, net.const(np.array([BATCH, HEADS, WIDTH, SEQUENCE])))
    root = net.number(WIDTH**-0.25)
    scores = net.op("MatMul", net.op("Mul", q, root), net.op("Mul", turned, root))
    weights = net.op("Softmax", scores, axis=-1)
    guarded = net.op("Where", net.op("IsNaN", weights), net.number(0), weights)
    return net.model(net.join(net.op("MatMul", guarded, v)))


def additive_mask():
    """BERT: (1 - mask) * lowest for each key."""
    net = Attention()
    q, turned, v = net.qkv()
    given = net.given("mask", [BATCH, SEQUENCE], onnx.TensorProto.INT64)
    wide = net.op("Unsqueeze", given, net.const(np.array([1, 2])))
    padding = net.op("Sub", net.number(1), net.op("Cast", wide, to=onnx.TensorProto.FLOAT))
    mask = net.op("Mul", padding, net.number(LOWEST))
    return net.mix(net.op("Add", net.scaled(q, turned), mask), v)


def mask_first_operand():
    net = Attention()
    q, turned, v = net.qkv()
    mask = net.given("mask", [SEQUENCE, SEQUENCE])
    return net.mix(net.op("Add", mask, net.scaled(q, turned)), v)


def scaled_after_mask():
    """The scale also applies to the mask."""
    net = Attention()
    q, turned, v = net.qkv()
    mask = net.given("mask", [BATCH, 1, SEQUENCE, SEQUENCE])
    scores = net.op("Add", net.op("MatMul", q, turned), mask)
    return net.mix(net.op("Mul", scores, net.number(0.5)), v)


def boolean_mask():
    """A bool for each pair: what is not kept becomes the lowest float."""
    net = Attention()
    q, turned, v = net.qkv()
    mask = net.given("mask", [BATCH, 1, SEQUENCE, SEQUENCE], onnx.TensorProto.BOOL)
    return net.mix(net.op("Where", mask, net.scaled(q, turned), net.number(LOWEST)), v)


def dropping_mask():
    """masked_fill: true where the score is replaced."""
    net = Attention()
    q, turned, v = net.qkv()
    mask = net.given("mask", [BATCH, 1, 1, SEQUENCE], onnx.TensorProto.BOOL)
    return net.mix(net.op("Where", mask, net.number(-1e9), net.scaled(q, turned)), v)


def causal_where():
    """GPT-2: a constant triangle."""
    net = Attention()
    q, turned, v = net.qkv()
    mask = net.const(TRI[None, None])
    return net.mix(net.op("Where", mask, net.scaled(q, turned), net.number(LOWEST)), v)


def causal_added():
    net = Attention()
    q, turned, v = net.qkv()
    mask = net.const(np.where(TRI, 0, -np.inf).astype(np.float32))
    return net.mix(net.op("Add", net.scaled(q, turned), mask), v)


def causal_compared():
    """Ranges of positions are compared; the mask is turned into -inf."""
    net = Attention()
    q, turned, v = net.qkv()
    ends = [net.const(np.int64(n)) for n in (0, SEQUENCE, 1)]
    at = net.op("Range", *ends)
    keys = net.op("Unsqueeze", at, net.const(np.array([0])))
    queries = net.op("Unsqueeze", at, net.const(np.array([1])))
    later = net.op("Greater", keys, queries)
    mask = net.op("Where", later, net.number(-math.inf), net.number(0))
    return net.mix(net.op("Add", net.scaled(q, turned), mask), v)


def causal_trilu():
    net = Attention()
    q, turned, v = net.qkv()
    shape = net.const(np.array([SEQUENCE, SEQUENCE]))
    full = net.op("Expand", net.number(-math.inf), shape)
    mask = net.op("Trilu", full, net.const(np.int64(1)), upper=1)
    return net.mix(net.op("Add", net.scaled(q, turned), mask), v)


def causal_and_padding():
    """Both -inf: one is an attribute, the other stays a mask."""
    net = Attention()
    q, turned, v = net.qkv()
    padding = net.given("mask", [BATCH, 1, 1, SEQUENCE])
    scores = net.op("Add", net.scaled(q, turned), padding)
    triangle = net.const(np.where(TRI, 0, -np.inf).astype(np.float32)[None, None])
    return net.mix(net.op("Add", scores, triangle), v)


def finite_causal_and_padding():
    """Rows that see no key would differ, so the triangle stays a mask."""
    net = Attention()
    q, turned, v = net.qkv()
    padding = net.given("mask", [BATCH, 1, 1, SEQUENCE])
    scores = net.op("Add", net.scaled(q, turned), padding)
    triangle = net.const(np.where(TRI, 0, -1e5).astype(np.float32)[None, None])
    return net.mix(net.op("Add", scores, triangle), v)


def flat_heads():
    """BART: batch and heads are one dim of the products, two dims where the mask is added."""
    net = Attention()
    q, k, v = (net.op("Reshape", net.head(), net.const(FLAT)) for _ in range(3))
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 2, 1]))
    sides = [BATCH, HEADS, SEQUENCE, SEQUENCE]
    mask = net.given("mask", [BATCH, 1, SEQUENCE, SEQUENCE])
    scores = net.op("Add", net.op("Reshape", scores, net.const(np.array(sides))), mask)
    scores = net.op("Reshape", scores, net.const(np.array([-1, SEQUENCE, SEQUENCE])))
    mixed = net.op("MatMul", net.op("Softmax", scores, axis=-1), v)
    mixed = net.op("Reshape", mixed, net.const(np.array([BATCH, HEADS, SEQUENCE, WIDTH])))
    return net.model(net.join(mixed))


def symbolic_causal():
    """A slice of a large triangle by the sequence's length."""
    net = Attention("s")
    q, turned, v = net.qkv()
    length = net.op("Gather", net.op("Shape", "x"), net.const(np.int64(1)), axis=0)
    ends = [net.const(np.int64(0)), length, net.const(np.int64(1))]
    at = net.op("Range", *ends)
    keys = net.op("Unsqueeze", at, net.const(np.array([0])))
    queries = net.op("Unsqueeze", at, net.const(np.array([1])))
    seen = net.op("LessOrEqual", keys, queries)
    return net.mix(net.op("Where", seen, net.scaled(q, turned), net.number(-math.inf)), v)


def shared_keys(hidden_score=-math.inf):
    """Llama: one head of keys, turned and repeated for all heads of queries; a mask by a Where."""
    net = Attention()
    hidden = HEADS * WIDTH
    q = net.rotated(net.head())
    k, v = (net.op("MatMul", "x", net.weights(hidden, WIDTH)) for _ in range(2))
    k, v = (net.op("Reshape", value, net.const(np.array([0, 0, 1, WIDTH]))) for value in (k, v))
    k, v = (net.op("Transpose", value, perm=[0, 2, 1, 3]) for value in (k, v))
    k, v = net.repeated(net.rotated(k)), net.repeated(v)
    at = net.op("Range", *(net.const(np.int64(n)) for n in (0, SEQUENCE, 1)))
    keys, queries = (net.op("Unsqueeze", at, net.const(np.array([n]))) for n in (0, 1))
    given = net.given("mask", [BATCH, SEQUENCE], onnx.TensorProto.INT64)
    kept = net.op("Cast", given, to=onnx.TensorProto.BOOL)
    kept = net.op("Unsqueeze", kept, net.const(np.array([1, 2])))
    kept = net.op("And", kept, net.op("LessOrEqual", keys, queries))
    mask = net.op("Where", kept, net.number(0), net.number(hidden_score))
    scores = net.op("MatMul", q, net.op("Transpose", k, perm=[0, 1, 3, 2]))
    scores = net.op("Add", net.op("Mul", scores, net.number(0.5)), mask)
    return net.mix(scores, v)


def shared_keys_and_lowest():
    """A row of padding that sees no key is the mean of all values, so the mask stays one."""
    return shared_keys(LOWEST)


# idiom: (scale, causal, zero_nan, inputs)
EXPECTED = {
    plain: (1.0, False, False, 3),
    divided_scores: (0.5, False, False, 3),
    scaled_query: (0.25, False, False, 3),
    scaled_bias_and_weights: (0.125, False, False, 3),
    dynamo: (0.5, False, True, 3),
    additive_mask: (0.5, False, False, 4),
    mask_first_operand: (0.5, False, False, 4),
    scaled_after_mask: (0.5, False, False, 4),
    boolean_mask: (0.5, False, False, 4),
    dropping_mask: (0.5, False, False, 4),
    causal_where: (0.5, True, False, 3),
    causal_added: (0.5, True, False, 3),
    causal_compared: (0.5, True, False, 3),
    causal_trilu: (0.5, True, False, 3),
    causal_and_padding: (0.5, True, False, 4),
    finite_causal_and_padding: (0.5, False, False, 4),
    flat_heads: (1.0, False, False, 4),
    symbolic_causal: (0.5, True, False, 3),
    shared_keys: (0.5, True, False, 4),
    shared_keys_and_lowest: (0.5, False, False, 4),
}
IDIOMS = {idiom.__name__: (idiom, *wanted) for idiom, wanted in EXPECTED.items()}
