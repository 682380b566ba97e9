"""Structural comparison of expressions: `key(expr)` is hashable and equal for equal structures.

Variables and buffers count by identity, everything else by its parts. Parts that are shared by many
expressions are looked at once: a node keeps its key, and a long key is replaced by a digest.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any

from .expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Reduce,
    Select,
    Unary,
    Var,
)

_COMMUTATIVE = ("add", "mul", "min", "max", "and", "or", "xor", "eq", "ne")


LONG = 400  # characters of a key


def key(node: Any) -> Any:
    """A hashable value that two expressions share exactly when they have the same structure."""
    match node:
        case Var() | Buffer():
            return id(node)
        case int():
            return ("c", node, "i64", 1)
        case None:
            return None
    known = getattr(node, "_key", None)
    if known is None:
        known = _key(node)
        text = repr(known)
        if len(text) > LONG:
            known = ("digest", blake2b(text.encode(), digest_size=16).hexdigest())
        object.__setattr__(node, "_key", known)  # no field: the node itself does not change
    return known


def _key(node: Any) -> Any:
    match node:
        case Const(value, dtype):
            # the text of a float tells 0.0 from -0.0, and NaN is equal to itself
            plain = repr(value) if isinstance(value, float) else value
            return ("c", plain, dtype.name, dtype.lanes)
        case Binary(op, a, b, _):
            left, right = key(a), key(b)
            if op in _COMMUTATIVE and repr(right) < repr(left):
                left, right = right, left
            return (op, left, right)
        case Unary(op, a, _):
            return (op, key(a))
        case Cast(a, dtype, rounds):
            return ("cast", key(a), dtype.name, rounds)
        case Select(cond, a, b, _):
            return ("select", key(cond), key(a), key(b))
        case Load(buffer, indices, _, mask):
            return ("load", id(buffer), tuple(key(i) for i in indices), key(mask))
        case Reduce(op, axes, extents, value, _):
            return (
                "reduce",
                op,
                tuple(id(a) for a in axes),
                tuple(key(e) for e in extents),
                key(value),
            )
        case Ramp(base, stride, dtype):
            return ("ramp", key(base), key(stride), dtype.lanes)
        case Broadcast(a, dtype):
            return ("splat", key(a), dtype.lanes)
    raise TypeError(f"no structural key for {type(node).__name__}")


def same(a: int | Expr, b: int | Expr) -> bool:
    """Whether two expressions (or numbers) have the same structure."""
    return a is b or key(a) == key(b)
