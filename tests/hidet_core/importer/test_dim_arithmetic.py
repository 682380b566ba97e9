"""Arithmetic on dims gives what ONNX gives for the numbers that the symbols stand for."""

import itertools

import numpy as np
import pytest

from hidet_core.importer.dim_arithmetic import from_start, is_natural, on_dims
from hidet_core.ir.expr import Expr, Var, wrap
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.substitute import substitute

N, M = Var("n"), Var("m")
NUMBERS = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "div": np.floor_divide, "mod": np.mod,
    "maximum": np.maximum, "minimum": np.minimum, "eq": np.equal, "gt": np.greater,
    "lt": np.less, "ge": np.greater_equal, "le": np.less_equal,
}  # fmt: skip


def at(dim, **sizes):
    """A dim where the symbols have these sizes."""
    values = {var: wrap(sizes[var.name]) for var in (N, M)}
    return simplify_dim(substitute(dim, values)) if isinstance(dim, Expr) else dim


def dims(*elements):
    array = np.empty(len(elements), object)
    array[:] = elements
    return array


@pytest.mark.parametrize("op", NUMBERS)
@pytest.mark.parametrize("other", [M, 3, -1])
def test_of_two(op, other):
    found = on_dims(op, [dims(N, N * 2 + 1), dims(other, other)])
    if op in ("div", "mod") and ((other is M and op == "mod") or other == -1):
        assert found is None or op == "div", "signs decide how it is rounded"
        return
    for n, m in itertools.product(range(5), range(1, 5)):
        want = NUMBERS[op](np.array([n, 2 * n + 1]), m if other is M else other)
        assert [at(dim, n=n, m=m) for dim in found] == [int(number) for number in want]


def test_choice_and_negation():
    (chosen,) = on_dims("where", [on_dims("gt", [dims(N), dims(4)]), dims(N), dims(4)])
    (negative,) = on_dims("neg", [dims(N)])
    for n in range(8):
        assert at(chosen, n=n, m=0) == max(n, 4)
        assert at(negative, n=n, m=0) == -n


def test_what_is_no_expression():
    assert on_dims("pow", [dims(N), dims(2)]) is None
    assert on_dims("div", [dims(N - 4), dims(2)]) is None, "rounds towards zero"


def test_bounds_from_the_start():
    for n, m in itertools.product(range(6), repeat=2):
        assert at(from_start(N - M, N), n=n, m=m) == (n - m if n >= m else n - m + n)


@pytest.mark.parametrize(
    ("dim", "answer"),
    [(N, True), (N + 3, True), (N - 1, False), (N * -1, False), (-2, False), (N * M // 2, True)],
)
def test_natural(dim, answer):
    assert is_natural(dim) is answer
