"""f32 functions of networks' inner loops, computed in f32.

Method: argument reduction, then a polynomial (interpolated at Chebyshev nodes in 60-digit
arithmetic, coefficients rounded to f32).  Largest error found, in units of the last place, against
f64 on dense random samples of all magnitudes (tests/hidet_core/codegen/test_vecmath.py bounds
them): exp 1.0, log 0.8, tanh 1.2, erf 1.0, sigmoid 1.9.  The edges (infinities, NaN, denormals) are
C's.
"""

from __future__ import annotations

from .value import Vec, where

LOG2_E = 1.44269502
LN2_HIGH, LN2_LOW = 0.693145751953125, 1.4286068203094173e-06
EXP = (0.5, 0.166665763, 0.0416665524, 0.00836335309, 0.00139264006)
LOG = (
    0.333333313, -0.24999997, 0.200007156, -0.166678026, 0.142490566,
    -0.124256857, 0.116854236, -0.114797488, 0.0697162077,
)  # fmt: skip
TANH = (-0.333333284, 0.13332583, -0.0538237579, 0.0208734609, -0.00592372613)
ERF = (
    0.128379166, -0.37612626, 0.112835944, -0.0268542115,
    0.00518908724, -0.00080168643, 7.87587487e-05,
)  # fmt: skip
LOG_ERFC = (
    0.00032013806, -1.13023341, -0.631826043, -0.110080086, 0.0264211353,
    -0.0047595962, 0.00059680565, -4.60580413e-05, 1.6371514e-06,
)  # fmt: skip
SQRT_HALF_BITS = 0x3F3504F3


def exp(x: Vec) -> Vec:
    """2**n * exp(r), |r| <= ln(2) / 2; 2**n in two factors, since it may be denormal or huge."""
    inside = where(x < -104.0, -104.0, x)
    inside = where(inside > 89.0, 89.0, inside)
    whole, power = (inside * LOG2_E).nearest()
    rest = whole.fma(-LN2_LOW, whole.fma(-LN2_HIGH, inside))
    value = (rest * rest).fma(rest.poly(EXP), rest) + 1.0
    half = power >> 1
    first = ((half + 127) << 23).as_float()
    second = ((power - half + 127) << 23).as_float()
    return value * first * second


def log(x: Vec) -> Vec:
    """x = 2**e * (1 + f), 1 + f in [sqrt(1/2), sqrt(2)); log1p(f) = f - f*f/2 + f**3 * P(f)."""
    tiny = x < 2.0**-126
    normal = where(tiny, x * 2.0**23, x)
    bits = normal.bits()
    power = (bits - SQRT_HALF_BITS) >> 23
    f = (bits - (power << 23)).as_float() - 1.0
    e = where(tiny, power - 23, power).to(x.dtype)
    square = f * f
    tail = (square * f).fma(f.poly(LOG), e * LN2_LOW)
    value = e.fma(LN2_HIGH, f + square.fma(-0.5, tail))
    value = where(x.is_(float("inf")), x, value)
    value = where(x.is_(0.0), float("-inf"), value)
    return where((x < 0.0) | x.is_not(x), float("nan"), value)


def sigmoid(x: Vec) -> Vec:
    """1 / (1 + e) for positive x, e / (1 + e) for negative, e = exp(-|x|): no overflow."""
    small = exp(-x.abs())
    return where(x < 0.0, small, 1.0) / (small + 1.0)


def tanh(x: Vec) -> Vec:
    """x + x**3 * P(x*x) near zero, 1 - 2 / (exp(2 |x|) + 1) elsewhere."""
    size = x.abs()
    square = x * x
    near = (square * x).fma(square.poly(TANH), x)
    far = 1.0 - 2.0 / (exp(size + size) + 1.0)
    return where(size < 0.65, near, far).signed_as(x)  # near is +0 at -0


def erf(x: Vec) -> Vec:
    """x + x * P(x*x) below 1, 1 - exp(Q(|x|)) above; from 4 on erf is 1 in f32."""
    size = x.abs()
    near = x.fma((x * x).poly(ERF), x)
    inside = where(size > 4.0, 4.0, size)
    far = 1.0 - exp(inside.poly(LOG_ERFC))
    return where(size < 1.0, near, far.signed_as(x))
