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
from .expr import Binary, Const, Expr
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


def to_expr(poly: Poly, order: Callable[[Any, Expr], Any]) -> Expr:
    """The polynomial as an expression: terms sorted by `order(name, atom)` of their atoms (outer
    loops first), the constant last.

    Prefix sums of outer terms are then the same in many indices, which common subexpression
    elimination likes. The order must not come from addresses, or equal programs give unequal code.
    """
    used = {name for mono in poly.terms for name in mono}
    rank = {name: order(name, atom) for name, atom in poly.atoms.items() if name in used}
    monos = [(sorted(mono, key=rank.__getitem__), mono) for mono in poly.terms if mono]
    monos.sort(key=lambda item: [rank[name] for name in reversed(item[0])])
    total: Expr | None = None
    for names, mono in monos:
        coeff = poly.terms[mono]
        term = poly.atoms[names[0]]
        for name in names[1:]:
            term = Binary("mul", term, poly.atoms[name], i64)
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
