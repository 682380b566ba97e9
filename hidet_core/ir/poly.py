"""Integer expressions as polynomials: sums of coefficient * product of atoms, plus a constant.

Atoms are what arithmetic cannot open: variables, floor divisions, remainders, minima, casts, loads.
The polynomial is the canonical form in which the simplifier adds, multiplies, divides and bounds
index expressions.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .dtypes import i64
from .expr import Binary, Const, Expr, Var
from .structure import key

Monomial = tuple[Any, ...]  # sorted keys of its atoms; () is the constant


@dataclass(frozen=True, eq=False)
class Poly:
    """terms: monomial -> coefficient (never 0); atoms: atom key -> expression."""

    terms: dict[Monomial, int]
    atoms: dict[Any, Expr]

    @property
    def const(self) -> int:
        return self.terms.get((), 0)

    @property
    def is_const(self) -> bool:
        return not self.terms or (len(self.terms) == 1 and () in self.terms)


def constant(value: int) -> Poly:
    return Poly({(): value} if value else {}, {})


def atom(expr: Expr) -> Poly:
    name = key(expr)
    return Poly({(name,): 1}, {name: expr})


def add(a: Poly, b: Poly, scale: int = 1) -> Poly:
    """a + scale * b."""
    if not b.terms or scale == 0:
        return a
    terms = dict(a.terms)
    for mono, coeff in b.terms.items():
        total = terms.get(mono, 0) + scale * coeff
        if total:
            terms[mono] = total
        else:
            terms.pop(mono, None)
    return Poly(terms, {**a.atoms, **b.atoms} if b.atoms else a.atoms)


def mul(a: Poly, b: Poly) -> Poly:
    terms: dict[Monomial, int] = {}
    for left, x in a.terms.items():
        for right, y in b.terms.items():
            mono = tuple(sorted(left + right, key=repr)) if left and right else left or right
            terms[mono] = terms.get(mono, 0) + x * y
    return Poly({m: c for m, c in terms.items() if c}, {**a.atoms, **b.atoms})


def part(poly: Poly, keep: Callable[[Monomial, int], bool]) -> Poly:
    """The terms that `keep` likes."""
    return Poly({m: c for m, c in poly.terms.items() if keep(m, c)}, poly.atoms)


def same_poly(a: Poly, b: Poly) -> bool:
    return a.terms == b.terms


def to_expr(poly: Poly, order: Callable[[Expr], Any]) -> Expr:
    """The polynomial as an expression: terms sorted by `order` of their atoms (outer loops first),
    the constant last.

    Prefix sums of outer terms are then the same in many indices, which common subexpression
    elimination likes.
    """
    total: Expr | None = None
    named = [(max(order(poly.atoms[name]) for name in mono), mono) for mono in poly.terms if mono]
    for _, mono in sorted(named, key=lambda item: (item[0], repr(item[1]))):
        coeff = poly.terms[mono]
        factors = sorted((poly.atoms[name] for name in mono), key=order)
        term = factors[0]
        for factor in factors[1:]:
            term = Binary("mul", term, factor, i64)
        negative = coeff < 0 and total is not None
        size = abs(coeff) if negative else coeff
        term = term if size == 1 else Binary("mul", term, Const(size, i64), i64)
        total = term if total is None else Binary("sub" if negative else "add", total, term, i64)
    rest = poly.const
    if total is None:
        return Const(rest, i64)
    if rest == 0:
        return total
    return Binary("sub" if rest < 0 else "add", total, Const(abs(rest), i64), i64)


def as_var(poly: Poly) -> Var | None:
    """The variable, if the polynomial is just that."""
    if len(poly.terms) != 1:
        return None
    (mono, coeff), *_ = poly.terms.items()
    expr = poly.atoms[mono[0]] if len(mono) == 1 and coeff == 1 else None
    return expr if isinstance(expr, Var) else None
