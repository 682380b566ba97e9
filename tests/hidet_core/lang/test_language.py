# ruff: noqa: F821 (names of symbolic dims in annotations)
"""Programs are recorded as they are written; mistakes outside of functions name their line too."""

import inspect
from pathlib import Path

import numpy as np
import pytest

from hidet_core import ProgramError, lang
from hidet_core.codegen import interpret
from hidet_core.ir.expr import Var
from hidet_core.ir.node import walk
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Store
from hidet_core.ir.verify import verify
from hidet_core.lang import (
    bf16,
    boolean,
    build,
    cast,
    ceildiv,
    f32,
    i32,
    lanes,
    let,
    local,
    loops,
    minimum,
    otherwise,
    parallel,
    prefetch,
    program,
    range_,
    register,
    repeat,
    spatial,
    unroll,
    when,
)
from hidet_core.lower import LOWERING, expand_mapping


@program
def scale(x: f32["n"], y: f32["n"]):
    for (block,) in parallel(ceildiv(x.shape[0], 16)):
        for (lane,) in lanes(spatial(16)):
            i = block * 16 + lane
            with when(i < x.shape[0]):
                y[i] = x[i] * 2.0


@program
def everything(x: f32["m", 8], flag: boolean["m"], y: f32["m", 8]):
    for row, half in parallel(x.shape[0], 2):
        first = let("first", half * 4)
        acc, stage = register(f32, [4], "acc"), local("f32", [2, 4])
        prefetch(x, row + 1, 0, level=1)
        for i, j in loops(repeat(1, 2) * spatial(1, 2), first // 4):
            stage[i, j] = x[row, minimum(first + j, 7)]
        for u in unroll(4):
            acc[u] = x[row, first + u]
        for k in range_(4, "k"):
            acc[0] += x[row, first + k]
        for v in range(2):
            with when(flag[row] & (first < 4)):
                y[row, first + v] = acc[0]
            with otherwise():
                y[row, first + v] = acc[v] - cast(v, f32)
        for (t,) in spatial(2).on(half):
            y[row, first + 2 + t] = 0.0


@program
def scalar_tensors(x: f32[()], y: i32[1]):
    y[0] = cast(x[()], "i32")


@pytest.mark.parametrize("one", [scale, everything, scalar_tensors], ids=lambda p: p.name)
def test_recorded(one, golden):
    verify(one, "scheduled")
    golden(text(one))


def test_statements_know_their_line():
    (store,) = [node for node in walk(scale) if isinstance(node, Store)]
    lines = Path(__file__).read_text().splitlines()
    assert store.where == f"{__file__}:{1 + lines.index('                y[i] = x[i] * 2.0')}"


def test_what_is_recorded_runs():
    lowered = scale
    x, y = np.arange(21, dtype=np.float32), np.zeros(21, np.float32)
    for lower in LOWERING:
        lowered = lower(lowered)
    interpret(lowered, [x, y], [21])
    np.testing.assert_array_equal(y, 2 * x)
    flag, x = np.array([True, False]), np.ones((2, 8), np.float32)
    y = np.zeros((2, 8), np.float32)
    interpret(expand_mapping(everything), [x, flag, y], [2])
    assert y[:, 0].tolist() == [5, 5]
    assert y[:, 5].tolist() == [0, 0]


def test_symbols_are_shared_by_name():
    assert scale.params[0].shape[0] is scale.params[1].shape[0] is scale.scalars[0]
    assert [symbol.name for symbol in everything.scalars] == ["m"]


def test_constants_stay_constants():
    with build("p", []) as slot:
        assert text(let("half", 0.5)) == "0.5"
        assert text(let("three", 3)) == "3"
        assert isinstance(let("n", Var("n")), Var)
    assert text(slot.program.body) == "pass\n"


def test_indices_of_any_int_dtype(golden):
    @program
    def gather(x: f32["n"], at: i32["m"], y: f32["m"]):
        for (i,) in parallel(at.shape[0]):
            y[i] = x[at[i]]

    golden(text(gather))


def test_a_failed_program_leaves_no_program_open():
    with pytest.raises(ZeroDivisionError), build("p", []):
        for _ in range_(4):
            raise ZeroDivisionError
    with pytest.raises(ProgramError, match="no program is being written"):
        let("t", Var("n") + 1)


def _error(body):
    with pytest.raises(ProgramError) as caught, build("p", []):
        body()
    file, line = caught.value.where.rsplit(":", 1)
    assert file == __file__
    first = inspect.getsourcelines(body)[1]
    assert first <= int(line) <= first + len(inspect.getsource(body).splitlines())
    return caught.value.why


def _in_grid(*extents):
    return next(iter(parallel(*extents)))


def test_mistakes_of_statements():
    n = Var("n")
    acc = []

    def not_a_condition():
        with when(n):
            pass

    def otherwise_alone():
        with otherwise():
            pass

    def otherwise_later():
        with when(n < 3):
            pass
        let("t", n + 1)
        with otherwise():
            pass

    def no_grid():
        for _ in parallel():
            pass

    def late_grid():
        acc.append(let("t", n + 1))
        for _ in parallel(4):
            pass

    def bad_store():
        register("i32", [4])[0] = 0.5

    def bad_value():
        local(f32, [4])[0] = "a"

    assert "takes a condition, got a value of i64" in _error(not_a_condition)
    assert "right after the block of a when" in _error(otherwise_alone)
    assert "right after the block of a when" in _error(otherwise_later)
    assert "wants the extents of its grid" in _error(no_grid)
    assert "outermost statement" in _error(late_grid)
    assert "0.5 is no value of i32" in _error(bad_store)
    assert "expected an expression or a number, got str" in _error(bad_value)


@pytest.mark.parametrize("dims", [0, -1, 2.5, ("m", None), "m + 1", True], ids=repr)
def test_dims_of_annotations(dims):
    with pytest.raises(ProgramError, match=r"a dim of f32\[\.\.\.\] is a name or a positive int"):
        _ = f32[dims]


@pytest.mark.parametrize(
    "use", [lambda: let("t", Var("n") + 1), lambda: register(f32, [4]), lambda: _in_grid(4)]
)
def test_use_outside_of_a_program(use):
    with pytest.raises(ProgramError, match="no program is being written"):
        use()


def test_on_an_expression_outside_of_a_program():
    with pytest.raises(ProgramError, match="no program is being written"):
        list(spatial(4).on(Var("w")))


def test_dtypes_stand_for_themselves():
    assert str(bf16.dtype) == "bf16"
    assert text(cast(Var("n"), bf16)) == "bf16(n)"


def test_every_function_is_an_operation():
    x = Var("x", f32.dtype)
    names = ["absolute", "exp", "log", "sqrt", "rsqrt", "tanh", "sigmoid", "erf", "sin", "cos"]
    for name in [*names, "floor", "ceil"]:
        assert text(getattr(lang, name)(x)) == f"{'abs' if name == 'absolute' else name}(x)"
    assert text(lang.power(x, 2)) == "pow(x, 2.0)"
    assert text(lang.either(x < 1, ~(x > 2))) == "x < 1.0 | not(x > 2.0)"
    assert ceildiv(7, 2) == 4
