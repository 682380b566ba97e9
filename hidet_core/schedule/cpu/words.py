"""Four bytes at a time: operands of dot4 (ir/expr.py) and constant weights packed for it.

    sum over k of x[k] * w[k]  =  start + sum over words of dot4(u8(x + shift), w)

Unsigned activations are bytes as they are; signed ones get 128, by a flip of the highest bit, and
`start` is -128 times the sum of the weights. Where a run of bytes does not end with a word, the
weights of the rest of the last word are 0, and nothing behind the run is read.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hidet_core.ir.dtypes import i32, u8
from hidet_core.ir.expr import Expr, binary, cast, wrap

BYTES = 4  # of a word
FLIP = -0x7F7F7F80  # 0x80 in each byte of a word
SIGN = 128


def word_count(length: int) -> int:
    """Words of a run of bytes."""
    return -(-length // BYTES)


def dot4(a: Expr, b: Expr) -> Expr:
    """The sum of the products of four bytes, u8 of the words `a` and i8 of the words `b`: i32."""
    return binary("dot4", a, b)


def word(element: Callable[[int], Expr], count: int, is_signed: bool) -> Expr:
    """`count` bytes, the lowest first, as an operand of dot4."""
    total: Expr = wrap(0, i32)
    for place in range(count):
        byte = cast(cast(element(place), u8), i32)
        total = binary("or", total, binary("shl", byte, wrap(8 * place, i32)))
    return binary("xor", total, wrap(FLIP, i32)) if is_signed else total


def pack_words(matrix: np.ndarray, width: int, length: int, is_signed: bool) -> np.ndarray:
    """Weights i8 [depth, cols], whose depth is in runs of `length`, as [panel][step][width] words
    of i32; the first step is what the sums start with.
    """
    depth, cols = matrix.shape
    runs, words, panels = depth // length, word_count(length), -(-cols // width)
    bytes_ = np.zeros((runs, words * BYTES, panels * width), np.int8)
    bytes_[:, :length, :cols] = matrix.reshape(runs, length, cols)
    steps = np.ascontiguousarray(
        bytes_.reshape(runs * words, BYTES, panels, width).transpose(2, 0, 3, 1)
    )
    packed = np.zeros((panels, runs * words + 1, width), np.int32)
    packed[:, 1:] = steps.view("<i4")[..., 0]
    if is_signed:
        packed[:, 0] = -SIGN * bytes_.sum(axis=(0, 1), dtype=np.int32).reshape(panels, width)
    return packed
