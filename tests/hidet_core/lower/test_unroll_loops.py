"""Loops of kind 'unroll' become copies with their own variables."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, Const, Var, cast
from hidet_core.ir.node import walk
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import For, If, Let, Program, Store, seq
from hidet_core.lower import unroll_loops

Y = Buffer("y", f32, (64,))
A, B, T, TASK = Var("a"), Var("b"), Var("t"), Var("task")


def _program(body):
    return Program("p", (Y,), (), TASK, Const(1, i64), (), body)


def _unroll(var, extent, body):
    return For(var, Const(extent, i64), body, "unroll")


def test_nested_loops(golden):
    inner = Let(T, A * 4 + B, Store(Y, (T,), cast(T, f32)))
    branch = If(A < 1, Store(Y, (A,), Const(0.0, f32)))
    golden(text(unroll_loops(_program(_unroll(A, 2, seq(_unroll(B, 3, inner), branch))))))


def test_copies_bind_their_own_variables():
    loop = For(B, Const(4, i64), Let(T, A + B, Store(Y, (T,), Const(0.0, f32))))
    program = unroll_loops(_program(_unroll(A, 3, loop)))
    bound = [node.var for node in walk(program) if isinstance(node, (For, Let))]
    assert len(bound) == len(set(bound)) == 6


def test_loops_without_iterations():
    program = unroll_loops(_program(_unroll(A, 0, Store(Y, (A,), Const(0.0, f32)))))
    assert text(program.body) == "pass\n"


def test_a_symbolic_extent_is_a_bug():
    loop = For(A, TASK, Store(Y, (A,), Const(0.0, f32)), "unroll")
    with pytest.raises(CompilerBug, match="the extent of a is not a constant"):
        unroll_loops(_program(loop))


def test_unchanged_is_the_same_object():
    program = _program(For(A, Const(2, i64), Store(Y, (A,), Const(0.0, f32))))
    assert unroll_loops(program) is program
