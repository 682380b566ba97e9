"""HIDET_VERIFY: every program that comes through a trace is checked, or none."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, Const, Var
from hidet_core.ir.stmt import For, Program, Store
from hidet_core.stages import Trace

Y, LANE = Buffer("y", f32, (8,)), Var("lane")
LOOP = For(LANE, Const(8, i64), Store(Y, (LANE,), Const(0.0, f32)), "lanes")
PROGRAM = Program("p", (Y,), (), Var("task"), Const(1, i64), (), LOOP)


@pytest.mark.parametrize("spec", ["open", "scheduled", "flat"])
def test_a_program_that_keeps_the_spec_passes(spec, monkeypatch):
    monkeypatch.setenv("HIDET_VERIFY", "1")
    assert Trace.user("p", "text")("some_pass", PROGRAM, spec) is PROGRAM


def test_one_that_does_not_is_a_bug_of_the_stage(monkeypatch):
    monkeypatch.setenv("HIDET_VERIFY", "1")
    with pytest.raises(CompilerBug, match=r"some_pass: not a lowered program: `for lane in lanes"):
        Trace.user("p", "text")("some_pass", PROGRAM, "lowered")


def test_switched_off(monkeypatch):
    monkeypatch.setenv("HIDET_VERIFY", "0")
    assert Trace.user("p", "text")("some_pass", PROGRAM, "lowered") is PROGRAM
