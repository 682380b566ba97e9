"""Simplify expressions with what is known of the ranges of their variables.

takes: any expression      gives: the same meaning, integers in canonical polynomial form
rewrite:
    (i*8 + j) // 8  ->  i        (i*8 + j) % 8  ->  j        for j in [0, 8)
    x//8*8 + x%8    ->  x        i < n          ->  true     for i in [0, n)
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from . import poly as P
from .dtypes import boolean, i64
from .expr import (
    Binary,
    Cast,
    Const,
    Expr,
    Load,
    Reduce,
    Select,
    Unary,
    Var,
    binary,
    cast,
    select,
    unary,
)
from .fold import COMPARISONS
from .node import rebuild
from .poly import Poly
from .ranges import Ranges
from .structure import key
from .widen import narrowed


class Simplifier(Ranges):
    """Simplifies under what Ranges knows; results are memoised by the identity of expressions."""

    def __init__(self, extents: Mapping[Var, int | Expr] | None = None, least: int = 1) -> None:
        super().__init__(least)
        self.memo: dict[int, tuple[Expr, Expr]] = {}
        self.polys: dict[int, tuple[Expr, Poly]] = {}
        for var, extent in (extents or {}).items():
            self.bind(var, extent)

    # integer expressions

    def poly(self, expr: Expr) -> Poly:
        """The canonical polynomial of an i64 expression."""
        done = self.polys.get(id(expr))
        if done is not None:
            return done[1]
        form = self._poly(expr)
        if not isinstance(expr, Var):  # it is kept alive with its result: ids are not reused
            self.polys[id(expr)] = (expr, form)
        return form

    def _poly(self, expr: Expr) -> Poly:
        match expr:
            case Const(value, _):
                return P.constant(int(value))
            case Binary("add", a, b, _):
                return self._join(P.add(self.poly(a), self.poly(b)))
            case Binary("sub", a, b, _):
                return self._join(P.add(self.poly(a), self.poly(b), -1))
            case Binary("mul", a, b, _):
                return self._join(P.mul(self.poly(a), self.poly(b)))
            case Binary("floordiv", a, b, _):
                return self._divide(self.poly(a), self.poly(b))
            case Binary("mod", a, b, _):
                return self._modulo(self.poly(a), self.poly(b))
            case Binary("min" | "max" as op, a, b, _):
                return self._extreme(op, self.poly(a), self.poly(b))
            case Unary("neg", a, _):
                return P.add(P.constant(0), self.poly(a), -1)
            case Var():
                known = self.extents.get(expr)
                return (
                    P.constant(0) if known is not None and known.terms == {(): 1} else P.atom(expr)
                )
        inner = self._parts(expr)
        return self.poly(inner) if _is_open(inner) else _closed(inner)

    def _split(self, a: Poly, d: Poly) -> tuple[Poly, Poly]:
        """a = d * quotient + rest, with as much in the quotient as divides termwise."""
        if d.is_const:
            n = d.const
            quotient = {m: c // n for m, c in a.terms.items() if m and c % n == 0}
            if a.const // n:
                quotient[()] = a.const // n
            rest = {m: c for m, c in a.terms.items() if m and c % n}
            if a.const % n:
                rest[()] = a.const % n
            return Poly(quotient, a.atoms), Poly(rest, a.atoms)
        if len(d.terms) != 1:
            return P.constant(0), a
        ((mono, coeff),) = d.terms.items()
        quotient, rest = {}, {}
        for m, c in a.terms.items():
            left = _without(m, mono)
            if left is not None and c % coeff == 0:
                quotient[left] = c // coeff
            else:
                rest[m] = c
        return Poly(quotient, a.atoms), Poly(rest, a.atoms)

    def _fits(self, rest: Poly, d: Poly) -> bool:
        return self.interval(rest)[0] >= 0 and self.below(rest, d)

    def _divide(self, a: Poly, d: Poly) -> Poly:
        if d.is_const and d.const == 1:
            return a
        if P.same_poly(a, d) and self.interval(d)[0] >= 1:
            return P.constant(1)
        if d.is_const and d.const <= 0:
            return _closed(binary("floordiv", self.expr(a), self.expr(d)))
        quotient, rest = self._split(a, d)
        if self._fits(rest, d):
            return quotient
        if d.is_const:
            rest, d = self._reduce(rest, d.const)
            if self._fits(rest, d):
                return quotient
            high = self._coarse(rest, d.const)
            if high is not None:
                return P.add(quotient, self._divide(high[1], P.constant(d.const // high[0])))
            inner = _single(rest)
            if isinstance(inner, Binary) and inner.op == "floordiv" and isinstance(inner.b, Const):
                nested = self._divide(self.poly(inner.a), P.constant(inner.b.value * d.const))
                return P.add(quotient, nested)
        return P.add(quotient, P.atom(Binary("floordiv", self.expr(rest), self.expr(d), i64)))

    @staticmethod
    def _reduce(rest: Poly, n: int) -> tuple[Poly, Poly]:
        """floor((g*x + c) / (g*m)) = floor((x + floor(c/g)) / m)."""
        common = n
        for mono, coeff in rest.terms.items():
            if mono:
                common = math.gcd(common, coeff)
        if common == 1 or all(not mono for mono in rest.terms):
            return rest, P.constant(n)
        terms = {m: c // common for m, c in rest.terms.items()}
        return Poly({m: c for m, c in terms.items() if c}, rest.atoms), P.constant(n // common)

    def _coarse(self, form: Poly, n: int) -> tuple[int, Poly, Poly] | None:
        """form = g * high + low with 0 <= low < g, g > 1 and g dividing n: (g, high, low)."""
        for grain in sorted({math.gcd(c, n) for m, c in form.terms.items() if m}, reverse=True):
            if grain <= 1:
                return None
            high, low = self._split(form, P.constant(grain))
            if high.terms and self._fits(low, P.constant(grain)):
                return grain, high, low
        return None

    def _modulo(self, a: Poly, d: Poly) -> Poly:
        if (d.is_const and d.const == 1) or P.same_poly(a, d):
            return P.constant(0)
        if d.is_const and d.const <= 0:
            return _closed(binary("mod", self.expr(a), self.expr(d)))
        rest = self._split(a, d)[1]
        if self._fits(rest, d):
            return rest
        if d.is_const:
            n = d.const
            rest = Poly({m: c % n for m, c in rest.terms.items() if c % n}, rest.atoms)
            common = math.gcd(n, *(c for c in rest.terms.values()))
            if common > 1:  # (g*x) % (g*m) = g * (x % m)
                small = Poly({m: c // common for m, c in rest.terms.items()}, rest.atoms)
                return P.mul(P.constant(common), self._modulo(small, P.constant(n // common)))
            high = self._coarse(rest, n)
            if high is not None:
                wrapped = self._modulo(high[1], P.constant(n // high[0]))
                return P.add(P.mul(P.constant(high[0]), wrapped), high[2])
            inner = _single(rest)
            if (
                isinstance(inner, Binary)
                and inner.op == "mod"
                and isinstance(inner.b, Const)
                and inner.b.value % n == 0
            ):
                return self._modulo(self.poly(inner.a), d)
        return P.atom(Binary("mod", self.expr(rest), self.expr(d), i64))

    def _extreme(self, op: str, a: Poly, b: Poly) -> Poly:
        if self.below(b, P.add(a, P.constant(1))):  # b <= a
            return a if op == "max" else b
        if self.below(a, P.add(b, P.constant(1))):
            return b if op == "max" else a
        return P.atom(Binary(op, self.expr(a), self.expr(b), i64))

    def _join(self, form: Poly) -> Poly:
        """x//d * (k*d) + x%d * k -> x * k, wherever such a pair stands in the sum."""
        for mono, coeff in form.terms.items():
            for name, rem in self._remainders(form, mono):
                found = self._partner(form, mono, name, rem, coeff)
                if found is not None:
                    return self._join(found)
        return form

    def _remainders(self, form: Poly, mono: P.Monomial) -> list[tuple[Any, Binary]]:
        """The factors x % d of a monomial, with their names."""
        found = []
        for name in mono:
            factor = form.atoms[name]
            if isinstance(factor, Binary) and factor.op == "mod":
                found.append((name, factor))
        if len(found) > 1:  # a monomial's own order comes from addresses
            found.sort(key=lambda item: self.order(*item))
        return found

    def _partner(
        self, form: Poly, mono: P.Monomial, name: Any, rem: Binary, coeff: int
    ) -> Poly | None:
        others = _without(mono, (name,))
        assert others is not None
        divided = self._divide(self.poly(rem.a), self.poly(rem.b))
        quotient = P.mul(P.mul(divided, self.poly(rem.b)), Poly({others: coeff}, form.atoms))
        if len(quotient.terms) != 1:
            return None
        ((target, amount),) = quotient.terms.items()
        if form.terms.get(target) != amount:
            return None
        whole = P.mul(self.poly(rem.a), Poly({others: coeff}, form.atoms))
        rest = P.part(form, lambda m, _: m not in (mono, target))
        return P.add(rest, whole)

    def expr(self, form: Poly) -> Expr:
        """A polynomial as an expression, terms of outer loops first."""
        return P.to_expr(form, self.order)

    # all expressions

    def simplify(self, expr: Expr) -> Expr:
        """The simplified expression (the same object where nothing changed)."""
        done = self.memo.get(id(expr))
        if done is not None:
            return done[1]
        if expr.dtype == i64 and isinstance(expr, (Binary, Unary, Var)):
            result = self.expr(self.poly(expr))
            result = expr if key(result) == key(expr) else result
        else:
            result = self._parts(expr)
        self.memo[id(expr)] = (expr, result)
        return result

    def _parts(self, expr: Expr) -> Expr:
        match expr:
            case Binary(op, a, b, _):
                new_a, new_b = self.simplify(a), self.simplify(b)
                if op in COMPARISONS and new_a.dtype == i64:
                    truth = self._compare(op, self.poly(new_a), self.poly(new_b))
                    if truth is not None:
                        return Const(truth, boolean)
                return expr if new_a is a and new_b is b else binary(op, new_a, new_b)
            case Unary(op, a, _):
                new = self.simplify(a)
                return expr if new is a else unary(op, new)
            case Cast(a, dtype, rounds):
                new = self.simplify(a)
                return expr if new is a else (cast if rounds else narrowed)(new, dtype)
            case Select(cond, a, b, _):
                new_cond = self.simplify(cond)
                if isinstance(new_cond, Const):
                    return self.simplify(a if new_cond.value else b)
                new_a, new_b = self.simplify(a), self.simplify(b)
                return (
                    expr
                    if (new_cond, new_a, new_b) == (cond, a, b)
                    else select(new_cond, new_a, new_b)
                )
            case Load(_, indices, _, mask):
                new = tuple(self.simplify(i) for i in indices)
                new_mask = None if mask is None else self.simplify(mask)
                if new_mask is mask and all(x is y for x, y in zip(new, indices, strict=True)):
                    return expr
                return rebuild(expr, {"indices": new, "mask": new_mask})
            case Reduce(_, axes, extents, value, _):
                for axis, extent in zip(axes, extents, strict=True):
                    self.bind(axis, extent)
                new = self.simplify(value)
                return expr if new is value else rebuild(expr, {"value": new})
        return expr

    def _compare(self, op: str, a: Poly, b: Poly) -> bool | None:
        """Whether a op b holds, None where it depends."""
        match op:
            case "lt":
                if self.below(a, b):
                    return True
                return False if self.below(b, P.add(a, P.constant(1))) else None
            case "le":
                return self._compare("lt", a, P.add(b, P.constant(1)))
            case "gt":
                return self._compare("lt", b, a)
            case "ge":
                return self._compare("lt", b, P.add(a, P.constant(1)))
        if P.same_poly(a, b):
            return op == "eq"
        if self.below(a, b) or self.below(b, a):
            return op == "ne"
        return None


_OPEN = ("add", "sub", "mul", "floordiv", "mod", "min", "max", "neg")


def _is_open(expr: Expr) -> bool:
    """Whether it is an expression that arithmetic opens."""
    return isinstance(expr, Var) or (isinstance(expr, (Binary, Unary)) and expr.op in _OPEN)


def _closed(expr: Expr) -> Poly:
    """The polynomial of an expression that arithmetic cannot open."""
    return P.constant(int(expr.value)) if isinstance(expr, Const) else P.atom(expr)


def _without(mono: P.Monomial, factor: P.Monomial) -> P.Monomial | None:
    """mono / factor, None where it does not divide."""
    left = list(mono)
    for name in factor:
        if name not in left:
            return None
        left.remove(name)
    return tuple(left)


def _single(form: Poly) -> Expr | None:
    """The atom, if the polynomial is exactly one atom."""
    if len(form.terms) != 1:
        return None
    ((mono, coeff),) = form.terms.items()
    return form.atoms[mono[0]] if len(mono) == 1 and coeff == 1 else None


def simplify_dim(dim: int | Expr) -> int | Expr:
    """A dim in canonical form: a plain int where it is constant. Symbols may be 0 here: what is
    left out of a tensor without elements matters to no kernel, but to its shape.
    """
    if not isinstance(dim, Expr):
        return int(dim)
    result = Simplifier(least=0).simplify(dim)
    return int(result.value) if isinstance(result, Const) else result
