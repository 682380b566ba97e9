"""One flat index per access; decided branches and loops of one or no iteration go away."""

from hidet_core.ir.dtypes import f32, i32
from hidet_core.ir.expr import Buffer, Var, cast, load
from hidet_core.ir.printer import text
from hidet_core.lang import Tensor, build, let, otherwise, parallel, prefetch, range_, when
from hidet_core.lower import flatten_index

M, N = Var("m"), Var("n")


def _flat(params, write, grid, scalars=()):
    with build("p", params, scalars) as slot:
        for point in parallel(*grid):
            write(*map(Tensor, params), *point)
    return text(flatten_index(slot.program))


def test_strides_symbols_and_gathers(golden):
    x = Buffer("x", f32, (M, 4, N))
    y = Buffer("y", f32, (M, N), (N * 8, 2))
    at = Buffer("at", i32, (M, N))

    def write(x, y, at, i, j):
        prefetch(x, i + 1, 0, 0)
        y[i, j] = x[i, 3, j] + x[i, 0, at[i, j]]

    golden(_flat([x, y, at], write, (M, N), (M, N)))


def test_decided_branches(golden):
    y = Buffer("y", f32, (8,))

    def write(y, i):
        row = let("row", i % 2 * 4)
        with when(row < 8):
            y[row] = 1.0
        with when(row > 7):
            y[row] = 2.0
        with when(i >= 0):
            y[row + 1] = 3.0
        with otherwise():
            y[row + 1] = 4.0
        with when(row > 3):
            y[row + 2] = 5.0
        with otherwise():
            y[row + 2] = 6.0

    golden(_flat([y], write, (16,)))


def test_loops_of_few_iterations(golden):
    y = Buffer("y", f32, (8, N))

    def write(y, i):
        for k in range_(1, "one"):
            y[k, i] = 0.0
        for k in range_(0, "none"):
            y[k, i] = 1.0
        for k in range_(N - N + 2, "two"):
            y[k, i] = 2.0
        alias = let("alias", i + 0)
        y[3, alias // 1] = cast(alias, f32)

    golden(_flat([y], write, (N,), (N,)))


def test_tensors_without_dims():
    x, y = Buffer("x", f32, ()), Buffer("y", f32, ())

    def write(x, y, i):
        y[()] = load(x.buffer) * 2.0

    assert "y[0] = x[0] * 2.0" in _flat([x, y], write, (1,))
