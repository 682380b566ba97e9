"""16-bit floats computed in float32, with one rounding where a value is stored or cast.

    (a + b) * c  of f16 operands   ->   f16((f32(a) + f32(b)) * f32(c))

Arithmetic of f16 and bf16 says what is computed, not where it is rounded: between a load and a
store all of it is float32, so that nothing overflows or loses digits on the way (ONNX Runtime's CPU
provider computes such models that way too). So is the result of an operator that accumulates in
float32, which `narrowed` gives. A Cast to a 16-bit float that the model itself has rounds.
"""

from __future__ import annotations

from typing import Any

from .dtypes import BITS, DType, f32
from .expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Expr,
    Select,
    Unary,
    Var,
    cast,
    load,
)
from .node import Node, child_fields, rebuild


class Widener:
    """wide: variables of 16-bit floats that are held in float32 now."""

    def __init__(self, wide: dict[Var, Var] | None = None) -> None:
        self.wide = {} if wide is None else wide
        self._plain: dict[int, tuple[Any, Any]] = {}  # by id, with the node that keeps it alive
        self._single: dict[int, tuple[Expr, Expr]] = {}

    def plain(self, node: Any) -> Any:
        """A node (or tuple of nodes) of the same dtype without 16-bit arithmetic in it."""
        if isinstance(node, tuple):
            new = tuple(self.plain(item) for item in node)
            return node if all(a is b for a, b in zip(new, node, strict=True)) else new
        if not isinstance(node, Node):
            return node
        known = self._plain.get(id(node))
        if known is None:
            known = self._plain[id(node)] = (node, self._as_plain(node))
        return known[1]

    def single(self, node: Expr) -> Expr:
        """The float32 value of a 16-bit float expression."""
        known = self._single.get(id(node))
        if known is None:
            known = self._single[id(node)] = (node, self._as_single(node))
        return known[1]

    def is_computed(self, node: Expr) -> bool:
        """Whether a 16-bit float is the result of arithmetic, so that float32 holds more of it."""
        match node:
            case Var():
                return node in self.wide
            case Binary() | Unary():
                return not isinstance(node, Unary) or node.op not in BITS
            case Cast(_, _, rounds):
                return not rounds
            case Select(_, a, b, _):
                return self.is_computed(a) or self.is_computed(b)
            case Broadcast(a, _):
                return self.is_computed(a)
        return False

    def _as_plain(self, node: Any) -> Any:
        if isinstance(node, Expr) and node.dtype.is_half and self.is_computed(node):
            return cast(self.single(node), node.dtype)
        match node:
            case Binary(op, a, b, dtype) if a.dtype.is_half:
                return Binary(op, self.single(a), self.single(b), dtype)
            case Unary(op, a, dtype) if a.dtype.is_half and op not in BITS:
                return Unary(op, self.single(a), dtype)
            case Cast(a, dtype) if a.dtype.is_half and (not dtype.is_half or self.is_computed(a)):
                return cast(self.single(a), dtype)
        changed = {name: self.plain(getattr(node, name)) for name in child_fields(type(node))}
        return rebuild(node, changed)

    def _as_single(self, node: Expr) -> Expr:
        dtype = _single(node.dtype)
        match node:
            case Const(value, _):
                return Const(value, dtype)
            case Var() if node in self.wide:
                return self.wide[node]
            case Binary(op, a, b, _):
                return Binary(op, self.single(a), self.single(b), dtype)
            case Unary(op, a, _) if op not in BITS:
                return Unary(op, self.single(a), dtype)
            case Cast(a, _, False):
                return self.single(a) if a.dtype.is_half else cast(self.plain(a), dtype)
            case Select(cond, a, b, _):
                return Select(self.plain(cond), self.single(a), self.single(b), dtype)
            case Broadcast(a, _):
                return Broadcast(self.single(a), dtype)
        return Cast(self.plain(node), dtype)


def wide_type(dtype: DType) -> DType:
    """The dtype in which values of a dtype are accumulated: f32 for f16 and bf16, else itself."""
    return _single(dtype) if dtype.is_half else dtype


def wide(value: Expr) -> Expr:
    """A value in the dtype in which it is accumulated."""
    return cast(value, wide_type(value.dtype))


def wide_load(buffer: Buffer, *indices: Any) -> Expr:
    """An element of a buffer as a value to accumulate."""
    return wide(load(buffer, *indices))


def narrowed(value: Expr, dtype: DType) -> Expr:
    """A value as dtype; as a 16-bit float it may keep its digits until it is stored."""
    if value.dtype == dtype or not dtype.is_half or isinstance(value, Const):
        return cast(value, dtype)
    return Cast(value, dtype, rounds=False)


def widened(value: Expr) -> Expr:
    """An expression of the same dtype that computes 16-bit floats in float32; itself where it has
    none.
    """
    return Widener().plain(value)


def _single(dtype: DType) -> DType:
    return f32.vector(dtype.lanes)
