"""What is known of the ranges of variables, and bounds of polynomials over them.

Bounds are numbers or symbolic: a loop variable with extent n (a symbol) is known to be <= n - 1.
Variables that are not bound are symbols, at least 1 (of a tensor without elements no kernel runs)
unless the environment says 0.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from typing import Any

from . import poly as P
from .dtypes import boolean, i64
from .expr import Binary, Cast, Const, Expr, Select, Var
from .node import walk
from .poly import Poly

INF = math.inf


class Ranges(ABC):
    """An environment: var in [0, extent) for bound variables; let-bound values stay atoms."""

    @abstractmethod
    def poly(self, expr: Expr) -> Poly:
        """The canonical polynomial of an i64 expression."""

    def __init__(self, least: int = 1) -> None:
        self.least = least
        self.extents: dict[Var, Poly] = {}
        self.depth: dict[Var, int] = {}
        self.bounds: dict[Var, tuple[float, float]] = {}
        self.places: dict[Any, tuple[tuple[int, int], Expr]] = {}

    # environment

    def bind(self, var: Var, extent: int | Expr, inner: bool = True) -> None:
        """var runs over [0, extent). inner: a loop at run time, deeper than those bound so far."""
        known = self.poly(extent if isinstance(extent, Expr) else Const(extent, i64))
        self.extents[var] = known
        self.bounds[var] = (0, max(self.interval(known)[1] - 1, 0))
        self.depth[var] = len(self.depth) + 1 if inner else 0

    def bind_value(self, var: Var, value: Expr) -> None:
        """var holds a value computed here: bounded as that value is."""
        if value.dtype == i64:
            self.bounds[var] = self.interval(self.poly(value))
        self.depth[var] = len(self.depth) + 1

    def order(self, name: Any, atom: Expr) -> tuple[int, int]:
        """Where an atom stands in a sum: outer loops first, then as they were met."""
        known = self.places.get(name)
        if known is None:
            place = (self.depth_of(atom), len(self.places))
            known = self.places[name] = (place, atom)  # alive, so that its name stays its own
        return known[0]

    def depth_of(self, expr: Expr) -> int:
        """How deep the deepest variable of an expression is bound."""
        variables = (node for node in walk(expr) if isinstance(node, Var))
        return max((self.depth.get(var, 0) for var in variables), default=0)

    # bounds

    def interval(self, form: Poly) -> tuple[float, float]:
        """Numeric bounds (inclusive) of a polynomial; infinite where unknown."""
        low: float = form.const
        high: float = form.const
        for mono, coeff in form.terms.items():
            if not mono:
                continue
            lo: float = 1
            hi: float = 1
            for name in mono:
                a, b = self.atom_interval(form.atoms[name])
                products = [_times(lo, a), _times(lo, b), _times(hi, a), _times(hi, b)]
                lo, hi = min(products), max(products)
            ends = (_times(coeff, lo), _times(coeff, hi))
            low, high = low + min(ends), high + max(ends)
        return low, high

    def atom_interval(self, expr: Expr) -> tuple[float, float]:
        match expr:
            case Var():
                return self.bounds.get(expr, (self.least, INF))  # unbound: a symbolic dim
            case Binary("floordiv", a, Const(d, _), _) if d > 0:
                lo, hi = self.interval(self.poly(a))
                return _floordiv(lo, d), _floordiv(hi, d)
            case Binary("floordiv", a, d, _):
                lo, hi = self.interval(self.poly(a))
                return (0, hi) if lo >= 0 and self.interval(self.poly(d))[0] >= 1 else (-INF, INF)
            case Binary("mod", _, d, _):
                lo, hi = self.interval(self.poly(d))
                return (0, hi - 1) if lo >= 1 else (-INF, INF)
            case Binary("min" | "max" as op, a, b, _):
                (la, ha), (lb, hb) = self.interval(self.poly(a)), self.interval(self.poly(b))
                pick = min if op == "min" else max
                return pick(la, lb), pick(ha, hb)
            case Binary("xor", a, b, _):
                (la, ha), (lb, hb) = self.interval(self.poly(a)), self.interval(self.poly(b))
                return xor_interval((la, ha), (lb, hb))
            case Select(_, a, b, _):
                (la, ha), (lb, hb) = self.interval(self.poly(a)), self.interval(self.poly(b))
                return min(la, lb), max(ha, hb)
            case Cast(a, _) if a.dtype == boolean:
                return 0, 1
        return -INF, INF

    def upper(self, form: Poly) -> Poly | None:
        """A symbolic upper bound: every bound variable at its extent - 1 (coefficients >= 0)."""
        total = P.constant(form.const)
        for mono, coeff in form.terms.items():
            if not mono:
                continue
            if coeff < 0:
                return None
            product = P.constant(coeff)
            for name in mono:
                factor = self._largest(form.atoms[name])
                if factor is None:
                    return None
                product = P.mul(product, factor)
            total = P.add(total, product)
        return total

    def _largest(self, atom: Expr) -> Poly | None:
        """A symbolic upper bound of an atom that is never negative, None where none is known."""
        match atom:
            case Var() if atom in self.extents:
                return P.add(self.extents[atom], P.constant(-1))
            case Var() if atom not in self.bounds:
                return P.atom(atom)
            case Binary("mod", _, d, _):
                divisor = self.poly(d)
                is_positive = self.interval(divisor)[0] >= 1
                return P.add(divisor, P.constant(-1)) if is_positive else None
        return None

    def below(self, form: Poly, limit: Poly) -> bool:
        """Whether form < limit for sure."""
        if self.interval(P.add(limit, form, -1))[0] >= 1:
            return True
        top = self.upper(form)
        return top is not None and self.interval(P.add(limit, top, -1))[0] >= 1


def xor_interval(a: tuple[float, float], b: tuple[float, float]) -> tuple[float, float]:
    """Of numbers >= 0: no bit that neither has."""
    high = max(a[1], b[1])
    if a[0] < 0 or b[0] < 0 or math.isinf(high):
        return -INF, INF
    return 0, (1 << int(high).bit_length()) - 1


def _floordiv(a: float, d: int) -> float:
    return a // d if math.isfinite(a) else a


def _times(a: float, b: float) -> float:
    return 0 if a == 0 or b == 0 else a * b
