"""The signature of a fused program: what it uses, in order of appearance."""

from hidet_core.fusion import trim_signature
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, Const, Var, load
from hidet_core.ir.stmt import Program, Seq, Store

N, M, K = Var("n"), Var("m"), Var("k")


def program(body, *params, scalars=(), local=()):
    task = Var("task")
    return Program("old", params, scalars, task, N * 2, local, body)


def test_unused_tensors_and_symbols_go():
    x, y, z = (Buffer(name, f32, (4,)) for name in "xyz")
    at = Const(0, i64)
    before = program(Store(z, (at,), load(x, at)), x, y, z, scalars=(N, M))
    after = trim_signature(before, (M, N, K), "new")
    assert (after.name, after.params, after.scalars) == ("new", (z, x), (N,))


def test_symbols_of_shapes_and_strides_stay():
    """Only by them can flat indices be computed."""
    x = Buffer("x", f32, (4, M), (K, 1))
    after = trim_signature(program(Store(x, (N, N), Const(0.0, f32)), x), (N, M, K), "new")
    assert set(after.scalars) == {N, M, K}


def test_tensors_of_a_task_are_no_parameters():
    row, out = Buffer("row", f32, (4,), None, "local"), Buffer("out", f32, (4,))
    at = Const(0, i64)
    body = Seq((Store(row, (at,), Const(1.0, f32)), Store(out, (at,), load(row, at))))
    after = trim_signature(program(body, out, local=(row,)), (N,), "new")
    assert after.params == (out,) and after.locals == (row,)


def test_stored_tensors_stay_even_if_nothing_is_stored():
    out = Buffer("out", f32, (0, M))
    after = trim_signature(program(Seq(()), out), (N, M), "new", {out})
    assert after.params == (out,) and set(after.scalars) == {N, M}
