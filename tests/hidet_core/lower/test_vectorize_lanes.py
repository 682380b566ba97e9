"""Loops over lanes become vectors: ramps, splats, masks, gathers; what cannot be is serial."""

import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import f32, i32
from hidet_core.ir.expr import Buffer, Const, Var, cast, load, maximum, minimum, select
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import For, Program, Store
from hidet_core.lang import (
    Tensor,
    build,
    lanes,
    let,
    otherwise,
    parallel,
    prefetch,
    range_,
    register,
    spatial,
    when,
)
from hidet_core.lower import expand_mapping, flatten_index, vectorize_lanes

N = Var("n")
X, Y = Buffer("x", f32, (N, 8)), Buffer("y", f32, (N, 8))
AT, ONE = Buffer("at", i32, (8,)), Buffer("one", f32, (1,))


def _vectors(write, params=(X, Y, AT, ONE)):
    with build("p", params, [N]) as slot:
        for (row,) in parallel(N):
            for (lane,) in lanes(spatial(8)):
                write(*map(Tensor, params), row, lane)
    return text(vectorize_lanes(flatten_index(expand_mapping(slot.program))))


def _linear(x, y, at, one, i, k):
    y[i, k] = x[i, k] * x[i, 0] + cast(k, f32)
    y[i, 7 - k] = x[i, k * 0 + 3]


def _gather(x, y, at, one, i, k):
    y[i, k] = x[at[k], k] + x[i, k // 2] + x[minimum(i, 3), maximum(k - 1, 0)]


def _masks(x, y, at, one, i, k):
    with when(i < 5):
        with when(k < 3):
            y[i, k] = x[i, k]
        with otherwise():
            with when(k < N):
                y[i, k] = x[i, k] * x[i, 1]


def _lets(x, y, at, one, i, k):
    uniform = let("uniform", x[i, 0] + 1.0)
    varying = let("varying", x[i, k] * uniform)
    y[i, k] = select(k < 4, varying, uniform)


def _registers(x, y, at, one, i, k):
    acc = register(f32, [16], "acc")
    acc[k] = 0.0
    for r in range_(N, "r"):
        acc[k] = acc[k] + x[r, k]
    with when(k < 5):
        acc[k + 8] = acc[k]
        y[i, k] = acc[k]


def _one_element(x, y, at, one, i, k):
    with when(k < 1):
        one[0] = x[i, k]


def _uniform(x, y, at, one, i, k):
    one[0] = x[i, 0]


def _updated(x, y, at, one, i, k):
    with when(y[i, k] < 1.0):
        y[i, k] = 2.0
    with otherwise():
        y[i, k] = 0.0


def _prefetched(x, y, at, one, i, k):
    prefetch(x, i + 1, k)
    y[i, k] = x[i, k]


WRITTEN = [
    _updated,
    _prefetched,
    _linear,
    _gather,
    _masks,
    _lets,
    _registers,
    _one_element,
    _uniform,
]


@pytest.mark.parametrize("write", WRITTEN, ids=lambda write: write.__name__.strip("_"))
def test_vectors(write, golden):
    golden(_vectors(write))


def test_positions_of_outer_loops_are_not_symbols():
    """A loop variable may be 0, a let-bound position negative: clamps of them stay."""

    def write(x, y, at, one, i, k):
        above = let("above", i - 1)
        for r in range_(N, "r"):
            y[r, k] = x[maximum(above, 0), k] + x[maximum(r, 1), k]

    shown = _vectors(write)
    assert "max(above, 0)" in shown
    assert "max(r, 1)" in shown


def _program(body):
    return Program("p", (Y,), (N,), Var("task"), N, (), body)


def test_what_cannot_be_vectorised():
    lane, other, k = Var("lane"), Var("other"), Var("k")
    eight = Const(8, lane.dtype)
    store = Store(Y, (lane,), Const(0.0, f32))
    with pytest.raises(CompilerBug, match="not a constant"):
        vectorize_lanes(_program(For(lane, N, store, "lanes")))
    inner = For(other, eight, store, "lanes")
    with pytest.raises(CompilerBug, match="a lanes loop"):
        vectorize_lanes(_program(For(lane, eight, For(k, N, inner), "lanes")))
    with pytest.raises(CompilerBug, match="differs between lanes"):
        vectorize_lanes(_program(For(lane, eight, For(k, lane, store), "lanes")))


def test_a_program_without_lanes_stays_as_it_is():
    task = Var("task")
    program = Program("p", (Y,), (N,), task, N, (), Store(Y, (task,), load(ONE, 0)))
    assert vectorize_lanes(program) is program
