"""Values of expressions: each expression object becomes LLVM instructions once per scope that needs
it.

What is known of a value travels with it, because it decides which instructions are right: whether
an integer can be negative, whether it came from memory (then its arithmetic may wrap), whether a
store can make it stale.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import i32, i64
from hidet_core.ir.expr import (
    Binary,
    Broadcast,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Select,
    Unary,
    Var,
    is_const,
)
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import Program, Store
from hidet_core.target.cpu import Cpu

from ..text import Writer, literal, type_name
from . import arith
from .access import contiguous, one_place
from .convert import convert
from .dot import dot4
from .memory import Memory
from .unary import unary

NONNEG = 1  # an integer known not to be negative
DATA = 2  # made from values in memory: its arithmetic may wrap, that of indices does not
FRESH = 4  # read from memory that the program also writes: good until the next store


class Value(NamedTuple):
    """The LLVM name or literal of an expression, and what is known of it."""

    ref: str
    facts: int


class Values:
    """The expressions of one program, and which of them are known at the place that is being
    written.
    """

    def __init__(self, writer: Writer, program: Program, cpu: Cpu | None = None) -> None:
        self.w = writer
        self.cpu = cpu
        self.memory = Memory(writer, program, self.ref)
        self.known: dict[int, Value] = {}
        self.trail: list[int] = []  # ids in `known`, in order, to forget them when their scope ends
        self.fresh: list[int] = []
        self.written = {id(node.buffer) for node in walk(program.body) if isinstance(node, Store)}

    def store(self, node: Store) -> None:
        self.memory.store(node)
        self.forget_fresh()

    # what is known where

    def mark(self) -> int:
        """The beginning of a scope, for `forget`."""
        return len(self.trail)

    def remember(self, expr: Expr, value: Value) -> Value:
        """Until the scope ends, or for what is FRESH until the next store."""
        self.known[id(expr)] = value
        self.trail.append(id(expr))
        if value.facts & FRESH:
            self.fresh.append(id(expr))
        return value

    def forget(self, mark: int) -> None:
        """Leave the scope that began at the mark."""
        for key in self.trail[mark:]:
            self.known.pop(key, None)
        del self.trail[mark:]
        self.forget_fresh()

    def forget_fresh(self) -> None:
        """Memory has changed, or may have on another way to here."""
        for key in self.fresh:
            self.known.pop(key, None)
        self.fresh.clear()

    # expressions

    def ref(self, expr: Expr) -> str:
        return self.value(expr).ref

    def value(self, expr: Expr) -> Value:
        known = self.known.get(id(expr))
        if known is not None:
            return known
        return self.remember(expr, _RULES[type(expr)](self, expr))

    def _const(self, node: Const) -> Value:
        nonneg = NONNEG if node.dtype.is_int and node.value >= 0 else 0
        return Value(literal(node.value, node.dtype), nonneg)

    def _var(self, node: Var) -> Value:
        raise CompilerBug("codegen", f"variable {node.name} is used where it is not bound")

    def _load(self, node: Load) -> Value:
        facts = DATA | (FRESH if id(node.buffer) in self.written else 0)
        for part in (node.indices[0], node.mask):
            if part is not None:
                facts |= self._index_facts(part) & FRESH
        if node.dtype.kind in "ub":
            facts |= NONNEG
        return Value(self.memory.load(node), facts)

    def _index_facts(self, index: Expr) -> int:
        if isinstance(index, Ramp) and contiguous(index):
            return self.value(index.base).facts
        single = one_place(index)
        return self.value(index if single is None else single).facts

    def _ramp(self, node: Ramp) -> Value:
        base, stride = self.value(node.base), self.value(node.stride)
        w, dtype = self.w, node.dtype
        if dtype.lanes == 1:
            return base
        kind = type_name(dtype)
        steps = [k * node.stride.value if is_const(node.stride) else k for k in range(dtype.lanes)]
        offsets = "<" + ", ".join(f"{type_name(dtype.scalar)} {k}" for k in steps) + ">"
        if not is_const(node.stride):
            offsets = w.op(f"mul {kind} {offsets}, {w.splat(stride.ref, dtype)}")
        facts = (base.facts & stride.facts & NONNEG) | ((base.facts | stride.facts) & ~NONNEG)
        return Value(w.op(f"add {kind} {w.splat(base.ref, dtype)}, {offsets}"), facts)

    def _broadcast(self, node: Broadcast) -> Value:
        value = self.value(node.a)
        return Value(self.w.splat(value.ref, node.dtype), value.facts)

    def _cast(self, node: Cast) -> Value:
        value = self.value(node.a)
        source, target = node.a.dtype, node.dtype
        nonneg = value.facts & NONNEG
        if not (
            source.is_bool or target.kind == "u" or (source.is_int and target.bits >= source.bits)
        ):
            nonneg = 0
        if source.kind == "u" and target.kind == "i" and target.bits == source.bits:
            nonneg = 0
        return Value(convert(self.w, value.ref, source, target), (value.facts & ~NONNEG) | nonneg)

    def _select(self, node: Select) -> Value:
        cond, a, b = self.value(node.cond), self.value(node.a), self.value(node.b)
        kind = type_name(node.dtype)
        ref = self.w.op(
            f"select {type_name(node.cond.dtype)} {cond.ref}, {kind} {a.ref}, {kind} {b.ref}"
        )
        return Value(
            ref, (a.facts & b.facts & NONNEG) | ((cond.facts | a.facts | b.facts) & ~NONNEG)
        )

    def _unary(self, node: Unary) -> Value:
        value = self.value(node.a)
        return Value(unary(self.w, node.op, value.ref, node.a.dtype), value.facts & ~NONNEG)

    def _binary(self, node: Binary) -> Value:
        if node.op == "dot4":
            return self._dot4(node, None)
        for part, total in ((node.b, node.a), (node.a, node.b)):
            if node.op == "add" and isinstance(part, Binary) and part.op == "dot4":
                return self._dot4(part, total)
        if node.op == "lt" and node.dtype.lanes > 1 and contiguous(node.a):
            if node.a.dtype.bits == 64 and (isinstance(node.b, Broadcast) or is_const(node.b)):
                return self._lanes_below(node)
        a, b = self.value(node.a), self.value(node.b)
        dtype = node.a.dtype
        facts = ((a.facts | b.facts) & ~NONNEG) | _sign(node, a.facts, b.facts)
        if node.op == "pow" and dtype.is_float and is_const(node.b) and node.b.value in (1, 2, 3):
            return Value(arith.small_power(self.w, a.ref, node.b.value, dtype), facts)
        index = dtype.bits == 64 and dtype.kind == "i" and not facts & DATA
        if index and node.op in ("floordiv", "mod") and a.facts & NONNEG and _positive(node.b):
            return Value(arith.floor_known(self.w, node.op, a.ref, b.ref, dtype), facts)
        if index and node.op in ("add", "sub", "mul"):
            return Value(self.w.op(f"{node.op} nsw {type_name(dtype)} {a.ref}, {b.ref}"), facts)
        return Value(arith.binary(self.w, node.op, a.ref, b.ref, dtype), facts)

    def _dot4(self, node: Binary, total: Expr | None) -> Value:
        """With the sum it is added to, which is part of the instruction."""
        parts = [self.value(part) for part in (node.a, node.b, *([] if total is None else [total]))]
        refs = [part.ref for part in parts]
        facts = DATA
        for part in parts:
            facts |= part.facts & FRESH
        before = None if total is None else refs[2]
        return Value(dot4(self.w, before, refs[0], refs[1], node.dtype, self.cpu), facts)

    def _lanes_below(self, node: Binary) -> Value:
        """Ramp(base, 1) < bound, the mask of a tail: one 32-bit comparison with min(bound - base,
        lanes).
        """
        w, lanes = self.w, node.dtype.lanes
        base = self.value(node.a.base)
        bound = (
            self.value(node.b.a) if isinstance(node.b, Broadcast) else Value(str(node.b.value), 0)
        )
        left = w.op(f"sub i64 {bound.ref}, {base.ref}")
        room = w.call("llvm.smin.i64", i64, ("i64", left), ("i64", str(lanes)))
        room = w.call("llvm.smax.i64", i64, ("i64", room), ("i64", "0"))
        vector = i32.vector(lanes)
        limit = w.splat(arith.to_i32(w, room, i64), vector)
        numbers = "<" + ", ".join(f"i32 {k}" for k in range(lanes)) + ">"
        facts = (base.facts | bound.facts) & ~NONNEG
        return Value(w.op(f"icmp slt {type_name(vector)} {numbers}, {limit}"), facts)


def _sign(node: Binary, a: int, b: int) -> int:
    """NONNEG where the result cannot be negative."""
    if node.dtype.is_bool or not node.a.dtype.is_int:
        return 0
    match node.op:
        case "add" | "mul" | "floordiv" | "div" | "min" | "shr":
            return a & b & NONNEG if not (a | b) & DATA or node.op not in ("add", "mul") else 0
        case "max" | "and":
            return (a | b) & NONNEG
        case "mod":
            return NONNEG if b & NONNEG else 0
    return 0


def _positive(expr: Expr) -> bool:
    return is_const(expr) and expr.value > 0


_RULES: dict[type, Callable[[Values, Any], Value]] = {
    Const: Values._const, Var: Values._var, Load: Values._load, Ramp: Values._ramp,
    Broadcast: Values._broadcast, Cast: Values._cast, Select: Values._select,
    Unary: Values._unary, Binary: Values._binary,
}  # fmt: skip
