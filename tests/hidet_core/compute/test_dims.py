"""Dims: canonical forms, equality, exact division, for ints and symbols alike."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hidet_core.compute.dims import (
    dim_text,
    exact_div,
    is_cut_of,
    product,
    same_dim,
    same_shape,
    shape_text,
    simplify,
)
from hidet_core.compute.evaluate import dim_value
from hidet_core.ir.expr import Var, maximum, minimum

N, H = Var("N"), Var("H")


def test_constants_fold_to_ints():
    assert simplify((N + 3) - N) == 3
    assert product([2, 3, 4]) == 24
    assert product([]) == 1


def test_order_of_writing_does_not_matter():
    assert same_dim(N * H + 2, 2 + H * N)
    assert same_dim((N + 1) * 2, N * 2 + 2)
    assert not same_dim(N, H)
    assert not same_dim(N, 1)
    assert not same_shape((N, 2), (N,))


def test_two_symbols_of_one_name_are_different():
    assert not same_dim(Var("N"), Var("N"))


def test_even_floor_divisions_open():
    assert same_dim((H * 4 + 2) // 2, H * 2 + 1)
    assert same_dim((H * 4 + 3) // 4, H)


def test_texts():
    assert shape_text((N, 3, simplify(H * 2))) == "[N, 3, H * 2]"
    assert dim_text(7) == "7"


@pytest.mark.parametrize(
    ("top", "bottom", "expected"),
    [
        (12, 4, 3),
        (12, 5, None),
        (12, 0, None),
        (N * 12, 4, N * 3),
        (N * 12, N * 4, 3),
        (N * H, N, H),
        (N * H + N * 2, N, H + 2),
        (N + 1, N + 1, 1),
        (N, H, None),
        (N * 3, 2, None),
        (N * 4, N + 1, None),
        (N * (N + H) * 8, (N + H) * 4, N * 2),
        ((N + H) * (N - H), N - H, N + H),
        (N * H + N + 1, H + 1, None),
    ],
)
def test_exact_division(top, bottom, expected):
    found = exact_div(top, bottom)
    if expected is None:
        assert found is None
    else:
        assert same_dim(found, expected)


OPERATIONS = {
    "+": lambda a, b: a + b,
    "*": lambda a, b: a * b,
    "//": lambda a, b: a // 3 + b,
    "%": lambda a, b: a % 4 + b,
    "max": maximum,
}
DIMS = st.recursive(
    st.one_of(st.just(N), st.just(H), st.integers(0, 9)),
    lambda inner: st.tuples(st.sampled_from(sorted(OPERATIONS)), inner, inner),
    max_leaves=6,
)


def _build(tree):
    if not isinstance(tree, tuple):
        return tree
    op, left, right = tree[0], _build(tree[1]), _build(tree[2])
    if op == "max" and isinstance(left, int) and isinstance(right, int):
        return max(left, right)
    return OPERATIONS[op](left, right)


@given(DIMS, st.integers(0, 12), st.integers(0, 12))
def test_simplify_keeps_the_value(tree, n, h):
    dim = _build(tree)
    symbols = {N: n, H: h}
    assert dim_value(simplify(dim), symbols) == dim_value(dim, symbols)
    assert same_dim(dim, simplify(dim))


def test_a_symbol_may_be_0():
    """x[:-1] of nothing is nothing."""
    cut = simplify(maximum(N - 1, 0))
    assert [dim_value(cut, {N: n}) for n in (0, 1, 4)] == [0, 0, 3]


def test_what_is_cut_to_a_size():
    n, m = Var("n"), Var("m")
    assert is_cut_of(simplify(minimum(n, 16)), n) and is_cut_of(simplify(minimum(n + 1, 7)), n + 1)
    assert not is_cut_of(simplify(minimum(n, 16)), m)
    assert not is_cut_of(simplify(minimum(n, 1)), n), "1 broadcasts"
    assert not is_cut_of(simplify(minimum(n, m)), n) and not is_cut_of(n, n)
    assert not is_cut_of(16, n)
