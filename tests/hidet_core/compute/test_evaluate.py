"""The evaluator: cut boxes, reductions, symbols, wide sums, missing values."""

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.compute import evaluate as module
from hidet_core.compute.definition import compute, reduce_over, the_reduce
from hidet_core.compute.evaluate import evaluate
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, Const, Var, cast, load, select


def product_definition(m, n, k):
    a, b = Buffer("a", f32, (m, k)), Buffer("b", f32, (k, n))

    def value(i, j):
        return reduce_over("sum", (k,), lambda r: load(a, i, r) * load(b, r, j))

    return a, b, compute("c", f32, (m, n), value)


def test_boxes_are_cut_without_a_trace(monkeypatch, rng):
    a, b, definition = product_definition(13, 7, 5)
    arrays = {a: rng.random((13, 5), np.float32), b: rng.random((5, 7), np.float32)}
    whole = evaluate([definition], arrays)[definition.out]
    monkeypatch.setattr(module, "BOX_ELEMENTS", 30)
    cut = evaluate([definition], arrays)[definition.out]
    np.testing.assert_array_equal(whole, cut)
    np.testing.assert_allclose(whole, arrays[a] @ arrays[b], rtol=1e-6)


def test_symbolic_extents(rng):
    n = Var("N")
    a, b, definition = product_definition(n, 3, n * 2)
    arrays = {a: rng.random((2, 4), np.float32), b: rng.random((4, 3), np.float32)}
    found = evaluate([definition], arrays, {n: 2})[definition.out]
    np.testing.assert_allclose(found, arrays[a] @ arrays[b], rtol=1e-6)


def test_wide_sums_are_exact_where_float32_is_not():
    x = Buffer("x", f32, (3,))
    definition = compute("y", f32, (), lambda: reduce_over("sum", (3,), lambda k: load(x, k)))
    values = np.array([1e8, 1, -1e8], np.float32)
    assert evaluate([definition], {x: values}, wide=True)[definition.out] == 1
    assert evaluate([definition], {x: values})[definition.out] == 0


def test_a_reduce_of_a_constant_counts():
    definition = compute(
        "n", f32, (2,), lambda i: reduce_over("sum", (3, 4), lambda r, s: Const(1.0, f32))
    )
    np.testing.assert_array_equal(evaluate([definition], {})[definition.out], [12, 12])


def test_empty_tensors():
    x = Buffer("x", f32, (0, 3))
    copy = compute("y", f32, (0, 3), lambda i, j: load(x, i, j))
    assert evaluate([copy], {x: np.zeros((0, 3), np.float32)})[copy.out].shape == (0, 3)


def test_later_definitions_read_earlier_ones():
    first = compute("a", i64, (3,), lambda i: i * 2)
    second = compute("b", f32, (3,), lambda i: cast(load(first.out, i), f32) + 0.5)
    np.testing.assert_array_equal(evaluate([first, second], {})[second.out], [0.5, 2.5, 4.5])


def test_a_variable_without_a_value_is_a_bug():
    definition = compute("a", i64, (3,), lambda i: i + Var("stray"))
    with pytest.raises(CompilerBug, match="stray"):
        evaluate([definition], {})


def test_a_definition_has_one_dtype_and_one_reduce():
    with pytest.raises(CompilerBug, match="declared f32"):
        compute("a", f32, (3,), lambda i: i)
    both = [reduce_over(op, (2,), lambda k: k) for op in ("sum", "max")]
    two = compute("a", i64, (), lambda: both[0] + both[1])
    with pytest.raises(CompilerBug, match="2 reductions"):
        the_reduce(two)


def test_both_sides_of_a_select_are_evaluated():
    x = Buffer("x", f32, (2,))
    unsafe = compute("y", f32, (4,), lambda i: select(i < 2, load(x, i), 0.0))
    with pytest.raises(IndexError, match=r"x axis 0 of 2 is read at 0\.\.3"):
        evaluate([unsafe], {x: np.zeros(2, np.float32)})
    below = compute("y", f32, (2,), lambda i: load(x, i - 1))
    with pytest.raises(IndexError, match=r"-1\.\.0"):
        evaluate([below], {x: np.zeros(2, np.float32)})
