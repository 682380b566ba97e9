"""Whole kernels: compiled from hand-made lowered programs and run on NumPy arrays."""

import ctypes
import mmap

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.codegen import emit
from hidet_core.ir.dtypes import bf16, f16, f32, i16, i32, i64, u8
from hidet_core.ir.expr import Broadcast, Buffer, Const, Load, Var, binary, broadcast, cast, select
from hidet_core.ir.halves import as_dtype
from hidet_core.ir.stmt import For, If, Let, OnMapping, Store, seq
from tests.hidet_core.codegen.programs import aligned, compiled, k, load, program, ramp, splat

LANES = 16


def test_saxpy_with_a_masked_tail(rng):
    x, y = Buffer("x", f32, (1,)), Buffer("y", f32, (1,))
    n, task = Var("n"), Var("task")
    index = ramp(task * LANES, LANES)
    mask = binary("lt", index, splat(n, LANES))
    value = load(x, index, mask) * 3.0 + load(y, index, mask)
    run = compiled(program([x, y], Store(y, (index,), value, mask), [n], task=task))
    for size in (1, 15, 16, 17, 100):
        a, b = rng.random(size + 8, np.float32), rng.random(size + 8, np.float32)
        want = b.copy()
        want[:size] += 3 * a[:size]
        run([a, b], [size], 0, -(-size // LANES))
        np.testing.assert_allclose(b, want, rtol=1e-6)


@pytest.mark.parametrize("dtype", [u8, i16, f16, bf16], ids=str)
@pytest.mark.parametrize("count", [0, 1, 2, 15, 16])
def test_narrow_values_in_lanes_known_to_the_compiler(count, dtype):
    """LLVM 22 stores all bits of a value that is truncated for the one lane of a mask."""
    x, y = Buffer("x", f32, (LANES,)), Buffer("y", dtype, (2 * LANES,))
    wide = load(x, ramp(0, LANES))
    value = cast(wide if dtype.is_float else cast(wide, i32), dtype)
    mask = binary("lt", ramp(0, LANES), splat(Const(count, i64), LANES))
    run = compiled(program([x, y], Store(y, (ramp(0, LANES),), value, mask)))
    result = np.full(2 * LANES, 0x55, np.uint8).repeat(dtype.bytes).view(dtype.numpy)
    want = result.copy()
    numbers = np.arange(LANES, dtype=np.float32)
    want[:count] = as_dtype(numbers[:count], dtype)
    run([numbers, result])
    assert result.tobytes() == want.tobytes()


def test_only_the_given_tasks_run():
    out, task = Buffer("out", i64, (8,)), Var("task")
    run = compiled(program([out], Store(out, (task,), task + 1), task=task, tasks=8))
    array = np.zeros(8, np.int64)
    run([array], begin=2, end=5)
    run([array], begin=7, end=7)
    assert array.tolist() == [0, 0, 3, 4, 5, 0, 0, 0]


def _micro_kernel(rows, vectors):
    """C = A @ B for one tile of rows x vectors*16, B packed in panels."""
    a, b, c = (Buffer(name, f32, (1,), alignment=64) for name in "abc")
    m, n, depth, task, step = (Var(name) for name in ("m", "n", "depth", "task", "step"))
    width = vectors * LANES
    acc = Buffer("acc", f32, (rows * width,), scope="register")
    row, panel = task // (n // width), task % (n // width)
    tile = [(r, v, ramp(r * width + v * LANES, LANES)) for r in range(rows) for v in range(vectors)]
    zero = Const(0.0, f32.vector(LANES))
    packed = [Var(f"b{v}", f32.vector(LANES)) for v in range(vectors)]
    scalars = [load(a, (row * rows + r) * depth + step) for r in range(rows)]
    body = seq(
        *[
            Store(acc, (at,), load(acc, at) + broadcast(scalars[r], LANES) * packed[v])
            for r, v, at in tile
        ]
    )
    for v in range(vectors):
        at = ramp((panel * depth + step) * width + v * LANES, LANES)
        body = Let(packed[v], load(b, at), body)
    finish = [
        Store(c, (ramp((row * rows + r) * n + panel * width + v * LANES, LANES),), load(acc, at))
        for r, v, at in tile
    ]
    whole = seq(*[Store(acc, (at,), zero) for *_, at in tile], For(step, depth, body), *finish)
    tasks = (m // rows) * (n // width)
    return program([a, b, c], whole, [m, n, depth], tasks, task, [acc])


def test_gemm_micro_kernel(rng):
    m, n, depth = 12, 128, 37
    a, b, c = aligned((m, depth)), aligned((n // 64, depth, 64)), aligned((m, n))
    a[:], dense = rng.random(a.shape), rng.random((depth, n), np.float32)
    b[:] = dense.reshape(depth, n // 64, 64).transpose(1, 0, 2)
    compiled(_micro_kernel(6, 4))([a, b, c], [m, n, depth], 0, 4)
    np.testing.assert_allclose(c, a @ dense, rtol=1e-5)


def test_accumulators_stay_in_registers():
    text = emit(_micro_kernel(6, 4))
    assert text.count("alloca <16 x float>") == 24


def test_gather_and_scatter(rng):
    x, where, y = Buffer("x", f32, (99,)), Buffer("where", i64, (16,)), Buffer("y", f32, (99,))
    at = load(where, ramp(0, 16))
    mask = binary("ge", at, Const(50, i64.vector(16)))
    body = seq(Store(y, (at,), load(x, at)), Store(y, (at,), load(x, at, mask) * 2.0, mask))
    source, index = rng.random(99, np.float32), rng.permutation(99)[:16]
    got, want = np.zeros(99, np.float32), np.zeros(99, np.float32)
    want[index] = source[index] * np.where(index >= 50, 2, 1).astype(np.float32)
    compiled(program([x, where, y], body))([source, index, got])
    np.testing.assert_array_equal(got, want)


@pytest.mark.parametrize("stride", [2, 3, 4, 5, -1])
def test_strided_loads(rng, stride):
    x, y = Buffer("x", f32, (200,)), Buffer("y", f32, (16,))
    body = Store(y, (ramp(0, 16),), load(x, ramp(17, 16, stride)))
    source, got = rng.random(200, np.float32), np.zeros(16, np.float32)
    compiled(program([x, y], body))([source, got])
    np.testing.assert_array_equal(got, source[[17 + i * stride for i in range(16)]])


def test_strided_load_stays_inside(rng):
    """Its contiguous loads end at the last element: the page after it is not readable."""
    page = mmap.mmap(-1, 2 * mmap.PAGESIZE)
    memory = np.frombuffer(page, np.float32)
    memory[:] = rng.random(memory.size)
    no_access = 0
    beyond = ctypes.c_void_p(memory.ctypes.data + mmap.PAGESIZE)
    assert ctypes.CDLL(None).mprotect(beyond, mmap.PAGESIZE, no_access) == 0
    count = mmap.PAGESIZE // 4
    x, y = Buffer("x", f32, (count,)), Buffer("y", f32, (16,))
    got = np.zeros(16, np.float32)
    for stride in (2, 3, 4):
        first = count - 1 - 15 * stride
        body = Store(y, (ramp(0, 16),), load(x, ramp(first, 16, stride)))
        compiled(program([x, y], body))([memory, got])
        np.testing.assert_array_equal(got, memory[first:count:stride])


def test_masked_scalars_do_not_touch_memory():
    x, y, n = Buffer("x", f32, (1,)), Buffer("y", f32, (2,)), Var("n")
    mask = binary("lt", n, 10)
    far = n * 1000000000
    body = seq(Store(y, (k(0),), load(x, far, mask) + 5.0), Store(y, (far,), load(y, 0), mask))
    got = np.zeros(2, np.float32)
    run = compiled(program([x, y], body, [n]))
    run([np.ones(1, np.float32), got], [123456])
    assert got.tolist() == [5, 0]
    run([np.ones(1, np.float32), got], [0])
    assert got.tolist() == [6, 0]


def test_a_load_sees_the_store_before_it():
    """One Load object used on both sides of a store is read twice; a let-bound value is not."""
    x, y = Buffer("x", f32, (2,)), Buffer("y", f32, (3,))
    first, old = load(x, 0), Var("old", f32)
    body = Let(
        old, first,
        seq(
            Store(y, (k(0),), first), Store(x, (k(0),), first + 1.0),
            Store(y, (k(1),), first), Store(y, (k(2),), old),
        ),
    )  # fmt: skip
    source, got = np.array([7, 0], np.float32), np.zeros(3, np.float32)
    compiled(program([x, y], body))([source, got])
    assert got.tolist() == [7, 8, 7]


def test_loop_carried_memory_and_nested_loops():
    """A running sum through memory, with loops of symbolic, constant, one and no iterations."""
    out, n = Buffer("out", i64, (1,)), Var("n")
    loops = [Var(name) for name in "abcd"]
    at = load(out, 0)
    body = Store(out, (k(0),), at + loops[0] * 10 + loops[1] + loops[2] + 1)
    for var, extent in zip(loops[::-1], (k(1), k(1), k(3), n), strict=True):
        body = For(var, extent, body)
    body = seq(body, For(Var("never"), k(0), Store(out, (k(0),), k(-1))))
    for size in (0, 1, 4):
        got = np.zeros(1, np.int64)
        compiled(program([out], body, [n]))([got], [size])
        assert got[0] == sum(a * 10 + b + 1 for a in range(size) for b in range(3))


def test_branches_forget_what_they_computed():
    out, n = Buffer("out", i64, (3,)), Var("n")
    shared = n * n + 7
    cond = binary("lt", n, 5)
    body = seq(
        If(cond, Store(out, (k(0),), shared), Store(out, (k(1),), shared)),
        If(binary("gt", n, 100), Store(out, (k(0),), k(9))),
        Store(out, (k(2),), select(cond, shared, n)),
    )
    run = compiled(program([out], body, [n]))
    for size, want in ((3, [16, 0, 16]), (6, [0, 43, 6])):
        got = np.zeros(3, np.int64)
        run([got], [size])
        assert got.tolist() == want


def test_register_buffer_by_element_by_vector_and_by_variable(rng):
    x, y, n = Buffer("x", f32, (32,)), Buffer("y", f32, (32,)), Var("n")
    for where in (k(3), n):  # a variable index turns the register buffer into memory
        reg = Buffer("reg", f32, (32,), scope="register")
        low, high = ramp(0, 16), ramp(16, 16)
        mask = binary("lt", low, splat(n + 1, 16))
        body = seq(
            Store(reg, (low,), load(x, low)), Store(reg, (high,), load(x, high)),
            Store(reg, (k(17),), load(reg, where) * 2.0),
            Store(reg, (low,), load(reg, low) + 1.0, mask),
            Store(y, (low,), load(reg, low)), Store(y, (high,), load(reg, high, mask)),
        )  # fmt: skip
        source, got = rng.random(32, np.float32), np.zeros(32, np.float32)
        compiled(program([x, y], body, [n], local=[reg]))([source, got], [3])
        want = source.copy()
        want[17] = source[3] * 2
        want[:4] += 1
        want[20:] = 0
        np.testing.assert_array_equal(got, want)


def test_local_array(rng):
    x, y = Buffer("x", f32, (64,)), Buffer("y", f32, (64,))
    scratch, i = Buffer("scratch", f32, (64,), scope="local"), Var("i")
    fill = For(i, k(64), Store(scratch, (63 - i,), load(x, i)))
    copy = For(i, k(4), Store(y, (ramp(i * 16, 16),), load(scratch, ramp(i * 16, 16))))
    source, got = rng.random(64, np.float32), np.zeros(64, np.float32)
    compiled(program([x, y], seq(fill, copy), local=[scratch]))([source, got])
    np.testing.assert_array_equal(got, source[::-1])


def test_in_place_kernel_may_alias(rng):
    """Two parameters of one memory: what is stored through one is seen through the other."""
    x, y = Buffer("x", f32, (2,)), Buffer("y", f32, (2,))
    body = seq(Store(y, (k(1),), load(x, 0) + 1.0), Store(y, (k(0),), load(x, 1) + 1.0))
    memory = np.zeros(2, np.float32)
    compiled(program([x, y], body), may_alias=("x", "y"))([memory, memory])
    assert memory.tolist() == [2, 1]


def test_broadcast_index_and_scalar_mask(rng):
    x, y, n = Buffer("x", f32, (4,)), Buffer("y", f32, (8,)), Var("n")
    mask = binary("gt", n, 1)
    at = Broadcast(n, i64.vector(8))
    body = Store(y, (ramp(0, 8),), load(x, at) + load(x, ramp(0, 8), binary("lt", n, 0)), mask)
    source = rng.random(4, np.float32)
    run = compiled(program([x, y], body, [n]))
    for size in (1, 2):
        got = np.zeros(8, np.float32)
        run([source, got], [size])
        np.testing.assert_array_equal(got, np.full(8, source[2] if size == 2 else 0))


@pytest.mark.parametrize("scope", ["global", "register"])
def test_all_lanes_at_one_place(rng, scope):
    """A ramp of stride 0 under a mask: nothing is read where no lane wants it."""
    x, y, n = Buffer("x", f32, (4,)), Buffer("y", f32, (16,)), Var("n")
    held = Buffer("held", f32, (2,), scope="register")
    at = ramp(n if scope == "global" else 1, 16, 0)
    mask = binary("lt", ramp(0, 16), splat(n, 16))
    value = load(x if scope == "global" else held, at, mask)
    body = seq(Store(held, (k(1),), load(x, 3)), Store(y, (ramp(0, 16),), value))
    run = compiled(program([x, y], body, [n], local=[held]))
    source = rng.random(4, np.float32)
    for size in (3, -(2**40)):
        got = np.full(16, np.nan, np.float32)
        run([source, got], [size])
        np.testing.assert_array_equal(got, np.where(np.arange(16) < size, source[3], 0))


def test_deep_let_chains_and_long_bodies():
    out = Buffer("out", i64, (1,))
    variables = [Var(f"t{i}") for i in range(3000)]
    body = Store(out, (k(0),), variables[-1])
    for i in reversed(range(1, len(variables))):
        body = Let(variables[i], variables[i - 1] + 1, body)
    got = np.zeros(1, np.int64)
    compiled(program([out], Let(variables[0], load(out, 0), body)))([got])
    assert got[0] == 2999


def test_what_is_not_lowered_is_refused():
    out, i = Buffer("out", i64, (4,)), Var("i")
    store = Store(out, (i,), i)
    for body, what in (
        (OnMapping((i,), None, k(0), store), "OnMapping"),
        (For(i, k(4), store, "unroll"), "unroll"),
        (store, "variable i"),
        (Store(Buffer("other", i64, (1,)), (k(0),), k(0)), "other"),
        (Store(out, (k(0),), Load(out, (k(0),), i64)), None),
    ):
        if what is None:
            emit(program([out], body))
            continue
        with pytest.raises(CompilerBug, match=what):
            emit(program([out], body))
