"""What each operation means, in NumPy: the other implementation of the semantics that code
generation has.

Values are NumPy scalars or, in vector programs, arrays of one value per lane; the dtype of the
operands decides. bf16, which NumPy lacks, is held as f32 and rounded after every operation.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import BITS, DType

Array = Any  # a NumPy scalar or array


def rounded(value: Array, dtype: DType) -> Array:
    """A result as a value of dtype."""
    if dtype.name != "bf16":
        return np.asarray(value).astype(dtype.numpy, copy=False)[()]
    single = np.asarray(value, np.float32)
    bits = single.view(np.uint32).astype(np.uint64)
    kept = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
    return np.where(np.isnan(single), single, kept)[()]


def _divide(a: Array, b: Array) -> Array:
    """Towards zero for ints, where dividing by zero gives 0."""
    if np.asarray(a).dtype.kind == "f":
        return np.divide(a, b)
    floor = np.floor_divide(a, b)
    rest = np.where(np.equal(b, 0), 0, a - floor * b)
    return floor + np.where((rest != 0) & ((rest < 0) != (np.asarray(a) < 0)), 1, 0).astype(
        floor.dtype
    )


def _shift(a: Array, b: Array, left: bool) -> Array:
    bits = np.asarray(a).dtype.itemsize * 8
    inside = np.clip(b, 0, bits - 1).astype(np.asarray(a).dtype)
    over = (np.asarray(b) < 0) | (np.asarray(b) >= bits)
    if left:
        return np.where(over, 0, np.left_shift(a, inside)).astype(inside.dtype)
    lost = np.where(np.asarray(a) < 0, -1, 0).astype(inside.dtype)
    return np.where(over, lost, np.right_shift(a, inside)).astype(inside.dtype)


def _power(a: Array, b: Array) -> Array:
    if np.asarray(a).dtype.kind == "f":
        return np.power(a, b)
    size = 1 << np.asarray(a).dtype.itemsize * 8
    unsigned = f"u{np.asarray(a).dtype.itemsize}"

    def one(x: int, y: int) -> int:
        if y < 0:
            return x ** (y & 1) % size if abs(x) == 1 else 0
        return pow(x, y, size)

    flat = [one(int(x), int(y)) for x, y in np.broadcast(a, b)]
    shape = np.broadcast(a, b).shape
    return np.array(flat, unsigned).view(np.asarray(a).dtype).reshape(shape)[()]


def dot4(a: Array, b: Array) -> Array:
    """Words of i32 as four bytes each, unsigned and signed."""
    total = np.zeros(np.broadcast_shapes(np.shape(a), np.shape(b)), np.int32)
    for place in range(0, 32, 8):
        left = (np.asarray(a) >> place & 255).astype(np.uint8).astype(np.int32)
        right = (np.asarray(b) >> place & 255).astype(np.uint8).view(np.int8).astype(np.int32)
        total = total + left * right
    return total[()]


_BINARY: dict[str, Callable[[Array, Array], Array]] = {
    "add": operator.add, "sub": operator.sub, "mul": operator.mul, "div": _divide,
    "floordiv": np.floor_divide, "mod": np.mod, "min": np.minimum, "max": np.maximum,
    "pow": _power, "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor,
    "shl": lambda a, b: _shift(a, b, True), "shr": lambda a, b: _shift(a, b, False),
    "lt": operator.lt, "le": operator.le, "gt": operator.gt, "ge": operator.ge,
    "eq": operator.eq, "ne": operator.ne, "dot4": dot4,
}  # fmt: skip
_UNARY: dict[str, Callable[[Array], Array]] = {
    "neg": np.negative, "abs": np.abs, "exp": np.exp, "log": np.log, "sqrt": np.sqrt,
    "rsqrt": lambda a: 1 / np.sqrt(a), "tanh": np.tanh, "sin": np.sin, "cos": np.cos, "tan": np.tan,
    "erf": np.vectorize(math.erf, otypes=[np.float64]),
    "asin": np.arcsin, "acos": np.arccos, "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh,
    "asinh": np.arcsinh, "acosh": np.arccosh, "atanh": np.arctanh, "floor": np.floor,
    "ceil": np.ceil, "round": np.rint, "trunc": np.trunc, "sign": np.sign, "isnan": np.isnan,
    "isinf": np.isinf, "log1p": np.log1p, "expm1": np.expm1, "recip": lambda a: 1 / a,
    "sigmoid": lambda a: 1 / (1 + np.exp(-a)),
    "not": lambda a: np.logical_not(a) if np.asarray(a).dtype.kind == "b" else np.invert(a),
}  # fmt: skip


def binary_function(op: str) -> Callable[[Array, Array], Array]:
    if op not in _BINARY:
        raise CompilerBug("interpreter", f"unknown operation {op!r}")
    return _BINARY[op]


def unary_function(op: str) -> Callable[[Array], Array]:
    if op in BITS:
        return lambda a: np.asarray(a).view(BITS[op].numpy)[()]
    if op not in _UNARY:
        raise CompilerBug("interpreter", f"unknown operation {op!r}")
    return _UNARY[op]


def convert(value: Array, target: DType) -> Array:
    """value as target: floats are cut to ints, anything but zero is true."""
    if target.is_bool:
        return np.not_equal(value, 0)
    return rounded(value, target)
