"""Expressions: what is folded, which dtype a number takes, which operands are refused."""

import math

import numpy as np
import pytest

from hidet_core.ir.dtypes import ALL, bf16, boolean, f16, f32, f64, i8, i32, i64, u8
from hidet_core.ir.expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Select,
    Unary,
    Var,
    binary,
    both,
    broadcast,
    cast,
    eq,
    free_vars,
    is_const,
    load,
    reduce,
    select,
    unary,
    wrap,
)
from hidet_core.ir.printer import text

N, X, U, FLAG = Var("n"), Var("x", f32), Var("u", u8), Var("flag", boolean)
INF = math.inf

FOLDED = {
    "numbers": (lambda: wrap(3) * 4 - 5, "7"),
    "floor": (lambda: wrap(-7) // 2, "-4"),
    "modulo": (lambda: wrap(-7) % 4, "1"),
    "n + 0": (lambda: N + 0, "n"),
    "0 + n": (lambda: 0 + N, "n"),
    "n * 1": (lambda: N * 1, "n"),
    "n * 0": (lambda: N * 0, "0"),
    "n // 1": (lambda: N // 1, "n"),
    "n % 1": (lambda: N % 1, "0"),
    "0 // n": (lambda: 0 // N, "0"),
    "n << 0": (lambda: binary("shl", N, 0), "n"),
    "n & 0": (lambda: N & 0, "0"),
    "n | 0": (lambda: N | 0, "n"),
    "true and": (lambda: both(True, FLAG), "flag"),
    "and false": (lambda: FLAG & False, "False"),
    "or true": (lambda: FLAG | True, "True"),
    "comparison": (lambda: wrap(3) < 4, "True"),
    "not": (lambda: unary("not", wrap(True)), "False"),
    "negative": (lambda: -wrap(3), "-3"),
    "select": (lambda: select(True, N, 1), "n"),
    "cast": (lambda: cast(wrap(3), f32), "3.0"),
    "cast to int": (lambda: cast(wrap(-2.7), i32), "-2:i32"),
    "cast to bool": (lambda: cast(wrap(2), boolean), "True"),
    "in its own dtype": (lambda: cast(wrap(0.1, f32), f64), "0.10000000149011612:f64"),
    "f16 sum": (lambda: wrap(2048.0, f16) + 1.0, "2048.0:f16"),
    "bf16 sum": (lambda: wrap(256.0, bf16) + 1.0, "256.0:bf16"),
}
KEPT = {
    "x + 0": (lambda: X + 0.0, "x + 0.0"),
    "x * 0": (lambda: X * 0, "x * 0.0"),
    "x // 1": (lambda: X // 1, "x // 1.0"),
    "n // 0": (lambda: wrap(3) // 0, "3 // 0"),
    "n % 0": (lambda: wrap(3) % 0, "3 % 0"),
    "1 / 0": (lambda: wrap(1.0) / 0.0, "1.0 / 0.0"),
    "int division": (lambda: wrap(7) / 2, "7 / 2"),
    "overflow": (lambda: wrap(100, i8) + 100, "100:i8 + 100:i8"),
    "float overflow": (lambda: wrap(3e38) * 10.0, "3e+38 * 10.0"),
    "f16 overflow": (lambda: wrap(60000.0, f16) + 60000.0, "60000.0:f16 + 60000.0:f16"),
    "nan": (lambda: binary("max", wrap(math.nan), 1.0), "max(nan, 1.0)"),
    "minus of unsigned": (lambda: -wrap(3, u8), "neg(3:u8)"),
    "minus of the least": (lambda: -wrap(-128, i8), "neg(-128:i8)"),
    "cast out of range": (lambda: cast(wrap(300), u8), "u8(300)"),
    "cast of infinity": (lambda: cast(wrap(INF), i32), "i32(inf)"),
    "0 / x": (lambda: 0.0 / X, "0.0 / x"),
}


@pytest.mark.parametrize("name", FOLDED)
def test_folded(name):
    make, wanted = FOLDED[name]
    assert not isinstance(make(), (Binary, Unary, Select, Cast))
    assert text(make()) == wanted


@pytest.mark.parametrize("name", KEPT)
def test_left_to_the_program(name):
    make, wanted = KEPT[name]
    assert text(make()) == wanted


@pytest.mark.parametrize("op", ["add", "sub", "mul", "div"])
def test_folding_computes_what_the_program_would(op, rng):
    for a, b in rng.standard_normal((50, 2)):
        folded = binary(op, wrap(a, f32), wrap(b, f32)).value
        want = getattr(np, {"div": "divide", "mul": "multiply", "sub": "subtract"}.get(op, op))
        assert np.float32(folded) == want(np.float32(a), np.float32(b))
        assert folded == float(np.float32(folded))


NUMBERS = {
    "int": (3, None, "i64"),
    "float": (3.5, None, "f32"),
    "bool": (True, None, "bool"),
    "int as float": (3, f32, "f32"),
    "bool as float": (True, f32, "f32"),
    "whole float as int": (3.0, i64, "i64"),
    "numpy int": (np.int32(3), None, "i64"),
    "numpy float": (np.float64(0.5), None, "f32"),
    "numpy bool": (np.bool_(True), None, "bool"),
    "one as bool": (1, boolean, "bool"),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_become_constants(name):
    number, dtype, wanted = NUMBERS[name]
    constant = wrap(number, dtype)
    assert str(constant.dtype) == wanted
    kind = {"f": float, "b": bool}.get(constant.dtype.kind, int)
    assert type(constant.value) is kind
    assert constant.value == number


WRONG = {
    "half an int": (lambda: N + 0.5, "0.5 is no value of i64: cast the other operand"),
    "negative unsigned": (lambda: U + (-1), "-1 is no value of u8: out of range"),
    "too large": (lambda: U < 256, "256 is no value of u8"),
    "not a bool": (lambda: FLAG & 2, "2 is no value of bool"),
    "infinite int": (lambda: N + INF, "inf is no value of i64"),
    "text": (lambda: N + "a", "expected an expression or a number, got str: 'a'"),
    "none": (lambda: wrap(None), "got NoneType"),
    "two dtypes": (lambda: N + X, "add: operands have different dtypes i64 and f32; cast one"),
    "branches": (lambda: select(FLAG, N, X), "select: branches have different dtypes i64 and f32"),
    "truth": (lambda: bool(N < 3), "has no truth value while the program is written"),
    "dims": (lambda: load(Buffer("b", f32, (2, 2)), N), "b has 2 dims, got 1 indices"),
    "float index": (lambda: load(Buffer("b", f32, (2,)), X), "b: an index is f32, expected an in"),
    "operation": (lambda: binary("hypot", X, X), "unknown operation 'hypot', known: add"),
    "unary": (lambda: unary("cbrt", X), "unknown unary operation 'cbrt', known: neg"),
    "reduction": (lambda: reduce("mean", (N,), (3,), X), "unknown reduction 'mean', known: sum"),
}


@pytest.mark.parametrize("name", WRONG)
def test_refused(name):
    make, message = WRONG[name]
    with pytest.raises((TypeError, ValueError)) as caught:
        make()
    assert message in str(caught.value)


def test_an_index_is_i64():
    small = Var("small", i32)
    found = load(Buffer("b", f32, (2, 2)), small, 1)
    assert [index.dtype for index in found.indices] == [i64, i64]
    assert text(found) == "b[i64(small), 1]"


def test_a_scalar_meets_a_vector_in_all_lanes():
    vector = broadcast(X, 8)
    total = vector + 1.0
    assert isinstance(vector, Broadcast)
    assert str(total.dtype) == "f32x8"
    assert str(eq(total, X).dtype) == "boolx8"
    assert text(total) == "splat(x, 8) + 1.0[x8]"
    assert broadcast(total, 8) is total
    assert str(select(FLAG, vector, 0.0).dtype) == "f32x8"
    assert cast(vector, i32).dtype == i32.vector(8)


def test_is_const():
    assert is_const(3, 3)
    assert is_const(Const(3, i64))
    assert not is_const(Const(3, i64), 4)
    assert not is_const(N)


def test_free_vars():
    assert free_vars((N * X.dtype.bits + U.dtype.bits, X, N)) == (N, X)


def test_casts_to_the_same_dtype_are_nothing():
    for dtype in ALL:
        value = Var("v", dtype)
        assert cast(value, dtype) is value
