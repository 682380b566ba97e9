"""Calls of instructions: what verification finds wrong, who writes what, and their text."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import f16, f32, i64, u32, u64
from hidet_core.ir.expr import Buffer, Const, Var, binary, load, wrap
from hidet_core.ir.intrinsics import stored_buffers
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Call, For, If, Let, Place, Program, Store, seq
from hidet_core.ir.tensor_map import tensor_map
from hidet_core.ir.uniform import divergent_call
from hidet_core.ir.verify import verify

TASK, THREAD = Var("task"), Var("thread")
X, Y = Buffer("x", f16, (64,)), Buffer("y", f32, (64,))
TILE = Buffer("tile", f16, (16, 16), None, "shared")
SUMS = Buffer("sums", f32, (2, 4), None, "register")
A, B = (Buffer(name, u32, (4,), None, "register") for name in "ab")
ZERO, ONE = wrap(0), wrap(1)
BARS = Buffer("bars", u64, (2,), None, "shared")
MAP = tensor_map(X, (4, 16), (16, 1), (8, 16))
COPY = Call(
    "copy_async", (Place(TILE, (ZERO, ZERO), 8), Place(X, (THREAD * 8,), 8), wrap(True)), (8,)
)
LOAD = Call("load_matrix", (Place(A, (ZERO,), 4), Place(TILE, (THREAD % 16, ZERO), 8)), (4, 0))
MMA = Call("mma_f16", (Place(SUMS, (ONE, ZERO), 4), Place(A, (ZERO,), 4), Place(B, (ZERO,), 2)))


def box(count, source=MAP, *first):
    place = Place(source, first or (ZERO,) * len(source.shape), count)
    return Place(TILE, (ZERO, ZERO), count), place, Place(BARS, (ZERO,))


def program(*stmts, threads=64):
    body = seq(*stmts, Store(Y, (THREAD,), load(SUMS, ZERO, ZERO)))
    loop = For(THREAD, Const(threads, i64), body, "threads")
    return Program("p", (X, Y, MAP), (), TASK, wrap(1), (TILE, SUMS, A, B, BARS), loop)


def test_what_is_fine():
    warp = Let(Var("warp"), THREAD // 32, If(binary("lt", THREAD // 32, 1), MMA))
    good = program(COPY, Call("copy_commit", ()), Call("copy_wait", (), (0,)), LOAD, MMA, warp)
    verify(good, "scheduled")
    assert stored_buffers(good) == {TILE, SUMS, A, Y}


@pytest.mark.parametrize(
    ("stmt", "why"),
    [
        (Call("mma_f12", ()), "an instruction of ir/intrinsics.py, got mma_f12"),
        (Call("copy_wait", ()), r"\(0, 1\) operands and immediates, got \(0, 0\)"),
        (Call("mma_f16", (*MMA.operands[:2], Place(B, (ZERO,), 4))), "'register', 2"),
        (Call("mma_f16", (MMA.operands[0], Place(TILE, (ZERO, ZERO), 4), MMA.operands[2])), "u32"),
        (Call("load_matrix", LOAD.operands, (2, 0)), "1, 2 or 4 matrices"),
        (Call("copy_async", COPY.operands, (4,)), "have the same elements"),
        (Call("copy_async", (COPY.operands[0], ONE, wrap(True)), (8,)), "a place"),
        (Call("mma_f16", (MMA.operands[0], Place(A, (Var("i"),), 4), MMA.operands[2])), "unbound"),
        (Call("mma_f16", (MMA.operands[0], Place(A, (ONE,), 4), MMA.operands[2])), r"\[0, 4\)"),
        (If(binary("lt", THREAD, 40), MMA), "a collective that all lanes reach"),
        (For(Var("lane"), wrap(4), MMA, "lanes"), "no lanes around"),
        (Call("mbarrier_init", (Place(BARS, (wrap(2),)), ONE)), r"\[0, 2\)"),
        (Call("mbarrier_wait", (Place(TILE, (ZERO, ZERO)), ONE)), "u64, got f16"),
        (Call("tensor_load", box(256)), "128 elements, a whole box"),
        (Call("tensor_load", box(128, X)), "'map', 128"),
        (Call("tensor_load", box(128, MAP, ONE)), "2 indices of x_map, got 1"),
        (
            If(binary("lt", THREAD, 40), Call("registers_increase", (), (64,))),
            "a collective that all lanes reach",
        ),
        (Call("registers_decrease", (), (20,)), "24 to 256 registers"),
    ],
)
def test_what_is_not(stmt, why):
    with pytest.raises(CompilerBug, match=why):
        verify(program(stmt, threads=128), "scheduled")


def test_whole_warps_and_threads_around():
    with pytest.raises(CompilerBug, match="threads in warps of 32"):
        verify(program(MMA, threads=48), "scheduled")
    verify(program(COPY, threads=48), "scheduled")
    outside = Program("p", (X, Y), (), TASK, wrap(1), (TILE, SUMS, A, B), MMA)
    with pytest.raises(CompilerBug, match="a threads loop around"):
        verify(outside, "scheduled")


def test_lanes_of_a_warp_go_alike():
    """The number of the warp is the same in all lanes; so is what is computed from it alone."""
    warp = Var("warp")
    even = Let(warp, THREAD // 64 + TASK, If(binary("lt", warp, 1), MMA))
    assert divergent_call(program(even)) is None
    odd = Let(warp, THREAD // 16, If(binary("lt", warp, 1), MMA))
    assert divergent_call(program(odd)) is MMA
    often = For(Var("k"), THREAD % 32, MMA)
    assert divergent_call(program(often)) is MMA


def test_the_text():
    assert text(seq(COPY, Call("copy_wait", (), (2,)), MMA)) == (
        "copy_async<8>(tile[0, 0 : +8], x[thread * 8 : +8], True)\n"
        "copy_wait<2>()\n"
        "mma_f16(sums[1, 0 : +4], a[0 : +4], b[0 : +2])\n"
    )


@pytest.mark.parametrize(
    ("shape", "strides", "box", "swizzle", "why"),
    [
        ((4, 16), (16, 1), (8, 16), 0, None),
        ((4, Var("n") * 8), (Var("n") * 8, 1), (8, 64), 128, None),
        ((4, 16), (20, 1), (8, 16), 0, r"strides of 16 bytes, got \(20, 1\)"),
        ((4, 16), (16, 2), (8, 16), 0, "a contiguous last dim"),
        ((4, 16), (16, 1), (8, 16), 128, "got 32 and 128 bytes"),
        ((4, 16), (16, 1), (300, 16), 0, "1 to 256"),
        ((4, 16), (16, 1), (16,), 0, "a side of the box each, got 2"),
    ],
)
def test_tensor_maps(shape, strides, box, swizzle, why):
    given = tensor_map(X, shape, strides, box, swizzle)
    if why is None:
        assert given.misfit() is None
        return
    whole = Program("p", (given,), (), TASK, wrap(1), (), seq())
    with pytest.raises(CompilerBug, match=why):
        verify(whole, "scheduled")
