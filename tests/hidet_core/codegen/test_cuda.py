"""CUDA C++: its text, what it computes on the emulated device, and that NVRTC takes it."""

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.build.nvrtc import compile_measured
from hidet_core.codegen import emit_cuda, interpret, launch_of
from hidet_core.codegen.cuda import INTRINSICS, kernel_text
from hidet_core.codegen.cuda.names import Names, literal
from hidet_core.codegen.cuda.widths import Widths
from hidet_core.ir.dtypes import ALL, BITS, bf16, boolean, f16, f32, f64, i8, i32, i64
from hidet_core.ir.expr import COMPARISONS, UNARY, Buffer, Var, binary, cast, load, unary
from hidet_core.ir.fold import ARITHMETIC
from hidet_core.ir.simplify import simplify_dim
from hidet_core.ir.stmt import For, Store, seq
from hidet_core.ir.substitute import substitute
from hidet_core.lang import (
    Tensor,
    build,
    lanes,
    let,
    parallel,
    register,
    shared,
    spatial,
    threads,
    when,
)
from hidet_core.lower import CUDA_LOWERING
from tests.hidet_core.codegen.programs import k, program
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated
from tests.hidet_core.lang.test_threads import in_vectors, total, transpose

needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="there is no g++ here")


def lowered(prog):
    for lower in CUDA_LOWERING:
        prog = lower(prog)
    return prog


@pytest.mark.parametrize("prog", [transpose, total, in_vectors], ids=lambda prog: prog.name)
def test_the_text(prog, golden):
    golden(kernel_text(lowered(prog)))


@needs_compiler
@pytest.mark.parametrize(("m", "n"), [(1, 1), (13, 9), (16, 24)])
def test_threads_and_barriers(m, n, rng):
    x, y = rng.random((m, n), np.float32), np.zeros((n, m), np.float32)
    run_emulated(lowered(transpose), [x, y], (m, n))
    np.testing.assert_array_equal(y, x.T)


# every operation of every type, against the interpreter

FLOATS = (f32, f64, f16)
LIMITS = {f32: 1e-5, f64: 1e-12, f16: 2e-3}
INTS = tuple(dtype for dtype in ALL if dtype.is_int)
FLOAT_ONLY = set(UNARY) - {"neg", "abs", "not", "sign", *BITS}
BITWISE = {"and", "or", "xor", "shl", "shr"}


def operations(dtype, a, b):
    """All that there is for a type."""
    for op in COMPARISONS:
        yield binary(op, a, b)
    for op in ARITHMETIC:
        if dtype.is_bool and op not in ("and", "or", "xor"):
            continue
        if not (dtype.is_float and op in BITWISE):
            yield binary(op, a, b)
    for op in UNARY:
        fits = op in FLOAT_ONLY if dtype.is_float else op not in FLOAT_ONLY
        if dtype.is_bool:
            fits = op == "not"
        if op in BITS:
            fits = BITS[op].bits == dtype.bits > 1 and not (dtype.is_half or BITS[op].is_half)
            fits = fits and not BITS[op].is_float8
        if fits or (dtype.is_float and op in ("neg", "abs", "sign")):
            yield unary(op, a)


def table(dtype, count, values_of=operations):
    """A program that stores every operation of a[i], b[i] into a row of its own."""
    a, b = Buffer("a", dtype, (count,)), Buffer("b", dtype, (count,))
    i = Var("i")
    values = list(values_of(dtype, load(a, i), load(b, i)))
    outs = {}
    for value in values:
        outs.setdefault(value.dtype, []).append(value)
    buffers = [Buffer(f"y_{kind}", kind, (len(rows) * count,)) for kind, rows in outs.items()]
    stores = [
        Store(buffer, (i + row * count,), value)
        for buffer, rows in zip(buffers, outs.values(), strict=True)
        for row, value in enumerate(rows)
    ]
    return program([a, b, *buffers], For(i, k(count), seq(*stores)), name=f"of_{dtype}")


def samples(dtype, rng, count):
    if dtype.is_bool:
        return rng.random(count) < 0.5
    if dtype.is_float:
        special = [0.0, -0.0, np.inf, -np.inf, np.nan, 1.0, -1.0, 0.5, 2.5, -2.5, 1e-3]
        values = np.concatenate([special, rng.standard_normal(count - len(special)) * 3])
        return rng.permutation(values).astype(dtype.numpy)
    info = np.iinfo(dtype.numpy)
    near = np.array([0, 1, 2, 3, 7, 31, 64, info.max, info.min], dtype.numpy)
    few = rng.integers(0, 12, count - 9).astype(dtype.numpy)
    few = few if dtype.kind == "u" else few - dtype.numpy.type(6)
    return rng.permutation(np.concatenate([near, few]))


def compare(prog, arrays):
    wanted, found = ([array.copy() for array in arrays] for _ in range(2))
    interpret(prog, wanted)
    run_emulated(prog, found)
    for buffer, a, b in zip(prog.params, found, wanted, strict=True):
        if buffer.dtype.is_float:
            limit = LIMITS[buffer.dtype]
            np.testing.assert_allclose(a, b, limit, limit, err_msg=buffer.name)
        else:
            np.testing.assert_array_equal(a, b, err_msg=buffer.name)


@needs_compiler
@pytest.mark.parametrize("dtype", [*FLOATS, *INTS, boolean], ids=str)
def test_operations(dtype, rng):
    prog, count = table(dtype, 64), 64
    arrays = [samples(dtype, rng, count), samples(dtype, rng, count)]
    arrays += [np.zeros(b.shape[0], b.dtype.numpy) for b in prog.params[2:]]
    compare(prog, arrays)


def casts(dtype, a, b):
    yield from (cast(a, kind) for kind in ALL if kind not in (bf16, dtype))


@needs_compiler
@pytest.mark.parametrize("dtype", [*FLOATS, *INTS, boolean], ids=str)
def test_casts(dtype, rng):
    prog, count = table(dtype, 64, casts), 64
    numbers = rng.integers(0, 100, count) + rng.random(count)
    arrays = [numbers.astype(dtype.numpy)] * 2
    arrays += [np.zeros(b.shape[0], b.dtype.numpy) for b in prog.params[2:]]
    compare(prog, arrays)


@needs_nvrtc
@pytest.mark.parametrize("dtype", ALL, ids=str)
def test_nvrtc_takes_all_operations(dtype):
    for values_of in (operations, casts):
        compile_measured(emit_cuda(table(dtype, 64, values_of)), "sm_80")


# vectors


def copying(width, first, dtype=f32, through=None):
    """y[i] = x[i + first] for 64 elements, in vectors of `width`."""
    x, y = Buffer("x", dtype, (80,)), Buffer("y", dtype, (64,))
    with build("copy", [x, y]) as slot:
        for thread in threads(64 // width):
            for (lane,) in lanes(spatial(width)):
                at = thread * width + lane
                value = load(x, at + first)
                value = value if through is None else _through(through, dtype, at, lane, value)
                with when(at < (61 if first == 3 else 64)):
                    _store(y, at, value)
    return lowered(slot.program)


def _through(scope, dtype, at, lane, value):
    tile = scope(dtype, [64], "tile")
    place = at if scope is shared else lane
    tile[place] = value
    return tile[place]


def _store(buffer, at, value):
    Tensor(buffer)[at] = value


@needs_compiler
@pytest.mark.parametrize("through", [None, shared, register])
@pytest.mark.parametrize("first", [0, 1, 3])
@pytest.mark.parametrize(("width", "dtype"), [(4, f32), (2, f64), (4, i8), (8, i32)])
def test_vectors(width, dtype, first, through):
    x = np.arange(80).astype(dtype.numpy)
    y = np.zeros(64, dtype.numpy)
    run_emulated(copying(width, first, dtype, through), [x, y])
    end = 61 if first == 3 else 64
    np.testing.assert_array_equal(y[:end], x[first : first + end])
    assert not y[end:].any()


def test_whole_vectors_are_one_access():
    text = kernel_text(copying(4, 0))
    assert "ht_load<4>(x + " in text and "ht_store<4>(y + " in text
    assert "ht_load" not in kernel_text(copying(8, 0))  # more than an instruction moves
    aligned = kernel_text(copying(4, 0, through=shared))
    assert "ht_store_aligned<4>(tile + " in aligned and "ht_load_aligned<4>(tile" in aligned


def test_no_ptx_outside_of_the_intrinsics():
    for prog in (transpose, total, in_vectors):
        text = kernel_text(lowered(prog))
        assert "asm" not in text and "threadIdx" not in text
    assert "#include" not in INTRINSICS


def test_launch():
    launch = launch_of(lowered(total))
    assert (launch.threads, launch.shared_bytes) == (32, 128)
    assert launch_of(program([], seq())).threads == 1


def test_names_are_cxx_and_differ():
    names, taken = Names(), [Var(n) for n in ("float", "x", "x", "x_1", "ht_x", "a b", "2d", "")]
    found = [names.of(var) for var in taken]
    assert len(set(found)) == len(found) and found[1:3] == ["x", "x_1"]
    assert all(name.isidentifier() and name != "float" for name in found)
    assert names.of(taken[0]) == found[0]


@pytest.mark.parametrize(
    ("value", "dtype", "text"),
    [
        (1, i32, "1"),
        (-(2**31), i32, "i32(-2147483647 - 1)"),
        (-(2**63), i64, "(-9223372036854775807ll - 1)"),
        (5, i64, "5ll"),
        (7, i8, "i8(7)"),
        (True, boolean, "true"),
        (0.5, f32, "0.5f"),
        (1e30, f64, "1e+30"),
        (float("-inf"), f32, "-ht_inf<float>()"),
        (float("nan"), f64, "ht_nan<double>()"),
        (1e39, f32, "ht_inf<float>()"),
        (2.0, f16, "ht_f16(2.0f)"),
    ],
)
def test_literals(value, dtype, text):
    assert literal(value, dtype) == text


def test_wide_indices():
    """A product of ints that does not fit one is computed in 64 bits."""
    x, y = Buffer("x", f32, (1 << 20, 1 << 20)), Buffer("y", f32, (1,))
    with build("far", [x, y]) as slot:
        for (block,) in parallel(1 << 20):
            for thread in threads(64):
                with when((block < 1) & (thread < 1)):
                    row = let("row", block * 4096 + thread)
                    _store(y, 0, load(x, row * 0 + block, thread))
    text = kernel_text(lowered(slot.program))
    assert "i64(task) * 1048576" in text and "const int row" not in text.replace("row = 0", "")


def test_lanes_loops_come_before():
    nested = For(Var("lane"), k(4), seq(), "lanes")
    with pytest.raises(CompilerBug, match="lanes"):
        kernel_text(program([], nested))


def test_widths_hold(rng):
    """Values of random index expressions lie in their intervals; narrow ones fit ints."""
    widths, names = Widths(), [Var(name) for name in "abc"]
    highs = (7, 1000, 1 << 40)
    for var, high in zip(names, highs, strict=True):
        widths.bind(var, (0, high), is_narrow=high < 1 << 31)
    for _ in range(200):
        expr, values = names[0], {v: int(rng.integers(0, h)) for v, h in zip(names, highs)}
        for _ in range(4):
            op = str(rng.choice(["add", "sub", "mul", "floordiv", "mod", "min", "max"]))
            other = names[rng.integers(3)]
            divides = op in ("floordiv", "mod")
            expr = binary(op, expr, int(rng.integers(1, 99)) if divides else other)
            value = simplify_dim(substitute(expr, {v: k(n) for v, n in values.items()}))
            low, high = widths.interval(expr)
            assert low <= value <= high
            assert not widths.narrow(expr) or -(1 << 31) <= value < 1 << 31
