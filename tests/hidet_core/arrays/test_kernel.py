"""Users' kernels on NumPy arrays: run, interpreted, measured, kept; wrong arrays are refused."""
# ruff: noqa: F821 (names of symbolic dims in annotations)

import runpy

import numpy as np
import pytest

from hidet_core import BadArgument, BadOption, KernelCache, ProgramError, compile_kernel, kernel
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Var
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import Store
from hidet_core.lang import (
    Tensor,
    build,
    cast,
    ceildiv,
    custom,
    f32,
    i32,
    lanes,
    parallel,
    program,
    range_,
    register,
    repeat,
    spatial,
    u8,
    when,
)  # fmt: skip


@program
def scale(x: f32["n"], y: f32["n"]):
    for (block,) in parallel(ceildiv(x.shape[0], 16)):
        for (lane,) in lanes(spatial(16)):
            with when(block * 16 + lane < x.shape[0]):
                y[block * 16 + lane] = x[block * 16 + lane] * 2.0


@pytest.mark.parametrize("target", ["cpu", "interp"])
@pytest.mark.parametrize("size", [1, 16, 37])
def test_symbols_come_from_the_arrays(target, size, rng):
    x = rng.standard_normal(size).astype(np.float32)
    y = np.full_like(x, 9)
    compile_kernel(scale, target)(x, y)
    assert np.array_equal(y, x * 2)


def test_threads_share_the_tasks(rng):
    x = rng.standard_normal(5000).astype(np.float32)
    y = np.zeros_like(x)
    compile_kernel(scale)(x, y, threads=2)
    assert np.array_equal(y, x * 2)


def test_the_decorator_and_what_a_kernel_shows():
    @kernel
    def fill(y: i32["m", 4]):
        for (row,) in parallel(y.shape[0]):
            for column in range_(4):
                y[row, column] = 7

    y = np.zeros((3, 4), np.int32)
    fill(y)
    assert (y == 7).all()
    assert repr(fill) == "<kernel fill for cpu>" and fill.name == "fill"
    assert fill.text.startswith("program fill(\n    y: i32[m, 4],")
    assert 'define void @"fill"' in fill.source and "fill:" in fill.assembly
    seconds = fill.measure(y, threads=1, repeats=3)
    assert len(seconds) == 3 and all(second >= 0 for second in seconds)


def test_kernels_are_cached(cache_dir):
    x = np.ones(4, np.float32)
    compile_kernel(scale)(x, np.empty_like(x))
    with KernelCache.open() as cache:
        assert len(cache.entries()) == 1
    compile_kernel(scale)
    with KernelCache.open() as cache:
        assert len(cache.entries()) == 1


def test_custom_mappings_of_one_name_are_two_kernels(cache_dir):
    turns = [
        custom((4,), 4, lambda worker, shift=shift: [((worker + shift) % 4,)]) for shift in (0, 1)
    ]
    kernels = [compile_kernel(_placed(turn)) for turn in turns]
    for shift, each in enumerate(kernels):
        y = np.zeros(4, np.float32)
        each(y)
        assert list(y) == [float((k - shift) % 4) for k in range(4)]


def _placed(mapping):
    y = Buffer("y", f32.dtype, (4,))
    with build("place", [y]) as slot:
        for (lane,) in lanes(spatial(4)):
            for (at,) in mapping.on(lane):
                Tensor(y)[at] = cast(lane, "f32")
    return slot.program


Y = np.zeros(8, np.float32)
READ_ONLY = np.zeros(8, np.float32)
READ_ONLY.flags.writeable = False
SHIFTED = np.zeros(33, np.uint8)[1:].view(np.float32)


@pytest.mark.parametrize(
    ("arrays", "why"),
    [
        ([Y], r"scale takes 2 arrays \(x, y\), got 1"),
        ([[1.0], Y], "scale: x: expected a NumPy array, got list"),
        ([Y.astype("f8"), Y], "scale: x: expected dtype float32, got float64"),
        ([Y[None], Y], r"scale: x: expected 1 axes \[n\], got 2"),
        ([Y[::2], np.zeros(4, "f4")], "scale: x: expected a C-contiguous array"),
        ([SHIFTED, Y], "scale: x: expected an aligned array"),
        ([Y.astype(">f4"), Y.copy()], "scale: x: expected an aligned array of native byte order"),
        ([np.zeros(8, "f4"), READ_ONLY], "scale: y: expected a writable array"),
        ([np.zeros(7, "f4"), Y], r"y: axis 0: expected size n = 7 \(axis 0 of x\), got 8"),
        ([np.zeros(0, "f4"), Y], "scale: x: axis 0: expected a size of at least 1, got 0"),
        ([Y, Y], "scale: y: shares memory with x: give a copy"),
    ],
)
@pytest.mark.parametrize("target", ["cpu", "interp"])
def test_wrong_arrays_are_refused(arrays, why, target):
    with pytest.raises(BadArgument, match=why):
        compile_kernel(scale, target)(*arrays)


def test_a_fixed_size_is_checked():
    @kernel
    def first(x: u8["n", 3]):
        for (row,) in parallel(x.shape[0]):
            x[row, 0] = 1

    with pytest.raises(BadArgument, match="x: axis 1: expected size 3, got 4"):
        first(np.zeros((2, 4), np.uint8))


def test_two_parameters_that_are_only_read_may_be_one_array():
    @kernel
    def add(a: f32["n"], b: f32["n"], y: f32["n"]):
        for (i,) in parallel(a.shape[0]):
            y[i] = a[i] + b[i]

    x, y = np.ones(3, np.float32), np.zeros(3, np.float32)
    add(x, x, y)
    assert list(y) == [2, 2, 2]


def test_the_interpreter_names_the_authors_line():
    @kernel
    def late(x: f32["n"], y: f32["n"]):
        for (i,) in parallel(x.shape[0]):
            y[i] = x[i + 1]  # out of bounds at the end

    line = line_of_store(late.program)
    x = np.zeros(4, np.float32)
    with pytest.raises(
        ProgramError, match=rf"test_kernel.py:{line}: .* outside x: bounds \[0, 4\)"
    ):
        late.interpret(x, np.zeros(4, np.float32))


def line_of_store(program):
    """Where its store stands."""
    (store,) = (node for node in walk(program) if isinstance(node, Store))
    return store.where.rpartition(":")[2]


def test_the_interpreter_finds_what_was_never_written():
    @kernel
    def early(y: f32[4]):
        for _ in parallel(1):
            total = register("f32", [4], "total")
            for (lane,) in lanes(repeat(1) * spatial(4)):
                y[lane] = total[lane]

    with pytest.raises(ProgramError, match="total is read at 0 before it is written"):
        early.interpret(np.zeros(4, np.float32))


def test_an_unknown_target():
    with pytest.raises(BadOption, match="got 'cuda', allowed: cpu, interp"):
        compile_kernel(scale, "cuda")


def test_scalars_that_no_array_gives():
    y, free = Buffer("y", f32.dtype, (4,)), Var("free", i64)
    with build("odd", [y], [free]) as slot:
        Tensor(y)[0] = 1.0
    with pytest.raises(ProgramError, match="free is the size of no array's axis"):
        compile_kernel(slot.program)


def test_a_dump_of_a_users_kernel(tmp_path, monkeypatch):
    monkeypatch.setenv("HIDET_DUMP", str(tmp_path))
    compile_kernel(scale)
    (folder,) = tmp_path.glob("user_kernels/scale-*")
    names = {path.name for path in folder.iterdir()}
    assert {"00_program.txt", "source.ll", "kernel.s", "times.txt"} <= names


READS = {
    "v = let('v', x[i + 1])": 7,
    "with when(x[i + 1] > 0): pass": 7,
    "for k in range_(cast(x[i + 1], 'i64')): pass": 7,
    "v = x[i + 1]; y[i] = v": 7,
}


@pytest.mark.parametrize("code", READS)
def test_the_interpreter_names_the_line_of_any_read(code, tmp_path):
    path = tmp_path / "reads.py"
    path.write_text(
        "from hidet_core import kernel\nfrom hidet_core.lang import *\n@kernel\n"
        'def reads(x: f32["n"], y: f32["n"]):\n    for (i,) in parallel(x.shape[0]):\n'
        f"        y[i] = 0.0\n        {code}\n"
    )
    made = runpy.run_path(str(path))["reads"]
    with pytest.raises(ProgramError, match=rf"reads.py:{READS[code]}: index 4 is outside x"):
        made.interpret(np.zeros(4, np.float32), np.zeros(4, np.float32))
