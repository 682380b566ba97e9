"""The interpreter: the same results as compiled code, and the mistakes it finds."""

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug, ProgramError
from hidet_core.codegen import interpret
from hidet_core.ir.dtypes import ALL, bf16, boolean, f32, i32, i64
from hidet_core.ir.expr import (
    COMPARISONS,
    Buffer,
    Cast,
    Const,
    Load,
    Var,
    binary,
    select,
    unary,
)
from hidet_core.ir.stmt import For, If, Let, OnMapping, Program, Store, seq
from tests.hidet_core.codegen.programs import compiled, k, load, program, ramp, splat


def _saxpy(size):
    x, y = Buffer("x", f32, (size,)), Buffer("y", f32, (size,))
    n, task = Var("n"), Var("task")
    index = ramp(task * 16, 16)
    mask = binary("lt", index, splat(n, 16))
    value = load(x, index, mask) * 3.0 + load(y, index, mask)
    return program([x, y], Store(y, (index,), value, mask), [n], (n + 15) // 16, task)


def test_lowered_program(rng):
    a, b = rng.random(37, np.float32), rng.random(37, np.float32)
    want = b + 3 * a
    interpret(_saxpy(37), [a, b], [37])
    np.testing.assert_allclose(b, want, rtol=1e-6)


def test_scheduled_program_with_strides_and_loops_of_all_kinds(rng):
    """A transposing copy into the left half of a wider matrix, through a local."""
    x = Buffer("x", f32, (3, 4))
    y = Buffer("y", f32, (4, 3), (6, 1))
    tile = Buffer("tile", f32, (4,), scope="register")
    i, j, lane, row = (Var(name) for name in ("i", "j", "lane", "row"))
    body = For(
        i, k(3),
        seq(
            For(j, k(4), Store(tile, (j,), Load(x, (i, j), f32)), "unroll"),
            For(lane, k(4), Store(y, (lane, i), Load(tile, (lane,), f32)), "lanes"),
        ),
    )  # fmt: skip
    source, got = rng.random((3, 4), np.float32), np.zeros(4 * 6, np.float32)
    interpret(program([x, y], body, task=row, local=[tile]), [source, got])
    np.testing.assert_array_equal(got.reshape(4, 6)[:, :3], source.T)
    assert not got.reshape(4, 6)[:, 3:].any()


def test_branches_lets_and_symbolic_extents():
    out, n, i, t = Buffer("out", i64, (5,)), Var("n"), Var("i"), Var("t")
    store = If(
        binary("lt", t, 6), Store(out, (i,), t), Store(out, (i,), select(t < 12, t + 100, k(0)))
    )
    prog = program([out], For(i, n, Let(t, i * 3, store)), [n])
    got = np.zeros(5, np.int64)
    interpret(prog, [got], [5])
    assert got.tolist() == [0, 3, 106, 109, 0]


OPERATIONS = [
    ("add", 2),
    ("mod", 2),
    ("max", 2),
    ("lt", 2),
    ("shr", 2),
    ("div", 2),
    ("exp", 1),
    ("neg", 1),
]


@pytest.mark.parametrize(("op", "operands"), OPERATIONS)
def test_agrees_with_compiled_code(op, operands, rng):
    for dtype in ALL:
        if (
            dtype is bf16
            or dtype.is_float8
            or (op in ("shr",) and dtype.is_float)
            or (op == "exp" and not dtype.is_float)
        ):
            continue
        if dtype.is_bool and op not in ("max", "lt"):
            continue
        inputs = [Buffer(f"x{i}", dtype, (16,)) for i in range(operands)]
        out = Buffer("out", boolean if op in COMPARISONS else dtype, (16,))
        values = [load(x, ramp(0, 16)) for x in inputs]
        value = binary(op, *values) if operands == 2 else unary(op, *values)
        prog = program([*inputs, out], Store(out, (ramp(0, 16),), value))
        arrays = [
            rng.integers(0, 2 if dtype.is_bool else 9, 16).astype(dtype.numpy) for _ in inputs
        ]
        got, want = np.zeros(16, out.dtype.numpy), np.zeros(16, out.dtype.numpy)
        if op in ("mod", "div") and dtype.is_float:
            arrays[1][arrays[1] == 0] = 1
        interpret(prog, [*arrays, got])
        compiled(prog)([*arrays, want])
        np.testing.assert_allclose(
            got, want, rtol=1e-6 if dtype.bits > 16 else 1e-3, err_msg=str(dtype)
        )


def test_bf16_is_rounded_after_every_operation(rng):
    x, y = Buffer("x", f32, (16,)), Buffer("y", bf16, (16,))
    value = Cast(load(x, ramp(0, 16)), bf16.vector(16))
    prog = program([x, y], Store(y, (ramp(0, 16),), value * value + value))
    source = rng.standard_normal(16).astype(np.float32)
    got, want = np.zeros(16, np.uint16), np.zeros(16, np.uint16)
    interpret(prog, [source, got])
    compiled(prog)([source, want])
    np.testing.assert_array_equal(got, want)


def _error(body, params, arrays, scalars=(), **more):
    with pytest.raises(ProgramError) as caught:
        interpret(program(params, body, **more), arrays, scalars)
    return str(caught.value)


def test_index_out_of_bounds():
    x, y = Buffer("x", f32, (2, 3)), Buffer("y", f32, (16,))
    read = Store(y, (k(0),), Load(x, (k(1), k(3)), f32), where="author.py:7")
    arrays = [np.zeros((2, 3), np.float32), np.zeros(16, np.float32)]
    assert (
        _error(read, [x, y], arrays) == "author.py:7: index 3 is outside x: bounds [0, 3) in axis 1"
    )
    write = Store(y, (k(-1),), k(0.0, f32))
    assert "index -1 is outside y: bounds [0, 16)" in _error(write, [x, y], arrays)
    vector = Store(y, (ramp(8, 16),), Const(1.0, f32.vector(16)))
    assert "index 16 is outside y" in _error(vector, [x, y], arrays)
    flat = Store(y, (k(0),), load(x, 6))
    assert "index 6 is outside x: bounds [0, 6) of its memory" in _error(flat, [x, y], arrays)


def test_masked_lanes_may_be_anywhere():
    a, b = np.ones(5, np.float32), np.ones(5, np.float32)
    interpret(_saxpy(5), [a, b], [5])
    with pytest.raises(ProgramError, match="index 5 is outside x"):
        interpret(_saxpy(5), [a, b], [6])


def test_uninitialised_local():
    y, t = Buffer("y", f32, (2,)), Var("t")
    reg = Buffer("reg", f32, (4,), scope="register")
    only_first = If(t < 1, Store(reg, (k(2),), k(1.0, f32)))
    body = seq(only_first, Store(y, (t,), load(reg, 2), where="author.py:9"))
    text = _error(body, [y], [np.zeros(2, np.float32)], task=t, tasks=2, local=[reg])
    assert text == "author.py:9: reg is read at 2 before it is written"


def test_tasks_that_get_in_each_others_way():
    y, t = Buffer("y", f32, (4,)), Var("t")
    clash = Store(y, (t // 2,), k(1.0, f32), where="author.py:3")
    array = np.zeros(4, np.float32)
    text = _error(clash, [y], [array], task=t, tasks=2)
    assert text == "author.py:3: task 1 has a store to y at 0, which task 0 stores"
    neighbour = Store(y, (t,), load(y, (t + 3) % 4))
    assert "load of y at 0" in _error(neighbour, [y], [array], task=t, tasks=2)
    interpret(program([y], clash, task=t, tasks=2), [array], exclusive=False)


def test_what_it_cannot_run():
    x, i = Buffer("x", f32, (4,)), Var("i")
    store = Store(x, (i,), k(1.0, f32))
    with pytest.raises(CompilerBug, match="variable i"):
        interpret(program([x], store), [np.zeros(4, np.float32)])
    with pytest.raises(CompilerBug, match="OnMapping"):
        interpret(program([x], OnMapping((i,), None, k(0), store)), [np.zeros(4, np.float32)])
    with pytest.raises(ValueError, match="takes 1 arrays and 0 scalars, got 2 and 0"):
        interpret(program([x], store), [np.zeros(4, np.float32)] * 2)
    with pytest.raises(ValueError, match="float32, got int32"):
        interpret(program([x], store), [np.zeros(4, i32.numpy)])
    assert isinstance(program([x], store), Program)
