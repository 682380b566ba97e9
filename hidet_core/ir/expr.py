"""Expressions of tensor programs and of shapes.

Frozen dataclasses compared by identity; `same(a, b)` compares structure. Arithmetic operators build
nodes and fold what is plainly constant; comparisons are functions (`lt`, `eq`, ...) because `==`
keeps its Python meaning. Integer `//` and `%` round towards minus infinity (floor), as in Python.
Index and shape arithmetic is i64.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from .dtypes import BITS, DType, boolean, f32, i64
from .fold import (
    ARITHMETIC,
    COMPARISONS,
    PACKED,
    fits,
    fold_binary,
    fold_cast,
    literal,
    neutral_left,
    neutral_right,
    unary_type,
)
from .node import Node, walk

UNARY = (
    "neg", "abs", "not", "exp", "log", "sqrt", "rsqrt", "tanh", "erf", "sin", "cos", "tan",
    "asin", "acos", "atan", "sinh", "cosh", "asinh", "acosh", "atanh", "floor", "ceil", "round",
    "trunc", "sign", "sigmoid", "isnan", "isinf", "log1p", "expm1", "recip", *BITS,
)  # fmt: skip
REDUCTIONS = ("sum", "prod", "max", "min", "any", "all")


class Expr(Node):
    """A value of type `dtype`."""

    __slots__ = ()
    dtype: DType

    def __add__(self, other: Any) -> Expr:
        return binary("add", self, other)

    def __radd__(self, other: Any) -> Expr:
        return binary("add", other, self)

    def __sub__(self, other: Any) -> Expr:
        return binary("sub", self, other)

    def __rsub__(self, other: Any) -> Expr:
        return binary("sub", other, self)

    def __mul__(self, other: Any) -> Expr:
        return binary("mul", self, other)

    def __rmul__(self, other: Any) -> Expr:
        return binary("mul", other, self)

    def __truediv__(self, other: Any) -> Expr:
        return binary("div", self, other)

    def __rtruediv__(self, other: Any) -> Expr:
        return binary("div", other, self)

    def __floordiv__(self, other: Any) -> Expr:
        return binary("floordiv", self, other)

    def __rfloordiv__(self, other: Any) -> Expr:
        return binary("floordiv", other, self)

    def __mod__(self, other: Any) -> Expr:
        return binary("mod", self, other)

    def __rmod__(self, other: Any) -> Expr:
        return binary("mod", other, self)

    def __neg__(self) -> Expr:
        return unary("neg", self)

    def __lt__(self, other: Any) -> Expr:
        return binary("lt", self, other)

    def __le__(self, other: Any) -> Expr:
        return binary("le", self, other)

    def __gt__(self, other: Any) -> Expr:
        return binary("gt", self, other)

    def __ge__(self, other: Any) -> Expr:
        return binary("ge", self, other)

    def __and__(self, other: Any) -> Expr:
        return binary("and", self, other)

    def __or__(self, other: Any) -> Expr:
        return binary("or", self, other)

    def __xor__(self, other: Any) -> Expr:
        return binary("xor", self, other)

    def __invert__(self) -> Expr:
        return unary("not", self)

    def __bool__(self) -> bool:
        raise TypeError(
            "a symbolic expression has no truth value while the program is written: "
            "use `with when(cond):` for a branch and `select(cond, a, b)` for a value"
        )


@dataclass(frozen=True, eq=False)
class Var(Expr):
    """A named scalar: a loop variable, a symbolic dim, a let-bound value."""

    name: str
    dtype: DType = i64


@dataclass(frozen=True, eq=False)
class Const(Expr):
    """A literal; value is a Python int, float or bool."""

    value: Any
    dtype: DType


@dataclass(frozen=True, eq=False)
class Binary(Expr):
    """op in ARITHMETIC (dtype of the operands), COMPARISONS (bool) or PACKED (i32)."""

    op: str
    a: Expr
    b: Expr
    dtype: DType


@dataclass(frozen=True, eq=False)
class Unary(Expr):
    """op in UNARY; dtype of the operand, but for isnan and isinf (bool) and BITS."""

    op: str
    a: Expr
    dtype: DType


@dataclass(frozen=True, eq=False)
class Cast(Expr):
    """a converted to dtype (float -> int truncates, anything -> bool is a != 0). rounds: False lets
    a 16-bit float keep the digits of a until it is stored (see widen.py).
    """

    a: Expr
    dtype: DType
    rounds: bool = field(default=True, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Select(Expr):
    """cond ? a : b. Where lanes differ both sides are evaluated: a load in either must be safe or
    masked.
    """

    cond: Expr
    a: Expr
    b: Expr
    dtype: DType


@dataclass(frozen=True, eq=False)
class Buffer(Node):
    """Memory: `shape` in elements (int or Expr), `strides` in elements (None: row-major
    contiguous).

    scope: 'global' (a tensor parameter), 'local' (a task's own memory), 'register' (promoted to
    registers: constant indices after unrolling), 'shared' (of the threads of a block).
    `alignment` in bytes is a promise for element 0.
    """

    name: str
    dtype: DType
    shape: tuple[int | Expr, ...]
    strides: tuple[int | Expr, ...] | None = None
    scope: str = field(default="global", metadata={"leaf": True})
    alignment: int = field(default=0, metadata={"leaf": True})

    def __getitem__(self, indices: Any) -> Expr:
        return load(self, *(indices if isinstance(indices, tuple) else (indices,)))


@dataclass(frozen=True, eq=False)
class Load(Expr):
    """buffer[indices]; after lowering one flat index, maybe a vector, and lanes off in `mask` read
    as zero.
    """

    buffer: Buffer = field(metadata={"leaf": True})
    indices: tuple[Expr, ...]
    dtype: DType
    mask: Expr | None = None


@dataclass(frozen=True, eq=False)
class Reduce(Expr):
    """op over all axes[k] in [0, extents[k]) of value.  Only in compute definitions."""

    op: str
    axes: tuple[Var, ...]
    extents: tuple[int | Expr, ...]
    value: Expr
    dtype: DType


@dataclass(frozen=True, eq=False)
class Ramp(Expr):
    """base + stride * [0, 1, ..., lanes - 1].  Only after vectorisation."""

    base: Expr
    stride: Expr
    dtype: DType


@dataclass(frozen=True, eq=False)
class Broadcast(Expr):
    """A scalar in every lane.  Only after vectorisation."""

    a: Expr
    dtype: DType


def wrap(value: Any, dtype: DType | None = None) -> Expr:
    """A Python or NumPy number as a constant; an Expr as it is. dtype: of the constant; else bool,
    i64 or f32, by the kind of number. Raises TypeError for anything else, and for a number that the
    dtype cannot hold (0.5 as i64, -1 as u8).
    """
    if isinstance(value, Expr):
        return value
    plain = value.item() if hasattr(value, "item") else value
    if not isinstance(plain, (bool, int, float)):
        kind = type(value).__name__
        raise TypeError(f"expected an expression or a number, got {kind}: {value!r}")
    if dtype is None:
        natural = {bool: boolean, int: i64, float: f32}
        dtype = natural[type(plain)]
    return Const(literal(plain, dtype), dtype.scalar)


def is_const(expr: Any, value: Any = None) -> bool:
    """Whether it is a literal (equal to `value`, if given). Plain Python numbers count."""
    plain = expr.value if isinstance(expr, Const) else expr
    if isinstance(plain, Expr):
        return False
    return value is None or plain == value


def binary(op: str, left: Any, right: Any) -> Expr:
    """left op right, with constants folded; op is one of ARITHMETIC, COMPARISONS, PACKED.

    Operands must have one dtype, else TypeError; Python numbers take the other's. A scalar meets a
    vector in all its lanes.
    """
    known = (*ARITHMETIC, *COMPARISONS, *PACKED)
    if op not in known:
        raise ValueError(f"unknown operation {op!r}, known: {', '.join(known)}")
    if isinstance(left, Expr):
        right = wrap(right, None if isinstance(right, Expr) else left.dtype)
    elif isinstance(right, Expr):
        left = wrap(left, right.dtype)
    left, right = wrap(left), wrap(right)
    if left.dtype.scalar != right.dtype.scalar:
        raise TypeError(
            f"{op}: operands have different dtypes {left.dtype} and {right.dtype}; cast one of them"
        )
    if left.dtype.lanes != right.dtype.lanes:
        lanes = max(left.dtype.lanes, right.dtype.lanes)
        left, right = broadcast(left, lanes), broadcast(right, lanes)
    dtype = boolean.vector(left.dtype.lanes) if op in COMPARISONS else left.dtype
    folded = _fold(op, left, right, dtype)
    return Binary(op, left, right, dtype) if folded is None else folded


def _fold(op: str, left: Expr, right: Expr, dtype: DType) -> Expr | None:
    if isinstance(left, Const) and isinstance(right, Const):
        value = fold_binary(op, left.value, right.value, left.dtype)
        return None if value is None else Const(value, dtype)
    if isinstance(right, Const):
        return _kept(neutral_right(op, right.value, right.dtype), left, right)
    if isinstance(left, Const):
        return _kept(neutral_left(op, left.value, left.dtype), right, left)
    return None


def _kept(which: str | None, other: Expr, known: Const) -> Expr | None:
    match which:
        case "other":
            return other
        case "known":
            return known
        case "zero":
            return Const(0, known.dtype)
    return None


def unary(op: str, a: Any) -> Expr:
    """op(a); op is one of UNARY."""
    a = wrap(a)
    if op not in UNARY:
        raise ValueError(f"unknown unary operation {op!r}, known: {', '.join(UNARY)}")
    if isinstance(a, Const) and op == "neg" and (a.dtype.is_float or fits(-a.value, a.dtype)):
        return Const(-a.value, a.dtype)
    if isinstance(a, Const) and op == "not" and a.dtype.is_bool:
        return Const(not a.value, a.dtype)
    return Unary(op, a, unary_type(op, a.dtype))


def cast(a: Any, dtype: DType) -> Expr:
    """a as dtype; the same expression where it already is."""
    a = wrap(a)
    dtype = dtype.vector(a.dtype.lanes)
    if a.dtype == dtype:
        return a
    value = fold_cast(a.value, a.dtype, dtype) if isinstance(a, Const) else None
    return Cast(a, dtype) if value is None else Const(value, dtype)


def select(cond: Any, a: Any, b: Any) -> Expr:
    """cond ? a : b."""
    cond = wrap(cond)
    if isinstance(a, Expr):
        b = wrap(b, a.dtype)
    elif isinstance(b, Expr):
        a = wrap(a, b.dtype)
    a, b = wrap(a), wrap(b)
    if a.dtype.scalar != b.dtype.scalar:
        raise TypeError(f"select: branches have different dtypes {a.dtype} and {b.dtype}")
    lanes = max(cond.dtype.lanes, a.dtype.lanes, b.dtype.lanes)
    a, b = broadcast(a, lanes), broadcast(b, lanes)
    if isinstance(cond, Const):
        return a if cond.value else b
    return Select(cond, a, b, a.dtype)


def broadcast(a: Expr, lanes: int) -> Expr:
    """a in `lanes` lanes; a itself where it has them already."""
    if a.dtype.lanes == lanes:
        return a
    if isinstance(a, Const):
        return Const(a.value, a.dtype.vector(lanes))
    return Broadcast(a, a.dtype.vector(lanes))


def load(buffer: Buffer, *indices: Any) -> Load:
    """buffer[indices]; an index for each dim, an int or an integer expression (made i64)."""
    if len(indices) != len(buffer.shape):
        raise TypeError(f"{buffer.name} has {len(buffer.shape)} dims, got {len(indices)} indices")
    return Load(buffer, tuple(as_index(i, buffer) for i in indices), buffer.dtype)


def as_index(value: Any, buffer: Buffer) -> Expr:
    """An index as an i64 expression. Raises TypeError for one that is no integer."""
    index = wrap(value, i64)
    if not index.dtype.is_int:
        raise TypeError(f"{buffer.name}: an index is {index.dtype}, expected an integer")
    return cast(index, i64)


def reduce(op: str, axes: Sequence[Var], extents: Sequence[Any], value: Expr) -> Reduce:
    """op (one of REDUCTIONS) of value over the box of axes."""
    if op not in REDUCTIONS:
        raise ValueError(f"unknown reduction {op!r}, known: {', '.join(REDUCTIONS)}")
    return Reduce(op, tuple(axes), tuple(extents), value, value.dtype)


def minimum(a: Any, b: Any) -> Expr:
    return binary("min", a, b)


def maximum(a: Any, b: Any) -> Expr:
    return binary("max", a, b)


def eq(a: Any, b: Any) -> Expr:
    return binary("eq", a, b)


def ne(a: Any, b: Any) -> Expr:
    return binary("ne", a, b)


def both(a: Any, b: Any) -> Expr:
    """Logical and of two bool expressions."""
    return binary("and", a, b)


def free_vars(root: Any) -> tuple[Var, ...]:
    """The variables used below root, each once, in order of first use (bound ones too)."""
    return tuple(node for node in walk(root) if isinstance(node, Var))
