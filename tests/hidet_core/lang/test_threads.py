# ruff: noqa: F821 (names of symbolic dims in annotations)
"""Programs with the threads of a block: what they compute, and the mistakes they make."""

import numpy as np
import pytest

from hidet_core.arrays import ArrayKernel
from hidet_core.base.errors import CompilerBug, ProgramError
from hidet_core.codegen import interpret
from hidet_core.ir.expr import Var
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Barrier, For, seq
from hidet_core.ir.verify import verify
from hidet_core.lang import (
    barrier,
    ceildiv,
    f32,
    i64,
    lanes,
    let,
    maximum,
    parallel,
    program,
    range_,
    register,
    repeat,
    select,
    shared,
    spatial,
    threads,
    when,
)
from hidet_core.lower import expand_mapping, flatten_index, vectorize_lanes
from tests.hidet_core.codegen.programs import k
from tests.hidet_core.codegen.programs import program as bare


def run(prog, *arrays, scalars=()):
    """As written, and lowered as far as a GPU wants it."""
    verify(prog, "scheduled")
    first = [array.copy() for array in arrays]
    interpret(expand_mapping(prog), first, scalars)
    flat = vectorize_lanes(flatten_index(expand_mapping(prog)))
    verify(flat, "flat")
    second = [array.copy() for array in arrays]
    interpret(flat, second, scalars)
    for a, b in zip(first, second, strict=True):
        np.testing.assert_array_equal(a, b)
    return first


@program
def transpose(x: f32["m", "n"], y: f32["n", "m"]):
    m, n = x.shape
    for row, col in parallel(ceildiv(m, 8), ceildiv(n, 8)):
        for thread in threads(16):
            tile = shared("f32", [8, 9])
            mapping = repeat(4, 1) * spatial(2, 8)
            for i, j in mapping.on(thread):
                with when((row * 8 + i < m) & (col * 8 + j < n)):
                    tile[i, j] = x[row * 8 + i, col * 8 + j]
            barrier()
            for i, j in mapping.on(thread):
                with when((col * 8 + i < n) & (row * 8 + j < m)):
                    y[col * 8 + i, row * 8 + j] = tile[j, i]


@pytest.mark.parametrize(("m", "n"), [(8, 8), (1, 1), (13, 9), (16, 3)])
def test_transpose_through_shared_memory(m, n, rng):
    x = rng.random((m, n), np.float32)
    _, y = run(transpose, x, np.zeros((n, m), np.float32), scalars=(m, n))
    np.testing.assert_array_equal(y, x.T)


@program
def total(x: f32["n"], y: f32[1]):
    for thread in threads(32):
        part = register("f32", [1], "part")
        sums = shared("f32", [32], "sums")
        part[0] = 0.0
        for block in range_(ceildiv(x.shape[0] - thread, 32)):
            part[0] += x[block * 32 + thread]
        sums[thread] = part[0]
        barrier()
        for step in (16, 8, 4, 2, 1):
            with when(thread < step):
                sums[thread] += sums[thread + step]
            barrier()
        with when(thread < 1):
            y[0] = sums[0]


@pytest.mark.parametrize("n", [1, 31, 32, 33, 100])
def test_loops_that_differ_between_threads(n, rng):
    x = rng.integers(0, 9, n).astype(np.float32)
    assert run(total, x, np.zeros(1, np.float32), scalars=(n,))[1][0] == x.sum()


@program
def in_vectors(x: f32[50], y: f32[50]):
    for thread in threads(16):
        for (lane,) in lanes(spatial(4)):
            k = thread * 4 + lane
            with when(k < 50):
                y[k] = select(thread < 3, maximum(x[k], 0.5), -x[k])


def test_lanes_inside_of_threads(rng):
    x = rng.random(50, np.float32)
    _, y = run(in_vectors, x, np.zeros(50, np.float32))
    first = np.arange(50) < 12
    np.testing.assert_array_equal(y, np.where(first, np.maximum(x, np.float32(0.5)), -x))


def test_the_text():
    shown = text(transpose)
    assert "shared tile: f32[8, 9]" in shown and "for thread in threads(16):" in shown
    assert "\n            barrier()\n" in shown


def race(body):
    """A program of 8 threads around a body(thread, tile, y)."""

    @program
    def kernel(x: i64[8], y: i64[8]):
        for thread in threads(8):
            tile = shared("i64", [8])
            tile[thread] = x[thread]
            body(thread, tile, y)

    return expand_mapping(kernel)


def mirrored(thread, tile, y):
    y[thread] = tile[7 - thread]


def stores_what_others_read(thread, tile, y):
    barrier()
    let("before", tile[7 - thread])
    y[thread] = tile[7 - thread]
    tile[thread] = 0


def one_element(thread, tile, y):
    barrier()
    y[0] = thread


def broadcast_then_store(thread, tile, y):
    barrier()
    y[thread] = tile[3]
    with when(thread < 1):
        tile[3] = 0


@pytest.mark.parametrize(
    ("body", "what"),
    [
        (mirrored, "tile at 7"),
        (stores_what_others_read, "tile at 0"),
        (one_element, "y at 0"),
        (broadcast_then_store, "others touch tile at 3"),
    ],
)
def test_races(body, what):
    arrays = [np.arange(8), np.zeros(8, np.int64)]
    with pytest.raises(ProgramError, match=f"{what}.* no barrier between"):
        interpret(race(body), arrays)


def test_a_barrier_parts_them():
    def fine(thread, tile, y):
        barrier()
        y[thread] = tile[7 - thread] + tile[3]
        barrier()
        tile[thread] = 0

    y = np.zeros(8, np.int64)
    interpret(race(fine), [np.arange(8), y])
    assert y.tolist() == [10, 9, 8, 7, 6, 5, 4, 3]


def test_own_memory_is_checked_too():
    def unwritten(thread, tile, y):
        mine = register("i64", [2])
        with when(thread < 7):
            mine[1] = 1
        y[thread] = mine[1]

    with pytest.raises(ProgramError, match="reg is read at 1 before it is written"):
        interpret(race(unwritten), [np.arange(8), np.zeros(8, np.int64)])


def under_a_condition(thread, tile, y):
    with when(thread < 4):
        barrier()


def in_a_loop(thread, tile, y):
    for _ in range_(thread):
        barrier()


def after_a_let(thread, tile, y):
    cond = let("cond", tile[0])
    with when(cond < 4):
        barrier()


@pytest.mark.parametrize("body", [under_a_condition, in_a_loop, after_a_let])
def test_a_barrier_that_some_do_not_reach(body):
    with pytest.raises(ProgramError, match=r"test_threads.py:\d+: some threads"):
        race(body)


def test_misplaced():
    def barrier_outside(x: f32[4]):
        barrier()

    def shared_outside(x: f32[4]):
        x[0] = shared("f32", [4])[0]

    def twice(x: f32[4]):
        for thread in threads(4):
            x[thread] = 0.0
        for thread in threads(4):
            x[thread] = 0.0

    def no_threads(x: f32[4]):
        for thread in threads(x.shape[0] * 0):
            x[thread] = 0.0

    wrong = [
        (barrier_outside, r"barrier\(\) stands outside"),
        (shared_outside, "shared tile stands outside"),
        (twice, "stands here twice"),
        (no_threads, "takes a positive int, got 0"),
    ]
    for function, message in wrong:
        with pytest.raises(ProgramError, match=message):
            program(function)


def test_verify_knows_the_rules():
    outside = bare([], seq(Barrier()))
    with pytest.raises(CompilerBug, match="expected a threads loop around"):
        verify(outside, "scheduled")
    nested = For(Var("a"), k(4), For(Var("b"), k(4), seq(), "threads"), "threads")
    with pytest.raises(CompilerBug, match="expected one threads loop"):
        verify(bare([], nested), "scheduled")


def test_cpus_run_no_blocks():
    kernel = ArrayKernel(transpose)
    x, y = np.zeros((3, 4), np.float32), np.zeros((4, 3), np.float32)
    kernel.interpret(x, y)
    with pytest.raises(ProgramError, match=r"test_threads.py:\d+: threads\(...\): CPUs run no"):
        kernel(x, y)
