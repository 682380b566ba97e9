"""Dims: sizes of tensors, an int or an i64 expression over symbols.

Every function takes and returns canonical dims (ir/simplify.py): a polynomial over symbols and over
atoms such as a floor division that does not come out even; a plain int wherever the value is known.
Symbols stand for sizes of 0 or more.
"""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Binary, Const, Expr, Var, wrap
from hidet_core.ir.poly import Monomial, Poly, add, constant, mul, same_poly, to_expr
from hidet_core.ir.printer import text
from hidet_core.ir.simplify import Simplifier, simplify_dim

KEPT = 1 << 14  # results of each function here
Dim = int | Expr
Shape = tuple[Dim, ...]


def simplify(dim: Dim) -> Dim:
    """The canonical form of a dim; an int where it is known."""
    return dim if isinstance(dim, (int, Var)) else _canonical(dim)


# Expressions are compared by identity, and those of a graph's types are asked for again and again.
@lru_cache(maxsize=KEPT)
def _canonical(dim: Expr) -> Dim:
    return simplify_dim(dim)


def dim_text(dim: Dim) -> str:
    """Canonical text, for messages and as part of a key (symbols by name)."""
    return str(dim) if isinstance(dim, int) else text(simplify(dim))


def shape_text(shape: Iterable[Dim]) -> str:
    return "[" + ", ".join(dim_text(dim) for dim in shape) + "]"


def same_dim(a: Dim, b: Dim) -> bool:
    """Whether two dims are equal whatever the symbols' values."""
    if isinstance(a, int) and isinstance(b, int):
        return a == b
    if a is b:
        return True
    return _are_equal(a, b)


@lru_cache(maxsize=KEPT)
def _are_equal(a: Dim, b: Dim) -> bool:
    algebra = Simplifier(least=0)
    return same_poly(algebra.poly(dim_expr(a)), algebra.poly(dim_expr(b)))


def same_shape(a: Shape, b: Shape) -> bool:
    return len(a) == len(b) and all(same_dim(x, y) for x, y in zip(a, b, strict=True))


def is_cut_of(cut: Dim, whole: Dim) -> bool:
    """Whether `cut` is min(whole, n) of a constant n > 1: what a slice up to `whole` of n elements
    has. If the two are sizes that broadcast, they are equal.
    """
    if not isinstance(cut, Binary) or cut.op != "min":
        return False
    sides = (cut.a, cut.b), (cut.b, cut.a)
    return any(isinstance(n, Const) and n.value > 1 and same_dim(m, whole) for m, n in sides)


def product(dims: Iterable[Dim]) -> Dim:
    """The number of elements of a box (1 of no dims)."""
    return _product(tuple(dims))


@lru_cache(maxsize=KEPT)
def _product(dims: Shape) -> Dim:
    result: Dim = 1
    for dim in dims:
        result = result * dim
    return simplify(result)


def exact_div(a: Dim, b: Dim) -> Dim | None:
    """a / b where b divides a whatever the symbols' values, else None."""
    if isinstance(a, int) and isinstance(b, int):
        return a // b if b and a % b == 0 else None
    algebra = Simplifier()
    left, bottom = algebra.poly(dim_expr(a)), algebra.poly(dim_expr(b))
    if not bottom.terms:
        return None
    names = [
        *dict.fromkeys(name for form in (bottom, left) for term in form.terms for name in term)
    ]

    def leading(form: Poly) -> Monomial:
        """Of the highest powers of the first name, then of the next one, ..."""
        return max(form.terms, key=lambda term: [term.count(name) for name in names])

    factors, quotient = leading(bottom), constant(0)
    while left.terms:
        term = leading(left)
        rest, count = _without(term, factors), left.terms[term]
        if rest is None or count % bottom.terms[factors]:
            return None
        step = Poly({rest: count // bottom.terms[factors]}, left.atoms)
        quotient, left = add(quotient, step), add(left, mul(step, bottom), -1)
    return simplify(to_expr(quotient, algebra.order))


def _without(term: Monomial, factors: Monomial) -> Monomial | None:
    """The term divided by the factors, None where they do not divide it."""
    left = list(term)
    for factor in factors:
        if factor not in left:
            return None
        left.remove(factor)
    return tuple(left)


def dim_expr(dim: Dim) -> Expr:
    """A dim as an i64 expression."""
    return wrap(dim, i64)
