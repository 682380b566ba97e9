"""The specs of programs: each rule with a program that breaks it."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import boolean, f32, f64, i32, i64
from hidet_core.ir.expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Load,
    Ramp,
    Select,
    Unary,
    Var,
    load,
    reduce,
)
from hidet_core.ir.stmt import For, If, Let, OnMapping, Prefetch, Program, Seq, Store, seq
from hidet_core.ir.verify import SPECS, gives, verify
from hidet_core.lower import LOWERING
from hidet_core.mapping import repeat, spatial

N, TASK, ROW, J, T = (Var(name) for name in ("n", "task", "i", "j", "t"))
X = Buffer("x", f32, (N, 4))
Y = Buffer("y", f32, (N,))
REG = Buffer("reg", f32, (8,), None, "register")
ZERO, ONE, FOUR = (Const(value, i64) for value in (0, 1, 4))
HALF = Const(0.5, f32)
RAMP = Ramp(ZERO, ONE, i64.vector(8))


def program(body, params=(X, Y), scalars=(N,), local=(REG,), tasks=N):
    return Program("p", tuple(params), tuple(scalars), TASK, tasks, tuple(local), body)


def y(value, index=ZERO, mask=None):
    return Store(Y, (index,), value, mask)


FINE = {
    "scheduled": seq(
        For(ROW, FOUR, y(load(X, TASK, ROW)), "unroll"),
        OnMapping((J,), repeat(2) * spatial(4), ZERO, Store(REG, (J,), HALF)),
        For(T, N, If(T < 3, y(HALF, T), y(load(REG, T))), "serial"),
    ),
    "flat": For(
        ROW, FOUR, For(J, FOUR, Store(REG, (RAMP,), Load(X, (RAMP,), f32.vector(8)))), "unroll"
    ),
    "lowered": Let(
        T, ROW * 0 + TASK, Store(Y, (RAMP,), HALF, Binary("lt", RAMP, RAMP, boolean.vector(8)))
    ),
}
FINE["lowered"] = Let(T, TASK * 2, FINE["lowered"].body)


@pytest.mark.parametrize("spec", FINE)
def test_what_is_fine(spec):
    verify(program(FINE[spec]), spec)


Z = Buffer("z", f32, (Var("m"),))
OPEN = Store(Y, (ZERO,), load(Z, Z.shape[0] - 1))

# name -> (spec, statement, what the message says)
BROKEN = {
    "unbound": (
        "scheduled",
        y(load(X, ZERO, J)),
        "`y[0] = x[0, j]`: expected variables that are bo",
    ),
    "out of scope": ("scheduled", seq(For(ROW, FOUR, seq()), y(HALF, ROW)), "got i unbound"),
    "bound twice": (
        "scheduled",
        seq(For(ROW, FOUR, seq()), For(ROW, FOUR, seq())),
        "`for i in range(4):`: expected i bound once, got a second binding",
    ),
    "scalar bound again": ("scheduled", Let(N, ONE, seq()), "expected n bound once"),
    "operands": (
        "scheduled",
        y(Binary("add", HALF, Const(1.0, f64), f32)),
        "`0.5 + 1.0:f64`: expected operands of one dtype, got f32 and f64",
    ),
    "result": (
        "scheduled",
        y(Binary("add", HALF, HALF, f64)),
        "`0.5 + 0.5`: expected f32, got f64",
    ),
    "comparison": ("scheduled", y(Binary("lt", HALF, HALF, f32)), "expected bool, got f32"),
    "unary": ("scheduled", y(Unary("exp", HALF, f64)), "expected f32, got f64"),
    "unknown unary": ("scheduled", y(Unary("cbrt", HALF, f32)), "unknown operation 'cbrt'"),
    "unknown binary": (
        "scheduled",
        y(Binary("hypot", HALF, HALF, f32)),
        "unknown operation 'hypot'",
    ),
    "shift of floats": ("scheduled", y(Binary("shl", HALF, HALF, f32)), "expected ints or bools"),
    "literal": ("scheduled", y(Const(1, f32)), "expected a float as a literal of f32, got 1"),
    "literal range": (
        "scheduled",
        y(Cast(Const(1 << 40, i32), f32)),
        "expected a number in the range of i32",
    ),
    "condition of select": ("scheduled", y(Select(ZERO, HALF, HALF, f32)), "a condition of bool"),
    "branches of select": (
        "scheduled",
        y(Select(TASK < 1, HALF, Const(0.0, f64), f32)),
        "expected f32, got f64",
    ),
    "stored dtype": ("scheduled", y(ZERO), "`y[0] = 0`: expected f32, got i64"),
    "loaded dtype": ("scheduled", y(Load(X, (ZERO, ZERO), f64)), "expected f32, got f64"),
    "index dtype": ("scheduled", y(HALF, Const(0, i32)), "expected indices of i64, got i32"),
    "too few indices": ("scheduled", y(Load(X, (ZERO,), f32)), "expected 2 indices of x, got 1"),
    "flat indices": ("flat", y(load(X, ZERO, ONE)), "expected 1 indices of x, got 2"),
    "index of a load inside": (
        "scheduled",
        y(load(X, Cast(Load(X, (ZERO,), f32), i64), ZERO)),
        "expected 2 indices of x, got 1",
    ),
    "stranger": ("scheduled", OPEN, "expected variables that are bound here, got m unbound"),
    "strange store": ("scheduled", Store(Z, (ZERO,), HALF), "expected a parameter or local, got z"),
    "condition": ("scheduled", If(ZERO, seq()), "`if 0:`: expected a condition of bool, got i64"),
    "let": ("scheduled", Let(T, HALF, seq()), "`t = 0.5`: expected a i64, got f32"),
    "extent": ("scheduled", For(ROW, HALF, seq()), "expected an i64, got f32"),
    "symbolic unroll": ("scheduled", For(ROW, N, seq(), "unroll"), "a constant extent, got `n`"),
    "symbolic lanes": ("scheduled", For(ROW, N, seq(), "lanes"), "a constant extent"),
    "kind": ("scheduled", For(ROW, FOUR, seq(), "vector"), "got vector"),
    "nested lanes": (
        "scheduled",
        For(ROW, FOUR, For(J, FOUR, seq(), "lanes"), "lanes"),
        "expected no lanes inside of lanes",
    ),
    "mapping": (
        "flat",
        OnMapping((ROW,), spatial(4), ZERO, seq()),
        "expected no mapping, got spatial",
    ),
    "mapping dims": (
        "scheduled",
        OnMapping((ROW, J), spatial(4), ZERO, seq()),
        "expected 1 variables, got 2",
    ),
    "worker": ("scheduled", OnMapping((ROW,), spatial(4), HALF, seq()), "expected an i64, got f32"),
    "unroll": (
        "lowered",
        For(ROW, FOUR, seq(), "unroll"),
        "a loop that is serial or threads",
    ),
    "lanes": ("lowered", For(ROW, FOUR, seq(), "lanes"), "a loop that is serial or threads"),
    "vector": ("scheduled", y(HALF, RAMP), "expected no Ramp in this spec"),
    "reduce": ("lowered", y(reduce("sum", (ROW,), (4,), HALF)), "expected no Reduce in this spec"),
    "lanes of a value": (
        "lowered",
        y(Broadcast(HALF, f32.vector(4)), RAMP),
        "expected 1 or 8 lanes, got f32x4",
    ),
    "mask": ("lowered", y(HALF, RAMP, RAMP), "expected a mask of bool, got i64x8"),
    "lanes of a mask": (
        "lowered",
        y(HALF, RAMP, Const(True, boolean.vector(4))),
        "expected a mask of 1 or 8 lanes, got boolx4",
    ),
    "mask of a load": (
        "lowered",
        y(Load(Y, (RAMP,), f32.vector(8), ZERO), RAMP),
        "expected a mask of bool in 1 or 8 lanes, got i64",
    ),
    "lanes of a load": ("lowered", y(Load(Y, (RAMP,), f32), RAMP), "expected f32x8, got f32"),
    "past a local": (
        "lowered",
        Store(REG, (Ramp(ONE, ONE, i64.vector(8)),), HALF),
        "expected an index in [0, 8), got 8",
    ),
    "before a local": (
        "scheduled",
        Store(REG, (Const(-1, i64),), HALF),
        "an index in [0, 8), got -1",
    ),
    "prefetch": ("scheduled", Prefetch(Y, (ZERO,), 4), "expected a level of 1 to 3, got 4"),
    "no statement": ("scheduled", Seq((HALF,)), "Const is no statement"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_rule(name):
    spec, body, message = BROKEN[name]
    with pytest.raises(CompilerBug) as caught:
        verify(program(body), spec, "some_pass")
    assert caught.value.stage == "some_pass"
    assert f"not a {spec} program: " in str(caught.value)
    assert message in str(caught.value)


SIGNATURES = {
    "scope of a parameter": (
        {"params": (REG,)},
        "expected a parameter of scope global or map, got regist",
    ),
    "scope of a local": (
        {"local": (Y,)},
        "expected a scope of local, register or shared, got global",
    ),
    "symbolic local": (
        {"local": (Buffer("l", f32, (N,), None, "local"),)},
        "expected a local of constant shape",
    ),
    "symbol of a parameter": ({"scalars": (), "tasks": ONE}, "got n unbound"),
    "tasks": ({"tasks": TASK + 1}, "`tasks`: expected variables that are bound here, got task"),
    "tasks from memory": ({"tasks": Cast(load(Y, ZERO), i64)}, "expected tasks over scalars only"),
    "dtype of tasks": ({"tasks": HALF}, "`tasks`: expected an i64, got f32"),
}


@pytest.mark.parametrize("name", SIGNATURES)
def test_a_broken_signature(name):
    parts, message = SIGNATURES[name]
    with pytest.raises(CompilerBug) as caught:
        verify(program(seq(), **parts), "scheduled")
    assert message in str(caught.value)


def test_while_fusing_the_signature_is_open():
    verify(program(OPEN), "open")
    with pytest.raises(CompilerBug, match="got j unbound"):
        verify(program(y(load(Z, J))), "open")


def test_the_authors_line_is_named():
    wrong = Store(Y, (ZERO,), ZERO, where="kernel.py:7")
    with pytest.raises(CompilerBug, match=r"`y\[0\] = 0` \(kernel.py:7\): expected f32"):
        verify(program(wrong), "scheduled")


def test_long_nodes_are_cut():
    deep = HALF
    for _ in range(100):
        deep = Binary("add", load(Y, TASK), deep, f32)
    with pytest.raises(CompilerBug) as caught:
        verify(program(y(deep, Const(0, i32))), "scheduled")
    assert len(str(caught.value)) < 500


def test_deep_let_chains():
    body = y(HALF)
    for _ in range(3000):
        body = Let(Var("v"), ONE, body)
    verify(program(body), "lowered")


def test_every_pass_says_what_it_gives():
    assert [lower.gives for lower in LOWERING] == [
        *("scheduled", "scheduled"),
        *("flat", "flat"),
        "lowered",
    ]
    assert {lower.gives for lower in LOWERING} < set(SPECS)
    marked = gives("flat")(lambda program: program)
    assert marked.gives == "flat"
    with pytest.raises(ValueError, match="unknown spec 'sched'"):
        verify(program(seq()), "sched")
