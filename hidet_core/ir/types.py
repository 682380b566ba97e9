"""The types of expressions: each node's dtype against those of its operands.

`Types.of` checks an expression once, however often it is used, and tells its free variables and
the buffers it reads.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from .dtypes import BITS, DType, boolean, i32, i64
from .expr import (
    UNARY,
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Select,
    Unary,
    Var,
)
from .fold import ARITHMETIC, COMPARISONS, PACKED, fits, unary_type
from .node import walk
from .printer import text

SHOWN = 200  # characters of a node in a message


class Misfit(Exception):
    """What does not fit, as text."""


@dataclass(frozen=True)
class Facts:
    """free: variables used; buffers: those that are loaded from."""

    free: frozenset[Var]
    buffers: frozenset[Buffer]


NOTHING = Facts(frozenset(), frozenset())


class Types:
    """Checks expressions; vectors: whether ramps, broadcasts and masks are allowed."""

    def __init__(self, vectors: bool) -> None:
        self.vectors = vectors
        self.known: dict[int, tuple[Expr, Facts]] = {}
        self.seen_loads: set[int] = set()

    def of(self, root: Expr) -> Facts:
        """The facts of an expression. Raises Misfit where a dtype is not what it must be."""
        known = self.known.get(id(root))
        if known is None:
            facts = self._facts(root)
            known = self.known[id(root)] = (root, facts)
        return known[1]

    def loads(self, root: Expr) -> Iterator[Load]:
        """The loads of an expression that were not given before."""
        for node in walk(root) if self.of(root).buffers else ():
            if isinstance(node, Load) and id(node) not in self.seen_loads:
                self.seen_loads.add(id(node))
                yield node

    def parts(self, root: Expr) -> Iterator[Any]:
        """All nodes of an expression."""
        return walk(root)

    def _facts(self, node: Expr) -> Facts:
        if isinstance(node, Var):
            return Facts(frozenset((node,)), frozenset())
        below = [self.of(part) for part in _operands(node)]
        why = self._misfit(node)
        if why is not None:
            shown = text(node)
            raise Misfit(f"`{shown[:SHOWN]}`: {why}")
        own = frozenset((node.buffer,)) if isinstance(node, Load) else frozenset()
        if len(below) == 1 and not own:
            return below[0]
        return Facts(
            frozenset().union(*(facts.free for facts in below)),
            own.union(*(facts.buffers for facts in below)),
        )

    def _misfit(self, node: Expr) -> str | None:
        """What is wrong with a node whose operands are right; None if nothing is."""
        match node:
            case Const(value, dtype):
                return _literal(value, dtype)
            case Binary():
                return _binary(node)
            case Unary(op, a, dtype):
                if op not in UNARY:
                    return f"unknown operation {op!r}"
                if op in BITS and a.dtype.bits != dtype.bits:
                    return f"expected as many bits, got {a.dtype} and {dtype}"
                return _differs(unary_type(op, a.dtype), dtype)
            case Cast(a, dtype):
                return _differs(dtype.vector(a.dtype.lanes), dtype)
            case Select(cond, a, b, dtype):
                if cond.dtype not in (boolean, boolean.vector(dtype.lanes)):
                    return f"expected a condition of bool in 1 or {dtype.lanes}, got {cond.dtype}"
                return _differs(dtype, a.dtype) or _differs(dtype, b.dtype)
            case Load():
                return _load(node)
            case Ramp(base, stride, dtype) if self.vectors:
                apart = _differs(i64, base.dtype) or _differs(i64, stride.dtype)
                return apart or _differs(i64.vector(dtype.lanes), dtype)
            case Broadcast(a, dtype) if self.vectors:
                return _differs(a.dtype.scalar, a.dtype) or _differs(
                    a.dtype.vector(dtype.lanes), dtype
                )
        return f"expected no {type(node).__name__} in this spec, got one"


def _operands(node: Expr) -> tuple[Expr, ...]:
    match node:
        case Binary(_, a, b, _):
            return a, b
        case Unary(_, a, _) | Cast(a, _) | Broadcast(a, _):
            return (a,)
        case Select(cond, a, b, _):
            return cond, a, b
        case Load(_, indices, _, mask):
            return indices if mask is None else (*indices, mask)
        case Ramp(base, stride, _):
            return base, stride
    return ()


def _differs(wanted: DType, got: DType) -> str | None:
    return None if wanted == got else f"expected {wanted}, got {got}"


def _literal(value: Any, dtype: DType) -> str | None:
    kind = float if dtype.is_float else bool if dtype.is_bool else int
    if type(value) is not kind:
        return f"expected a {kind.__name__} as a literal of {dtype}, got {value!r}"
    fine = dtype.is_float or fits(value, dtype)
    return None if fine else f"expected a number in the range of {dtype}, got {value!r}"


def _binary(node: Binary) -> str | None:
    op, a, b, dtype = node.op, node.a, node.b, node.dtype
    if a.dtype != b.dtype:
        return f"expected operands of one dtype, got {a.dtype} and {b.dtype}"
    if op in COMPARISONS:
        return _differs(boolean.vector(a.dtype.lanes), dtype)
    if op in PACKED:
        return _differs(i32.vector(a.dtype.lanes), a.dtype) or _differs(a.dtype, dtype)
    if op not in ARITHMETIC:
        return f"unknown operation {op!r}"
    if op in ("and", "or", "xor", "shl", "shr") and dtype.is_float:
        return f"expected ints or bools for {op}, got {dtype}"
    return _differs(a.dtype, dtype)


def _load(node: Load) -> str | None:
    buffer, dtype, mask = node.buffer, node.dtype, node.mask
    lanes = max((index.dtype.lanes for index in node.indices), default=1)
    apart = _differs(buffer.dtype.vector(lanes), dtype)
    if apart is not None or mask is None:
        return apart
    if mask.dtype not in (boolean, boolean.vector(lanes)):
        return f"expected a mask of bool in 1 or {lanes} lanes, got {mask.dtype}"
    return None
