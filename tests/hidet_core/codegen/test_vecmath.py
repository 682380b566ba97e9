"""The vector mathematics against NumPy in more precision: errors in units of the last place, and
the edges.
"""

import math

import numpy as np
import pytest

from hidet_core.ir.dtypes import f16, f32, f64
from hidet_core.ir.expr import Buffer, Var, binary, unary
from hidet_core.ir.stmt import Store
from hidet_core.target import AVX2
from tests.hidet_core.codegen.programs import compiled, load, program, ramp

REFERENCE = {
    "exp": np.exp, "log": np.log, "tanh": np.tanh, "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "erf": np.vectorize(math.erf, otypes=[np.float64]), "expm1": np.expm1, "log1p": np.log1p,
    "sin": np.sin, "cos": np.cos, "tan": np.tan, "asin": np.arcsin, "acos": np.arccos,
    "atan": np.arctan, "sinh": np.sinh, "cosh": np.cosh, "asinh": np.arcsinh,
    "acosh": np.arccosh, "atanh": np.arctanh,
}  # fmt: skip
# units of the last place allowed: (f32, f64)
ALLOWED = {
    "exp": (1.1, 1.2), "log": (1, 1), "tanh": (1.5, 2.6), "sigmoid": (2.2, 2.2), "erf": (1.2, 1.2),
    "expm1": (0.6, 2), "tan": (0.6, 3), "sinh": (0.6, 2.6), "acosh": (0.6, 2.6),
}  # fmt: skip
EDGES = [
    0.0,
    -0.0,
    1,
    -1,
    np.inf,
    -np.inf,
    np.nan,
    0.5,
    2,
    -2,
    1e-40,
    -1e-45,
    89,
    -89,
    -104,
    710,
    -746,
]


def _function(op, dtype, lanes=16, operands=1, cpu=None):
    inputs = [Buffer(f"x{i}", dtype, (1,)) for i in range(operands)]
    out, task = Buffer("out", dtype, (1,)), Var("task")
    at = ramp(task * lanes, lanes)
    values = [load(x, at) for x in inputs]
    value = unary(op, *values) if operands == 1 else binary(op, *values)
    run = compiled(program([*inputs, out], Store(out, (at,), value), task=task), cpu)

    def apply(*arrays):
        size = len(arrays[0])
        padded = [np.concatenate([a, np.ones(-size % lanes, a.dtype)]) for a in arrays]
        result = np.empty_like(padded[0])
        run([*padded, result], end=len(result) // lanes)
        return result[:size]

    return apply


def _samples(op, rng, wide):
    count = 4000
    magnitude = 300 if wide else 85
    sign = rng.choice([-1, 1], count)
    parts = [rng.uniform(-s, s, count) for s in (1, 10, 100)]
    parts.append(sign * np.exp(rng.uniform(-magnitude, magnitude, count)))
    if op in ("sin", "cos", "tan"):
        parts[3] = rng.uniform(-1e9, 1e9, count)
    x = np.concatenate(parts)
    if op in ("asin", "acos", "atanh"):
        return np.concatenate([parts[0], sign * (1 - np.exp(rng.uniform(-30, 0, count)))])
    return {
        "log": np.abs,
        "acosh": lambda v: 1 + np.abs(v),
        "log1p": lambda v: np.maximum(v, -0.999),
    }.get(op, lambda v: v)(x)


def _error(got, want, dtype):
    """Largest error in units of the last place of the wanted value."""
    with np.errstate(over="ignore", invalid="ignore"):
        rounded = want.astype(dtype)
    finite = np.isfinite(rounded)
    np.testing.assert_array_equal(np.isfinite(got), finite)
    return (np.abs(got[finite] - want[finite]) / np.spacing(np.abs(rounded[finite]))).max()


@pytest.mark.parametrize("op", REFERENCE)
def test_accuracy(op, rng):
    for column, (dtype, kind) in enumerate(((f32, np.float32), (f64, np.float64))):
        x = _samples(op, rng, kind is np.float64).astype(kind)
        more = x.astype(np.float64 if op == "erf" else np.longdouble)
        with np.errstate(all="ignore"):
            want = REFERENCE[op](more).astype(np.longdouble)
        error = _error(_function(op, dtype)(x), want, kind)
        assert error <= ALLOWED.get(op, (0.6, 2.2))[column], (dtype, error)


@pytest.mark.parametrize("op", REFERENCE)
def test_edges(op):
    for dtype, kind in ((f32, np.float32), (f64, np.float64)):
        x = np.array(EDGES, kind)
        with np.errstate(all="ignore"):
            want = REFERENCE[op](x.astype(np.float64)).astype(kind)
        got = _function(op, dtype)(x)
        np.testing.assert_allclose(got, want, rtol=4 * np.finfo(kind).eps, atol=3e-45)
        zeros = want == 0
        np.testing.assert_array_equal(np.signbit(got[zeros]), np.signbit(want[zeros]))


@pytest.mark.parametrize(
    ("dtype", "kind", "allowed"), [(f32, np.float32, 0.6), (f64, np.float64, 2)]
)
def test_pow(dtype, kind, allowed, rng):
    power = _function("pow", dtype, operands=2)
    for low, high, exponent in ((0, 2, 50), (0, 100, 18), (0.9, 1.1, 800), (0, 1e30, 1.2)):
        x, y = (
            rng.uniform(a, b, 4000).astype(kind) for a, b in ((low, high), (-exponent, exponent))
        )
        want = np.power(x.astype(np.longdouble), y.astype(np.longdouble))
        normal = want > np.finfo(kind).tiny
        assert _error(power(x, y)[normal], want[normal], kind) <= allowed
    points = np.array(
        [0, -0.0, 1, -1, np.inf, -np.inf, np.nan, 2, -2, 0.5, -0.5, 3, -3, 2.5, 1e10], kind
    )
    x, y = (a.ravel() for a in np.meshgrid(points, points))
    with np.errstate(all="ignore"):
        want = np.power(x, y)
    got = power(x, y)
    np.testing.assert_allclose(got, want, rtol=4 * np.finfo(kind).eps)
    np.testing.assert_array_equal(np.signbit(got)[want == 0], np.signbit(want)[want == 0])


@pytest.mark.parametrize("lanes", [1, 4, 8, 32])
def test_any_number_of_lanes_gives_the_same(lanes, rng):
    x = rng.uniform(-5, 5, 64).astype(np.float32)
    for op in ("exp", "erf", "sin"):
        np.testing.assert_array_equal(_function(op, f32, lanes)(x), _function(op, f32)(x))


def test_code_for_avx2_gives_the_same(rng):
    x = rng.uniform(-5, 5, 64).astype(np.float32)
    for op in ("exp", "tanh", "log1p"):
        np.testing.assert_array_equal(_function(op, f32, 8, cpu=AVX2)(x), _function(op, f32)(x))


def test_half_precision_goes_through_single(rng):
    x = rng.uniform(-5, 5, 100).astype(np.float16)
    want = np.tanh(x.astype(np.float32)).astype(np.float16)
    assert np.abs(_function("tanh", f16)(x).view(np.int16) - want.view(np.int16)).max() <= 1
