"""ViT (Dosovitskiy et al., 2020) as torch exports timm's: one product gives q, k and v, which a
Reshape, a Transpose of five axes and three Gathers take apart.

In: sizes, batch; out: an onnx.ModelProto of one input [batch, 3, image, image] and one output
[batch, classes].
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import onnx

from hidet_ep.zoo.layers import dim, expand, linear, mlp, norm, pick, target
from hidet_ep.zoo.nodes import Nodes, Size

OPSET = 17


@dataclass(frozen=True)
class VitSizes:
    image: int = 224
    patch: int = 16
    layers: int = 12
    hidden: int = 768
    heads: int = 12
    classes: int = 1000

    @property
    def tokens(self) -> int:
        """Patches and the token of the class."""
        return (self.image // self.patch) ** 2 + 1


def vit(
    sizes: VitSizes | None = None, batch: Size = 1, dtype: str = "float32", seed: int = 0
) -> onnx.ModelProto:
    s, n = sizes or VitSizes(), Nodes("vit", seed, dtype, OPSET)
    image = n.input("image", (batch, 3, s.image, s.image), n.dtype)
    x = _embed(n, image, s, batch)
    for _ in range(s.layers):
        x = _layer(n, x, s, batch)
    x = norm(n, x, s.hidden)
    (first,) = pick(n, x, 1, axis=1)
    weights, bias = n.weights(s.classes, s.hidden, fan_in=s.hidden), n.vector(s.classes)
    return n.model({"scores": (n.op("Gemm", first, weights, bias, transB=1), (batch, s.classes))})


def _embed(n: Nodes, image: str, s: VitSizes, batch: Size) -> str:
    """[batch, tokens, hidden]: a token for the class, one for each patch, positions added."""
    wide = 3 * s.patch**2
    filters = n.weights(s.hidden, 3, s.patch, s.patch, fan_in=wide)
    steps = {"kernel_shape": [s.patch] * 2, "strides": [s.patch] * 2}
    patches = n.op("Conv", image, filters, n.vector(s.hidden), **steps)
    size = dim(n, patches, 0, batch)
    flat = n.op("Reshape", patches, target(n, size, s.hidden, -1))
    first = expand(n, n.weights(1, 1, s.hidden, name="token"), size, 1, s.hidden)
    x = n.op("Concat", first, n.op("Transpose", flat, perm=[0, 2, 1]), axis=1)
    return n.op("Add", x, n.weights(1, s.tokens, s.hidden, fan_in=25, name="positions"))


def _layer(n: Nodes, x: str, s: VitSizes, batch: Size) -> str:
    x = n.op("Add", x, _attend(n, norm(n, x, s.hidden), s, batch))
    return n.op("Add", x, mlp(n, norm(n, x, s.hidden), s.hidden, 4 * s.hidden))


def _attend(n: Nodes, x: str, s: VitSizes, batch: Size) -> str:
    width, size = s.hidden // s.heads, dim(n, x, 0, batch)
    merged = linear(n, x, s.hidden, 3 * s.hidden)
    cut = n.op("Reshape", merged, target(n, size, s.tokens, 3, s.heads, width))
    q, k, v = pick(n, n.op("Transpose", cut, perm=[2, 0, 3, 1, 4]), 3)
    root = n.scalar(math.sqrt(width**-0.5))
    turned = n.op("Transpose", k, perm=[0, 1, 3, 2])
    scores = n.op("MatMul", n.op("Mul", q, root), n.op("Mul", turned, root))
    mixed = n.op("MatMul", n.op("Softmax", scores, axis=-1), v)
    mixed = n.op("Transpose", mixed, perm=[0, 2, 1, 3])
    return linear(
        n, n.op("Reshape", mixed, target(n, size, s.tokens, s.hidden)), s.hidden, s.hidden
    )
