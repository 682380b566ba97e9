"""The simplifier: the value stays, decided comparisons hold, canonical forms are canonical."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidet_core.ir.dtypes import boolean, f32, i32, i64
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Var,
    binary,
    both,
    cast,
    eq,
    load,
    maximum,
    minimum,
    select,
    wrap,
)
from hidet_core.ir.node import all_fields
from hidet_core.ir.poly import to_expr
from hidet_core.ir.printer import text
from hidet_core.ir.simplify import Simplifier, simplify_dim
from hidet_core.ir.structure import key, same
from tests.hidet_core.ir.integers import Box, boxes, conditions, expressions, value_of

R, J, K, N = Var("i"), Var("j"), Var("k"), Var("n")
pytestmark = pytest.mark.filterwarnings("ignore::hypothesis.errors.HypothesisWarning")
RANGES = {R: 4, J: 8, K: N}


@st.composite
def cases(draw, strategy=expressions):
    box = draw(boxes())
    return box, draw(strategy(box))


def _check_values(box, expr, simpler):
    for point in box.points():
        assert value_of(simpler, point) == value_of(expr, point), (text(expr), text(simpler), point)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_value_stays(case):
    box, expr = case
    simplifier = Simplifier(box.extents)
    simpler = simplifier.simplify(expr)
    _check_values(box, expr, simpler)
    form = simplifier.poly(expr)
    _check_values(box, expr, to_expr(form, simplifier.order))


@settings(max_examples=100, deadline=None)
@given(cases(conditions))
def test_decided_comparisons_hold(case):
    box, cond = case
    _check_values(box, cond, Simplifier(box.extents).simplify(cond))


@settings(max_examples=60, deadline=None)
@given(cases())
def test_bounds_hold(case):
    box, expr = case
    simplifier = Simplifier(box.extents)
    form = simplifier.poly(expr)
    low, high = simplifier.interval(form)
    upper = simplifier.upper(form)
    for point in box.points():
        value = value_of(expr, point)
        assert low <= value <= high, (text(expr), point)
        if upper is not None:
            top = value_of(simplifier.expr(upper), point)
            assert value <= top, (text(expr), text(simplifier.expr(upper)), point)


@settings(max_examples=100, deadline=None)
@given(cases())
def test_polynomials_make_the_round_trip(case):
    box, expr = case
    simplifier = Simplifier(box.extents)
    form = simplifier.poly(expr)
    again = simplifier.poly(simplifier.expr(form))
    assert _terms(simplifier, form) == _terms(simplifier, again), text(expr)


def _terms(simplifier, form):
    return {key(simplifier.expr(form))} if form.is_const else form.terms


@settings(max_examples=100, deadline=None)
@given(cases())
def test_the_text_depends_on_the_program_only(case):
    """Also on a second run, with variables at other addresses."""
    box, expr = case
    first = text(Simplifier(box.extents).simplify(expr))
    fresh = {var: Var(var.name) for var in (*box.extents, box.symbol)}
    from_symbol = {box.symbol: fresh[box.symbol]}
    extents = {fresh[var]: _renamed(extent, from_symbol) for var, extent in box.extents.items()}
    assert text(Simplifier(extents).simplify(_renamed(expr, fresh))) == first


def _renamed(expr, names):
    match expr:
        case int() | Const():
            return expr
        case Var():
            return names[expr]
    values = {name: getattr(expr, name) for name in all_fields(type(expr))}
    parts = {n: _renamed(v, names) for n, v in values.items() if hasattr(v, "dtype")}
    return type(expr)(**{**values, **parts})


CANONICAL = {
    "(i*8 + j) // 8": (lambda: (R * 8 + J) // 8, "i"),
    "(i*8 + j) % 8": (lambda: (R * 8 + J) % 8, "j"),
    "x//8*8 + x%8": (lambda: N // 8 * 8 + N % 8, "n"),
    "x//8*24 + x%8*3": (lambda: N // 8 * 24 + N % 8 * 3, "n * 3"),
    "(i*n + k) // n": (lambda: (R * N + K) // N, "i"),
    "(i*n + k) % n": (lambda: (R * N + K) % N, "k"),
    "i*2 - i - i": (lambda: R * 2 - R - R, "0"),
    "j // 8": (lambda: J // 8, "0"),
    "(n // 4) // 3": (lambda: (N // 4) // 3, "n // 12"),
    "(n % 12) % 4": (lambda: (N % 12) % 4, "n % 4"),
    "(6*n + 4) // 8": (lambda: (N * 6 + 4) // 8, "(n * 3 + 2) // 4"),
    "(i*2 + 8*n) % 4": (lambda: (R * 2 + N * 8) % 4, "i % 2 * 2"),
    "min(k, n)": (lambda: minimum(K, N), "k"),
    "max(n, 1)": (lambda: maximum(N, 1), "n"),
    "max(i, 1)": (lambda: maximum(R, 1), "max(i, 1)"),
    "7 // -2": (lambda: wrap(7) // -2 + N, "n - 4"),
    "k < n": (lambda: K < N, "True"),
    "k >= n": (lambda: K >= N, "False"),
    "i == i + 1": (lambda: eq(R, R + 1), "False"),
    "i*8 + j < 32": (lambda: R * 8 + J < 32, "True"),
    "i < 3": (lambda: R < 3, "i < 3"),
    "select": (lambda: select(J < 8, R * 2, N), "i * 2"),
    "both": (lambda: both(J < 8, R < 2), "i < 2"),
    "x % d with d unknown": (lambda: (N * 3) % (N - 4), "n * 3 % (n - 4)"),
}


@pytest.mark.parametrize("name", CANONICAL)
def test_canonical_forms(name):
    make, wanted = CANONICAL[name]
    assert text(Simplifier(RANGES).simplify(make())) == wanted


def test_a_remainder_is_below_a_positive_divisor_only():
    """(x % d) < d wants d > 0: the remainder of a negative divisor is between it and 0."""
    delta = Var("delta")
    simplifier = Simplifier()
    simplifier.bind_value(delta, R * 0 - 3)
    assert text(simplifier.simplify(N % delta < delta)) == "n % delta < delta"


def test_sums_are_equal_however_they_are_written():
    simplifier = Simplifier(RANGES)
    one = simplifier.simplify((R + (J * 4 + N)) // 3)
    other = simplifier.simplify((N + R + 4 * J) // 3)
    assert same(one, other)


def test_other_dtypes_are_left_alone():
    a = cast(R, i32)
    expr = binary("add", a, a)
    assert Simplifier(RANGES).simplify(expr) is expr
    x = Buffer("x", f32, (N,))
    value = load(x, R * 8 // 8) * 2.0
    assert text(Simplifier(RANGES).simplify(value)) == "x[i] * 2.0"


def test_unchanged_expressions_are_the_same_objects():
    simplifier = Simplifier(RANGES)
    for expr in (R * 8 + J, R < 3, select(R < 3, R, J), Const(True, boolean), N // 3):
        assert simplifier.simplify(expr) is expr


def test_dims():
    assert simplify_dim(3) == 3
    assert simplify_dim(N * 0 + 4) == 4
    assert isinstance(simplify_dim(N - N + 4), int)
    assert text(simplify_dim((N * 2 + 3) // 2 - 1)) == "n"
    assert same(simplify_dim(N + 1), 1 + N)


def test_lets_are_bounded_by_their_values():
    simplifier = Simplifier({R: 4})
    row, below = Var("row"), Var("below")
    simplifier.bind_value(row, R * 2)
    simplifier.bind_value(below, R - 1)
    assert text(simplifier.simplify(row < 7)) == "True"
    assert text(simplifier.simplify(maximum(row, 0))) == "row"
    assert text(simplifier.simplify(maximum(below, 0))) == "max(below, 0)"
    assert text(simplifier.simplify(wrap(5, i64) + row - row)) == "5"


def test_boxes_have_points():
    assert len(Box(N, {R: 2, K: N}).points((1, 3))) == 2 + 6


def test_shared_parts_are_looked_at_once():
    """60 doublings are 2 ** 60 parts, if each is counted where it is used."""
    place = cast(R, f32)
    for _ in range(60):
        place = select(place > 0.5, place * place, place + place)
    at = minimum(maximum(cast(place, i64), 0), N - 1)
    simplifier = Simplifier({R: N})
    simplified = simplifier.expr(simplifier.poly(at * 2 + R - at))
    assert same(simplified, simplifier.simplify(R + at))
    assert not same(simplified, simplifier.simplify(R + at + 1))
