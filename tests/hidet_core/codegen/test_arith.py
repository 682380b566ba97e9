"""Every operation on every dtype, as vectors with a masked tail and as scalars, against NumPy."""

import numpy as np
import pytest

from hidet_core.base.errors import CompilerBug
from hidet_core.ir import dtypes as dt
from hidet_core.ir.expr import (
    UNARY,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Var,
    binary,
    broadcast,
    cast,
    select,
    unary,
)  # fmt: skip
from hidet_core.ir.fold import ARITHMETIC, COMPARISONS
from hidet_core.ir.stmt import For, Let, Store
from hidet_core.target import AVX2, host
from tests.hidet_core.codegen.programs import compiled, k, load, program, ramp, splat

SIZE = 37
FLOATS = [dt.f32, dt.f64, dt.f16]
INTS = [dt.i8, dt.i16, dt.i32, dt.i64, dt.u8, dt.u16, dt.u32, dt.u64]
BINARY = {
    "add": np.add, "sub": np.subtract, "mul": np.multiply, "min": np.minimum, "max": np.maximum,
    "floordiv": np.floor_divide, "mod": np.mod, "lt": np.less, "le": np.less_equal,
    "gt": np.greater, "ge": np.greater_equal, "eq": np.equal, "ne": np.not_equal,
    "and": np.bitwise_and, "or": np.bitwise_or, "xor": np.bitwise_xor, "div": np.divide,
    "shl": np.left_shift, "shr": np.right_shift,
}  # fmt: skip
ROUNDING = {"floor": np.floor, "ceil": np.ceil, "round": np.rint, "trunc": np.trunc}
EXACT_UNARY = {
    "neg": np.negative, "abs": np.abs, "sign": np.sign, "sqrt": np.sqrt, "isnan": np.isnan,
    "isinf": np.isinf, "recip": lambda x: 1 / x, "rsqrt": lambda x: 1 / np.sqrt(x), **ROUNDING,
}  # fmt: skip


def _run(make, arrays, out_dtype, lanes, cpu=None):
    """out[i] = make(x[i]...) in vectors of `lanes` with a masked tail (lanes 1: a scalar loop)."""
    inputs = [Buffer(f"x{i}", dt.from_numpy(a.dtype), (SIZE,)) for i, a in enumerate(arrays)]
    out, task = Buffer("out", out_dtype, (SIZE,)), Var("task")
    at, mask = task, None
    if lanes > 1:
        at = ramp(task * lanes, lanes)
        mask = binary("lt", at, splat(k(SIZE), lanes))
    body = Store(out, (at,), make(*(load(x, at, mask) for x in inputs)), mask)
    result = np.zeros(SIZE, out_dtype.numpy)
    compiled(program([*inputs, out], body, task=task), cpu)(
        [*arrays, result], end=-(-SIZE // lanes)
    )
    return result


def _random(dtype, rng, low=None):
    if dtype.is_float:
        values = (rng.standard_normal(SIZE) * 10).astype(dtype.numpy)
        values[:6] = [0.0, -0.0, 0.5, 1.5, -2.5, 3]
        return values
    info = np.iinfo(dtype.numpy)
    values = rng.integers(info.min, info.max, SIZE, dtype.numpy, endpoint=True)
    values[:4] = [0, 1, info.min, info.max]
    return values


@pytest.mark.parametrize("op", BINARY)
def test_binary_on_ints(op, rng):
    for dtype in INTS:
        a, b = _random(dtype, rng), rng.permutation(_random(dtype, rng))
        with np.errstate(all="ignore"):
            if op in ("shl", "shr"):
                b = (
                    (b % (dtype.bits + 3)).astype(dtype.numpy)
                    if dtype.kind == "u"
                    else np.abs(b % dtype.bits)
                )
            want = BINARY[op](a, b)
            if op == "div":
                want = _truncated(a, b)
        for lanes in (1, 16):
            got = _run(lambda x, y: binary(op, x, y), [a, b], _result(op, dtype), lanes)
            np.testing.assert_array_equal(got, want, str(dtype))


def _truncated(a, b):
    """C's division; by zero gives 0 here."""
    quotient = [
        0 if y == 0 else (abs(x) // abs(y)) * (1 if (x < 0) == (y < 0) else -1)
        for x, y in zip(a.tolist(), b.tolist(), strict=True)
    ]
    wrapped = [q % (1 << a.itemsize * 8) for q in quotient]
    return np.array(wrapped, f"u{a.itemsize}").view(a.dtype)


def _result(op, dtype):
    return dt.boolean if op in COMPARISONS else dtype


@pytest.mark.parametrize(
    "op", [op for op in BINARY if op not in ("and", "or", "xor", "shl", "shr")]
)
def test_binary_on_floats(op, rng):
    for dtype in FLOATS:
        a, b = _random(dtype, rng), rng.permutation(_random(dtype, rng))
        b[b == 0] = 0.25
        a[7] = np.nan
        b[9] = np.nan
        with np.errstate(all="ignore"):
            want = BINARY[op](a, b)
        for lanes in (1, 16):
            got = _run(lambda x, y: binary(op, x, y), [a, b], _result(op, dtype), lanes)
            tight = 0 if op not in ("mod",) else 4 * np.finfo(dtype.numpy).eps
            np.testing.assert_allclose(got, want, rtol=tight, atol=tight * 10, err_msg=str(dtype))


@pytest.mark.parametrize("op", EXACT_UNARY)
def test_unary_on_floats(op, rng):
    for dtype in FLOATS:
        a = _random(dtype, rng)
        a[-3:] = [np.nan, np.inf, -np.inf]
        with np.errstate(all="ignore"):
            want = EXACT_UNARY[op](a)
        out = dt.boolean if op in ("isnan", "isinf") else dtype
        for lanes in (1, 16):
            got = _run(lambda x: unary(op, x), [a], out, lanes)
            eps = 2 * np.finfo(dtype.numpy).eps if op == "rsqrt" else 0
            np.testing.assert_allclose(got, want, rtol=eps, err_msg=str(dtype))


@pytest.mark.parametrize("op", ["neg", "abs", "sign", "not"])
def test_unary_on_ints(op, rng):
    table = {"neg": np.negative, "abs": np.abs, "sign": np.sign, "not": np.invert}
    for dtype in INTS:
        a = _random(dtype, rng)
        for lanes in (1, 16):
            got = _run(lambda x: unary(op, x), [a], dtype, lanes)
            np.testing.assert_array_equal(got, table[op](a), str(dtype))


def test_int_pow(rng):
    for dtype in (dt.i32, dt.i64, dt.u8):
        a = rng.integers(0 if dtype.kind == "u" else -5, 6, SIZE).astype(dtype.numpy)
        b = rng.integers(0, 20, SIZE).astype(dtype.numpy)
        for lanes in (1, 8):
            got = _run(lambda x, y: binary("pow", x, y), [a, b], dtype, lanes)
            np.testing.assert_array_equal(got, np.power(a, b))
    a, b = (
        np.resize(np.array([1, -1, 2, -1], np.int32), SIZE),
        np.resize(np.array([-3, -3, -1, -2], np.int32), SIZE),
    )
    got = _run(lambda x, y: binary("pow", x, y), [a, b], dt.i32, 8)
    np.testing.assert_array_equal(got, np.resize([1, -1, 0, 1], SIZE))


def test_pow_by_small_constants(rng):
    a = _random(dt.f32, rng)
    for exponent in (1.0, 2.0, 3.0):
        got = _run(
            lambda x: binary("pow", x, broadcast(Const(exponent, dt.f32), 16)), [a], dt.f32, 16
        )
        np.testing.assert_allclose(got, a**exponent, rtol=3e-7)


def test_bool_operations_and_storage(rng):
    a, b = rng.random(SIZE) < 0.5, rng.random(SIZE) < 0.5
    for op, reference in {
        "and": np.logical_and,
        "or": np.logical_or,
        "xor": np.logical_xor,
        "eq": np.equal,
    }.items():
        for lanes in (1, 16):
            got = _run(lambda x, y: binary(op, x, y), [a, b], dt.boolean, lanes)
            np.testing.assert_array_equal(got.view(np.uint8), reference(a, b).astype(np.uint8))
    np.testing.assert_array_equal(_run(lambda x: unary("not", x), [a], dt.boolean, 16), ~a)


def test_any_nonzero_byte_is_true():
    stored = np.resize(np.array([0, 1, 2, 255, 128], np.uint8), SIZE)
    for lanes in (1, 16):
        got = _run(lambda x: cast(x, dt.i32), [stored.view(bool)], dt.i32, lanes)
        np.testing.assert_array_equal(got, (stored != 0).astype(np.int32))


def test_select(rng):
    a, b = _random(dt.f32, rng), _random(dt.f32, rng)
    for lanes in (1, 16):
        got = _run(lambda x, y: select(binary("lt", x, y), x, y * 2.0), [a, b], dt.f32, lanes)
        np.testing.assert_array_equal(got, np.where(a < b, a, b * 2))


@pytest.mark.parametrize("source", [*FLOATS, *INTS, dt.boolean], ids=str)
def test_casts(source, rng):
    a = rng.integers(0 if source.kind in "ub" else -100, 2 if source.is_bool else 100, SIZE).astype(
        source.numpy
    )
    if source.is_float:
        a += np.asarray(0.75, a.dtype)
    for target in (*FLOATS, *INTS, dt.boolean):
        if source.is_float and target.kind == "u" and target.bits == 64:
            a = np.abs(a)  # negative floats to u64 are undefined, in C as well
        with np.errstate(all="ignore"):
            want = a.astype(target.numpy)
        for lanes in (1, 16):
            got = _run(lambda x: Cast(x, target.vector(x.dtype.lanes)), [a], target, lanes)
            np.testing.assert_array_equal(got, want, f"{source} to {target}")


def test_casts_to_half_round_once(rng):
    ties = np.array(
        [1 + 2**-11, 1 + 2**-11 + 2**-40, 1 + 3 * 2**-11, 65519.99, 65520, 1e-8, 6e-8, -1e9]
    )
    a = np.concatenate([ties, rng.standard_normal(SIZE - len(ties))])
    with np.errstate(over="ignore"):
        want = a.astype(np.float16)
    np.testing.assert_array_equal(_run(lambda x: Cast(x, dt.f16.vector(16)), [a], dt.f16, 16), want)


def test_bf16(rng):
    """x * y + x in bf16: rounded to nearest even after every operation; NaN stays NaN."""
    a, b = _random(dt.f32, rng), _random(dt.f32, rng)
    a[5] = np.nan

    def rounded(x):
        bits = x.astype(np.float32).view(np.uint32).astype(np.uint64)
        kept = ((bits + 0x7FFF + (bits >> 16 & 1)) >> 16 << 16).astype(np.uint32).view(np.float32)
        return np.where(np.isnan(x), x, kept)

    def make(x, y):
        p, q = (Cast(v, dt.bf16.vector(v.dtype.lanes)) for v in (x, y))
        return Cast(p * q + p, dt.f32.vector(x.dtype.lanes))

    p, q = rounded(a), rounded(b)
    want = rounded(rounded(p * q) + p)
    for cpu in (host(), AVX2):
        for lanes in (1, 16):
            np.testing.assert_array_equal(_run(make, [a, b], dt.f32, lanes, cpu), want)


def test_index_arithmetic_is_floor_for_all_signs():
    """Divisions of loop variables (known not to be negative) and of values that may be."""
    out, i = Buffer("out", dt.i64, (200,)), Var("i")
    shifted = i - 20
    body = For(
        i, k(40), Store(out, (i,), shifted // 7 * 1000 + shifted % 7 + (i // 7 + i % 7) * 100000)
    )
    got = np.zeros(40, np.int64)
    compiled(program([out], body))([got])
    n = np.arange(40)
    np.testing.assert_array_equal(
        got, (n - 20) // 7 * 1000 + (n - 20) % 7 + (n // 7 + n % 7) * 100000
    )


@pytest.mark.parametrize("divisor", [7, 8, 49, 1000003])
def test_vector_index_division(divisor):
    """Vectors of indices are divided without leaving the vector registers, exactly."""
    out, n = Buffer("out", dt.i64, (32,)), Var("n")
    at, by = ramp(n, 16), broadcast(Const(divisor, dt.i64), 16)
    quotient = Var("quotient", dt.i64.vector(16))
    store = Store(
        out, (ramp(0, 16),), quotient * broadcast(Const(10**6, dt.i64), 16) + binary("mod", at, by)
    )
    run = compiled(program([out], Let(quotient, binary("floordiv", at, by), store), [n]))
    for start in (0, divisor - 3, divisor * 12345 - 8, 2**40 // divisor * divisor - 5):
        got, values = np.zeros(16, np.int64), start + np.arange(16)
        run([got], [start])
        np.testing.assert_array_equal(got, values // divisor * 10**6 + values % divisor)


def test_tail_mask_at_its_limits():
    out, n, bound = Buffer("out", dt.boolean, (16,)), Var("n"), Var("bound")
    body = Store(
        out, (ramp(0, 16),), binary("lt", ramp(n, 16), Broadcast(bound, dt.i64.vector(16)))
    )
    run = compiled(program([out], body, [n, bound]))
    for start, stop in ((0, 0), (0, 5), (10, 5), (5, 21), (5, 20), (0, 2**40), (2**40, 3)):
        got = np.zeros(16, bool)
        run([got], [start, stop])
        np.testing.assert_array_equal(got, np.arange(start, start + 16) < stop)


def test_what_a_dtype_cannot_do_is_refused():
    for op, dtype in (("sqrt", dt.i32), ("shl", dt.f32), ("exp", dt.boolean), ("sub", dt.boolean)):
        with pytest.raises(CompilerBug, match=f"no operation '{op}' on {dtype}"):
            array = np.ones(SIZE, dtype.numpy)
            _run(
                lambda *x: unary(op, *x) if op in UNARY else binary(op, *x),
                [array] * (1 + (op in ARITHMETIC)),
                dtype,
                1,
            )
