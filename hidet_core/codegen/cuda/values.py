"""Expressions as CUDA C++.

A vector expression is written for one lane: `lane` is the variable of the loop around it. 16-bit
floats are computed in float and rounded after each operation, as the interpreter does.
"""

from __future__ import annotations

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import BITS, DType, i64
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
from hidet_core.ir.fold import COMPARISONS
from hidet_core.ir.node import walk

from .names import Names, literal, type_name
from .widths import Widths

ATOM = 9  # binds tighter than all operators
_LEVELS = {
    "||": 1, "&&": 2, "|": 3, "^": 4, "&": 5, "==": 6, "!=": 6, "<": 7, "<=": 7, ">": 7, ">=": 7,
    "+": 8, "-": 8, "*": ATOM - 0.5, "/": ATOM - 0.5, "%": ATOM - 0.5,
}  # fmt: skip
_COMPARE = {"lt": "<", "le": "<=", "gt": ">", "ge": ">=", "eq": "==", "ne": "!="}
_ARITHMETIC = {"add": "+", "sub": "-", "mul": "*", "div": "/"}
_BOOLEAN = {"and": "&&", "or": "||", "xor": "!="}
_BITS = {"and": "&", "or": "|", "xor": "^"}


class Values:
    """Writes expressions. hoisted: vector loads that were done before, by identity."""

    def __init__(self, names: Names) -> None:
        self.names = names
        self.widths = Widths()
        self.hoisted: dict[int, str] = {}
        self.data: dict[int, tuple[Expr, bool]] = {}

    def write(self, node: Expr, outer: float = 0) -> str:
        """The expression, in parentheses where `outer` binds tighter than its operator."""
        text, level = self._write(node)
        return f"({text})" if level < outer else text

    def type_of(self, node: Expr) -> str:
        """The C++ type in which a value is computed."""
        if self.widths.is_index(node) and self.widths.narrow(node):
            return type_name(node.dtype).replace("i64", "int")
        return type_name(node.dtype)

    def _write(self, node: Expr) -> tuple[str, float]:
        match node:
            case Const(value, dtype):
                return self._literal(node, value, dtype.scalar)
            case Var():
                lane = "" if node.dtype.lanes == 1 else ".lane[lane]"
                return self.names.of(node) + lane, ATOM
            case Broadcast(a, _):
                return self._write(a)
            case Ramp(base, stride, _):
                step = "lane" if is_const(stride, 1) else f"{self.write(stride, ATOM)} * lane"
                if is_const(base, 0):
                    return step, 8
                return f"{self.write(base, 8)} + {step}", 8
            case Cast(a, dtype):
                return self._cast(node, a, dtype.scalar), ATOM
            case Select(cond, a, b, _):
                sides = f"{self.write(a, 0.5)} : {self.write(b, 0.5)}"
                return f"{self.write(cond, 1)} ? {sides}", 0
            case Load():
                return self._load(node)
            case Unary(op, a, dtype):
                return self._unary(op, a, dtype.scalar)
            case Binary(op, a, b, _) if op in COMPARISONS:
                return self._compare(_COMPARE[op], a, b)
            case Binary(op, a, b, dtype):
                return self._binary(node, op, a, b, dtype.scalar)
        raise CompilerBug("codegen", f"{type(node).__name__} is not part of lowered programs")

    def _literal(self, node: Expr, value: object, dtype: DType) -> tuple[str, float]:
        narrow = dtype == i64 and self.widths.narrow(node)
        text = str(value) if narrow else literal(value, dtype)
        return text, 8 if text.startswith("-") else ATOM

    def _load(self, node: Load) -> tuple[str, float]:
        known = self.hoisted.get(id(node))
        if known is not None:
            return f"{known}.lane[lane]", ATOM
        text = f"{self.names.of(node.buffer)}[{self.write(node.indices[0])}]"
        if node.mask is None:
            return text, ATOM
        return f"{self.write(node.mask, 1)} ? {text} : {literal(0, node.dtype.scalar)}", 0

    def _cast(self, node: Expr, a: Expr, dtype: DType) -> str:
        if dtype.is_bool:
            zero = literal(0, a.dtype.scalar)
            return f"({self._plain(a, 6.5)} != {'0.0f' if _is_half(a.dtype) else zero})"
        target = self.type_of(node).split("<")[-1].split(",")[0]
        if target == "float" and _is_half(a.dtype):
            return self._plain(a)
        # not `float(x[i])`, which g++ may read as the type of a function
        return f"static_cast<{target}>({self._plain(a)})"

    def _plain(self, a: Expr, outer: float = 0) -> str:
        """An operand as a type that C++ computes with: 16-bit floats as float."""
        return f"ht_single({self.write(a)})" if _is_half(a.dtype) else self.write(a, outer)

    def _compare(self, symbol: str, a: Expr, b: Expr) -> tuple[str, float]:
        level = _LEVELS[symbol]
        return f"{self._plain(a, level + 1)} {symbol} {self._plain(b, level + 1)}", level

    def _unary(self, op: str, a: Expr, dtype: DType) -> tuple[str, float]:
        if op in BITS:
            return f"ht_bits<{type_name(BITS[op])}>({self.write(a)})", ATOM
        text = self._plain(a)
        if op == "not":
            return f"{'!' if dtype.is_bool else '~'}{self.write(a, ATOM)}", ATOM
        if op == "neg" and dtype.is_float:
            text = f"-{self._plain(a, ATOM)}"
            return self._rounded(text, dtype), 8
        if dtype.is_int:
            kind = self.type_of(a).split("<")[-1].split(",")[0]
            return f"ht_{op}<{kind}>({text})", ATOM
        return self._rounded(f"ht_{op}({text})", dtype), ATOM

    def _rounded(self, text: str, dtype: DType) -> str:
        return f"{type_name(dtype)}({text})" if _is_half(dtype) else text

    def _binary(self, node: Expr, op: str, a: Expr, b: Expr, dtype: DType) -> tuple[str, float]:
        if dtype.is_bool:
            return self._boolean(op, a, b)
        if dtype.is_float:
            if op in _ARITHMETIC:
                return self._operator(_ARITHMETIC[op], a, b, dtype)
            return self._rounded(f"ht_{op}({self._plain(a)}, {self._plain(b)})", dtype), ATOM
        if op in _BITS:
            text, level = self._operator(_BITS[op], a, b, dtype)
            return (text, level) if dtype.bits >= 32 else (f"{type_name(dtype)}({text})", ATOM)
        if dtype == i64 and not self._is_data(node):
            return self._index(node, op, a, b)
        kind = type_name(dtype)
        return f"ht_{op}<{kind}>({self.write(a)}, {self.write(b)})", ATOM

    def _boolean(self, op: str, a: Expr, b: Expr) -> tuple[str, float]:
        symbol = _BOOLEAN.get(op)
        if symbol is None:  # of numbers 0 and 1
            return f"ht_{op}<bool>({self.write(a)}, {self.write(b)})", ATOM
        level = _LEVELS[symbol]
        return f"{self.write(a, level)} {symbol} {self.write(b, level + 1)}", level

    def _operator(self, symbol: str, a: Expr, b: Expr, dtype: DType) -> tuple[str, float]:
        level = _LEVELS[symbol]
        text = f"{self._plain(a, level)} {symbol} {self._plain(b, level + 0.25)}"
        return (self._rounded(text, dtype), ATOM) if _is_half(dtype) else (text, level)

    def _index(self, node: Expr, op: str, a: Expr, b: Expr) -> tuple[str, float]:
        """Arithmetic of indices: it never overflows, and mostly it is of positive numbers."""
        wide = not self.widths.narrow(node)
        apart = wide and self.widths.narrow(a) and self.widths.narrow(b)
        symbol = _ARITHMETIC.get(op) if op != "div" else None
        positive = self.widths.interval(a)[0] >= 0 and self.widths.interval(b)[0] >= 1
        if op in ("floordiv", "mod") and positive:
            symbol = "/" if op == "floordiv" else "%"
        if symbol is None:
            kind = "i64" if wide else "int"
            return f"ht_{op}<{kind}>({self.write(a)}, {self.write(b)})", ATOM
        level = _LEVELS[symbol]
        left = f"i64({self.write(a)})" if apart else self.write(a, level)
        return f"{left} {symbol} {self.write(b, level + 0.25)}", level

    def _is_data(self, node: Expr) -> bool:
        """Whether an integer comes from memory: then its arithmetic wraps around."""
        known = self.data.get(id(node))
        if known is None:
            known = self.data[id(node)] = (node, any(isinstance(n, Load) for n in walk(node)))
        return known[1]


def _is_half(dtype: DType) -> bool:
    return dtype.is_float and dtype.bits == 16
