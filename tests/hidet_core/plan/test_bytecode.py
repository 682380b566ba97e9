"""Size expressions as code and back."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Const, Var, cast, maximum, minimum
from hidet_core.plan.bytecode import MAX_STACK, decode_dim, encode_dim

N, M = Var("n"), Var("m")
SYMBOLS = {N: 0, M: 1}


def const(value):
    return b"\0" + value.to_bytes(8, "little", signed=True)


def symbol(index):
    return b"\1" + index.to_bytes(4, "little")


@pytest.mark.parametrize(
    ("dim", "code"),
    [
        (7, const(7)),
        (Const(-7, i64), const(-7)),
        (M, symbol(1)),
        (N + M, symbol(0) + symbol(1) + b"\2"),
        ((N - 1) * M, symbol(0) + const(1) + b"\3" + symbol(1) + b"\4"),
        (N // 4, symbol(0) + const(4) + b"\5"),
        (N % 4, symbol(0) + const(4) + b"\6"),
        (minimum(N, maximum(M, 2)), symbol(0) + symbol(1) + const(2) + b"\x08\x07"),
        (-N, const(0) + symbol(0) + b"\3"),
    ],
)
def test_code(dim, code):
    assert encode_dim(dim, SYMBOLS) == code
    assert encode_dim(decode_dim(code, (N, M)), SYMBOLS) == code


@pytest.mark.parametrize(
    ("dim", "message"),
    [
        (Var("n"), "size variable 'n' is not a symbol of the plan"),
        (1 << 63, "no 64-bit integer"),
        (True, "expected an integer size, got True"),
        (2.5, "cannot be computed at run time from 2.5"),
        (cast(N, f32), "cannot be computed at run time"),
        (N < M, "cannot be computed at run time"),
    ],
)
def test_what_the_runtime_cannot_evaluate(dim, message):
    with pytest.raises(CompilerBug, match=message):
        encode_dim(dim, SYMBOLS)


def test_deep_expressions():
    left = right = N
    for _ in range(MAX_STACK - 1):
        left, right = left + M, M + right
    assert encode_dim(left, SYMBOLS) and encode_dim(right, SYMBOLS)
    encode_dim(left + M, SYMBOLS)  # leaning left it needs two values, however deep
    with pytest.raises(CompilerBug, match=f"needs {MAX_STACK + 1} stack values"):
        encode_dim(M + right, SYMBOLS)


@pytest.mark.parametrize(
    "code", [b"", b"\2", b"\x09", b"\0", symbol(2), symbol(0) * 2, symbol(0) + b"\2"]
)
def test_damaged_code(code):
    with pytest.raises(ValueError, match=r"size expression .* is damaged"):
        decode_dim(code, (N, M))
