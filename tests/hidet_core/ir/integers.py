"""Integer expressions for property tests: random ones, and their values by plain Python."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from hypothesis import strategies as st

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Binary, Cast, Const, Expr, Select, Unary, Var, binary, cast, select

PYTHON = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "floordiv": lambda a, b: a // b,
    "mod": lambda a, b: a % b,
    "min": min,
    "max": max,
    "lt": lambda a, b: a < b,
    "le": lambda a, b: a <= b,
    "gt": lambda a, b: a > b,
    "ge": lambda a, b: a >= b,
    "eq": lambda a, b: a == b,
    "ne": lambda a, b: a != b,
    "and": lambda a, b: a and b,
    "or": lambda a, b: a or b,
}


def value_of(expr: Expr | int, env: dict[Var, int]) -> int | bool:
    """The value of an integer or bool expression."""
    match expr:
        case int():
            return expr
        case Const(value, _):
            return value
        case Var():
            return env[expr]
        case Binary(op, a, b, _):
            return PYTHON[op](value_of(a, env), value_of(b, env))
        case Unary("neg", a, _):
            return -value_of(a, env)
        case Unary("not", a, _):
            return not value_of(a, env)
        case Cast(a, _):
            return int(value_of(a, env))
        case Select(cond, a, b, _):
            return value_of(a if value_of(cond, env) else b, env)
    raise TypeError(f"no value of {type(expr).__name__}")


@dataclass(frozen=True)
class Box:
    """Variables with their extents (a number, or an expression of the symbol); symbol >= 1."""

    symbol: Var
    extents: dict[Var, int | Expr]

    def points(self, sizes: tuple[int, ...] = (1, 2, 5)) -> list[dict[Var, int]]:
        """All points for these values of the symbol."""
        found = []
        for size in sizes:
            env = {self.symbol: size}
            spans = [range(value_of(extent, env)) for extent in self.extents.values()]
            for place in itertools.product(*spans):
                found.append({**env, **dict(zip(self.extents, place, strict=True))})
        return found


def boxes() -> st.SearchStrategy[Box]:
    """Up to three variables; the extent of the last one may be symbolic."""

    def make(numbers: list[int], symbolic: str) -> Box:
        n = Var("n")
        extents: dict[Var, int | Expr] = {Var(f"i{k}"): size for k, size in enumerate(numbers)}
        last = {"n": n, "n + 2": n + 2, "n * 3": n * 3}
        if symbolic:
            extents[Var("j")] = last[symbolic]
        return Box(n, extents)

    sizes = st.lists(st.sampled_from([1, 2, 3, 4, 6, 8]), min_size=1, max_size=2)
    return st.builds(make, sizes, st.sampled_from(["", "n", "n + 2", "n * 3"]))


def expressions(box: Box, divisors: bool = True) -> st.SearchStrategy[Expr]:
    """i64 expressions over the variables and the symbol of a box."""
    leaves = st.one_of(
        st.sampled_from([*box.extents, box.symbol]),
        st.integers(-9, 17).map(lambda value: Const(value, i64)),
    )
    positive = [Const(value, i64) for value in (1, 2, 3, 4, 6, 8, 12, 16)] + [box.symbol]

    def extend(inner: st.SearchStrategy[Expr]) -> st.SearchStrategy[Expr]:
        closed = st.builds(
            binary, st.sampled_from(["add", "sub", "mul", "min", "max"]), inner, inner
        )
        scaled = st.builds(
            lambda a, factor, b: a * factor + b, inner, st.sampled_from(positive[1:]), inner
        )
        choice = st.builds(
            lambda op, a, b, c: select(binary(op, a, b), c, a), _ops(), inner, inner, inner
        )
        truth = st.builds(lambda op, a, b: cast(binary(op, a, b), i64), _ops(), inner, inner)
        cut = st.builds(
            binary, st.sampled_from(["floordiv", "mod"]), inner, st.sampled_from(positive)
        )
        return st.one_of(closed, scaled, cut, cut, choice, truth)

    return st.recursive(leaves, extend, max_leaves=8)


def _ops() -> st.SearchStrategy[str]:
    return st.sampled_from(["lt", "le", "gt", "ge", "eq", "ne"])


def conditions(box: Box) -> st.SearchStrategy[Expr]:
    """Comparisons of two expressions."""
    return st.builds(binary, _ops(), expressions(box), expressions(box))
