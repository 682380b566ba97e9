"""Dims: sizes of tensors, an int or an i64 expression over symbols.

Every function takes and returns canonical dims: a polynomial over symbols (and over opaque atoms
such as a floor division that does not come out even), ints wherever the value is known. Two dims
are the same if and only if their canonical texts are; the order of terms and factors in which they
were written does not matter.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import product as pairs

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Binary, Const, Expr, Unary, Var, binary, wrap

Dim = int | Expr
Shape = tuple[Dim, ...]

# a polynomial: {sorted texts of a term's factors: coefficient}; the texts name atoms
_Poly = dict[tuple[str, ...], int]
_Atoms = dict[str, Expr]


def simplify(dim: Dim) -> Dim:
    """The canonical form of a dim; an int where it is known."""
    if isinstance(dim, int):
        return dim
    if isinstance(dim, Var):
        return dim
    atoms: _Atoms = {}
    return _build(_poly(dim, atoms), atoms)


def dim_text(dim: Dim) -> str:
    """Canonical text, for messages and as part of a key (symbols by name)."""
    atoms: _Atoms = {}
    return _text(_poly(dim, atoms), show_identity=False)


def shape_text(shape: Iterable[Dim]) -> str:
    return "[" + ", ".join(dim_text(dim) for dim in shape) + "]"


def same_dim(a: Dim, b: Dim) -> bool:
    """Whether two dims are equal whatever the symbols' values."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if a is b:
        return True
    atoms: _Atoms = {}
    return _poly(a, atoms) == _poly(b, atoms)


def same_shape(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(same_dim(x, y) for x, y in zip(a, b, strict=True))


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a box (1 of no dims)."""
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return simplify(result)


def exact_div(a: Dim, b: Dim) -> Dim | None:
    """a / b where b divides a whatever the symbols' values (a one-term divisor), else None."""
    atoms: _Atoms = {}
    top, bottom = _poly(a, atoms), _poly(b, atoms)
    if top == bottom and bottom:
        return 1
    if len(bottom) != 1:
        return None
    ((factors, coefficient),) = bottom.items()
    result: _Poly = {}
    for term, count in top.items():
        rest = list(term)
        for factor in factors:
            if factor not in rest:
                return None
            rest.remove(factor)
        if coefficient == 0 or count % coefficient:
            return None
        result[tuple(rest)] = count // coefficient
    return _build(result, atoms)


def dim_expr(dim: Dim) -> Expr:
    """A dim as an i64 expression."""
    return wrap(dim, i64)


def _poly(dim: Dim, atoms: _Atoms) -> _Poly:
    match dim:
        case int():
            return {(): dim} if dim else {}
        case Const(value=value):
            return {(): int(value)} if value else {}
        case Var():
            return _atom(f"{dim.name}@{id(dim)}", dim, atoms)
        case Unary(op="neg", a=a):
            return {term: -count for term, count in _poly(a, atoms).items()}
        case Binary(op="add", a=a, b=b):
            return _add(_poly(a, atoms), _poly(b, atoms), 1)
        case Binary(op="sub", a=a, b=b):
            return _add(_poly(a, atoms), _poly(b, atoms), -1)
        case Binary(op="mul", a=a, b=b):
            return _mul(_poly(a, atoms), _poly(b, atoms))
        case Binary():
            return _opaque(dim, atoms)
        case _:
            return _atom(f"{type(dim).__name__.lower()}@{id(dim)}", dim, atoms)


def _atom(text: str, value: Expr, atoms: _Atoms) -> _Poly:
    atoms[text] = value
    return {(text,): 1}


def _opaque(dim: Binary, atoms: _Atoms) -> _Poly:
    """floordiv and mod by a constant come apart where they are even; anything else is an atom."""
    a, b = _poly(dim.a, atoms), _poly(dim.b, atoms)
    if dim.op in ("floordiv", "mod") and set(b) == {()}:
        divisor = b[()]
        whole = {t: n // divisor for t, n in a.items() if t and n % divisor == 0}
        rest = {t: n for t, n in a.items() if t not in whole}
        if not set(rest) - {()}:
            number = rest.get((), 0)
            if dim.op == "mod":
                return {(): number % divisor} if number % divisor else {}
            return _add(whole, {(): number // divisor}, 1)
        if dim.op == "floordiv" and whole:
            inner = binary("floordiv", dim_expr(_build(rest, atoms)), divisor)
            return _add(whole, _poly(inner, atoms), 1)
    left, right = _build(a, atoms), _build(b, atoms)
    if isinstance(left, int) and isinstance(right, int):
        folded = binary(dim.op, dim_expr(left), dim_expr(right))
        if isinstance(folded, Const):
            return {(): int(folded.value)} if folded.value else {}
    text = f"{dim.op}({_text(a)}, {_text(b)})"
    if text in atoms:
        return {(text,): 1}
    return _atom(text, binary(dim.op, dim_expr(left), dim_expr(right)), atoms)


def _add(a: _Poly, b: _Poly, sign: int) -> _Poly:
    result = dict(a)
    for term, count in b.items():
        result[term] = result.get(term, 0) + sign * count
    return {term: count for term, count in result.items() if count}


def _mul(a: _Poly, b: _Poly) -> _Poly:
    result: _Poly = {}
    for (left, x), (right, y) in pairs(a.items(), b.items()):
        term = tuple(sorted(left + right))
        result[term] = result.get(term, 0) + x * y
    return {term: count for term, count in result.items() if count}


def _ordered(poly: _Poly) -> list[tuple[tuple[str, ...], int]]:
    """Terms with symbols first, positive before negative, the constant last."""
    return sorted(poly.items(), key=lambda item: (not item[0], item[1] < 0, item[0]))


def _build(poly: _Poly, atoms: _Atoms) -> Dim:
    result: Dim = 0
    for term, count in _ordered(poly):
        value: Dim = 1
        for text in term:
            value = value * atoms[text]
        value = value * abs(count)
        result = result + value if count > 0 else result - value
    return int(result.value) if isinstance(result, Const) else result


def _text(poly: _Poly, show_identity: bool = True) -> str:
    parts = []
    for term, count in _ordered(poly):
        names = [name if show_identity else _strip_identity(name) for name in term]
        number = [str(abs(count))] if abs(count) != 1 or not names else []
        parts.append(("-" if count < 0 else "+" if parts else "") + "*".join(number + names))
    return "".join(parts) or "0"


def _strip_identity(text: str) -> str:
    pieces = text.split("@")
    return pieces[0] + "".join(piece.lstrip("0123456789") for piece in pieces[1:])
