"""The text of programs: readable, unambiguous, a key of what they mean."""

import pytest

from hidet_core.ir.dtypes import boolean, f32, f64, i64
from hidet_core.ir.expr import (
    Broadcast,
    Buffer,
    Const,
    Load,
    Ramp,
    Var,
    binary,
    cast,
    load,
    maximum,
    reduce,
    select,
    unary,
)
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import For, If, Let, OnMapping, Prefetch, Program, Store, seq
from hidet_core.mapping import repeat, spatial

A, B, C = Var("a"), Var("b"), Var("c")
X = Buffer("x", f32, (C, 4))
RAMP = Ramp(A, Const(1, i64), i64.vector(8))

EXPRESSIONS = {
    "(a + b) * c": (A + B) * C,
    "a + b * c": A + B * C,
    "a - (b - c)": A - (B - C),
    "a - b - c": A - B - C,
    "a // b % c": A // B % C,
    "a // (b % c)": A // (B % C),
    "a < b & b < c": (A < B) & (B < C),
    "(a | b) & c": (A | B) & C,
    "(a ^ b) & c": binary("and", binary("xor", A, B), C),
    "a ^ b & c": binary("xor", A, binary("and", B, C)),
    "(a < b) == (b < c)": binary("eq", A < B, B < C),
    "max(a, b + 1)": maximum(A, B + 1),
    "neg(a)": unary("neg", A),
    "f32(a)": cast(A, f32),
    "select(a < b, a, b)": select(A < B, A, B),
    "x[a, b + 1]": load(X, A, B + 1),
    "sum[b<c](x[a, b])": reduce("sum", (B,), (C,), load(X, A, B)),
    "ramp(a, 8)": RAMP,
    "ramp(a, 8, step=c)": Ramp(A, C, i64.vector(8)),
    "splat(a, 8)": Broadcast(A, i64.vector(8)),
    "x[ramp(a, 8) if ramp(a, 8) < 4[x8]]": Load(
        X, (RAMP,), f32.vector(8), binary("lt", RAMP, Const(4, i64.vector(8)))
    ),
    "0.5": Const(0.5, f32),
    "0.5:f64": Const(0.5, f64),
    "1.0[x8]": Const(1.0, f32.vector(8)),
    "1.0:f64x8": Const(1.0, f64.vector(8)),
    "True": Const(True, boolean),
}


@pytest.mark.parametrize("wanted", EXPRESSIONS)
def test_expressions(wanted):
    assert text(EXPRESSIONS[wanted]) == wanted


def test_names_are_told_apart():
    """Also from names that look like theirs with a number."""
    one, two, other = Var("v"), Var("v"), Var("v_1")
    assert text(one + two + other + one) == "v + v_1 + v_1_1 + v"
    assert text(other + one + two) == "v_1 + v + v_2"


def _program():
    n, task, i, t, lane, j = (Var(name) for name in ("n", "task", "i", "t", "lane", "j"))
    x = Buffer("x", f32, (n, 8), (n * 2, 1))
    y = Buffer("y", f32, (n,), alignment=64)
    acc = Buffer("acc", f32, (8,), None, "register", 64)
    body = seq(
        For(lane, Const(8, i64), Store(acc, (lane,), load(x, task, lane)), "lanes"),
        OnMapping((j,), repeat(2) * spatial(4), t, Store(acc, (j,), Const(0.0, f32))),
        OnMapping(
            (i, j), repeat(2, 4), Const(0, i64), Store(acc, (i * 4 + j,), load(acc, j)), False
        ),
        Prefetch(x, (task, Const(0, i64)), 1),
        If(task < n, Store(y, (task,), load(acc, 3)), Store(y, (task,), Const(1.0, f32))),
        For(Var("u"), Const(0, i64), seq(), "unroll"),
    )
    return Program("all", (x, y), (n,), task, n, (acc,), Let(t, task % 4, body))


def test_a_program(golden):
    golden(text(_program()))


def test_statements_and_buffers():
    assert text(Store(X, (A, B), Const(1.0, f32), A < B)) == "x[a, b if a < b] = 1.0\n"
    assert text(X) == "x: f32[c, 4]"
    assert text(7) == "7"
