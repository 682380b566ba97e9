"""Arrays of 16-bit floats against ml_dtypes, and arithmetic of them as float32."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import bf16, f16, f32, i32
from hidet_core.ir.expr import Buffer, Cast, Const, Var, cast, load, select, unary
from hidet_core.ir.halves import as_dtype, from_bits, single, to_bits
from hidet_core.ir.printer import text
from hidet_core.ir.widen import narrowed, wide_load, widened

X = {dtype: Buffer("x", dtype, (8,)) for dtype in (f16, bf16, f32)}


def test_bfloat16_is_rounded_to_nearest_even(rng):
    ml_dtypes = pytest.importorskip("ml_dtypes")
    values = rng.standard_normal(4000).astype(np.float32) * 10.0 ** rng.integers(-40, 39, 4000)
    values = np.concatenate([values, [0.0, -0.0, np.inf, -np.inf, 3.4e38, 1e-45]]).astype("f4")
    want = values.astype(ml_dtypes.bfloat16)
    np.testing.assert_array_equal(to_bits(values), want.view(np.uint16))
    np.testing.assert_array_equal(single(as_dtype(values, bf16)), want.astype(np.float32))
    assert np.isnan(from_bits(to_bits(np.float32(np.nan))))


@pytest.mark.parametrize("dtype", [f16, bf16], ids=str)
def test_arrays_keep_their_shape(dtype):
    array = as_dtype(np.arange(6.0).reshape(2, 3), dtype)
    assert array.dtype == dtype.numpy
    np.testing.assert_array_equal(single(array.T[::2]), [[0, 3], [2, 5]])
    assert single(as_dtype(2.5, dtype)).shape == ()
    assert single(np.zeros((0, 2), dtype.numpy)).shape == (0, 2)
    assert single(np.arange(3)).dtype == np.arange(3).dtype


@pytest.mark.parametrize("dtype", [f16, bf16], ids=str)
def test_expressions(dtype):
    a, b = load(X[dtype], 0), load(X[dtype], 1)
    product = (a + b) * 3.0
    wanted = f"{dtype}((f32(x[0]) + f32(x[1])) * 3.0)"
    assert text(widened(product)) == wanted
    assert text(widened(cast(product, f32))) == "(f32(x[0]) + f32(x[1])) * 3.0"
    assert text(widened(cast(product, i32))) == "i32((f32(x[0]) + f32(x[1])) * 3.0)"
    assert text(widened(select(a < b, a, b))) == "select(f32(x[0]) < f32(x[1]), x[0], x[1])"
    assert text(widened(unary("isnan", -a))) == "isnan(neg(f32(x[0])))"


def test_what_rounds():
    value = load(X[f32], 0)
    hard, soft = cast(value, f16), narrowed(value, f16)
    assert isinstance(soft, Cast) and text(soft) == "f16~(x[0])"
    assert text(widened(hard + 1.0)) == "f16(f32(f16(x[0])) + 1.0)"
    assert text(widened(soft + 1.0)) == "f16(x[0] + 1.0)"
    assert text(widened(cast(soft, f32))) == "x[0]"
    assert narrowed(value, f32) is value
    assert narrowed(Const(1.5, f32), f16).value == 1.5
    assert wide_load(X[f32], 0).dtype == wide_load(X[bf16], 0).dtype == f32


def test_without_arithmetic_nothing_changes():
    for value in (load(X[f16], 0), select(Var("n") < 3, load(X[bf16], 1), 0.0), Var("n") + 1):
        assert widened(value) is value
