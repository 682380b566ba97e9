"""f64 functions; the rarely used ones serve f32 too, which is then exact but for the last rounding.

Method: argument reduction, then a polynomial (interpolated at Chebyshev nodes in 60-digit
arithmetic, coefficients rounded to f64).  Largest error found, in units of the last place
(tests/hidet_core/codegen/test_vecmath.py bounds them): exp, expm1, log, log1p 1.8; sin, cos, acos,
cosh, asinh, atanh, erf 1.9; sigmoid, asin, atan 2.0; tanh, sinh, acosh 2.3; tan 2.7. Accurate for
any argument, but sin, cos and tan of |x| > 2**45, which are those of 0.
"""

from __future__ import annotations

from .value import Vec, where

INF, NAN = float("inf"), float("nan")
LOG2_E = 1.4426950408889634
LN2, LN2_LOW = 0.6931471805599453, 2.3190468138462996e-17
LN2_SHORT, LN2_REST = 0.6931467056274414, 4.7493250390316726e-07  # multiples of SHORT are exact
TWO_OVER_PI = 0.6366197723675814
HALF_PI, HALF_PI_LOW, HALF_PI_LOWER = (
    1.5707963267948966, 6.123233995736766e-17, -1.4973849048591698e-33,
)  # fmt: skip
EXP = (
    0.16666666666666669, 0.041666666666666664, 0.008333333333329985, 0.0013888888888886498,
    0.0001984126986343555, 2.4801587317417246e-05, 2.7557267868262007e-06, 2.755728254697946e-07,
    2.5100666142918374e-08, 2.0911437045984246e-09,
)  # fmt: skip
LOG = (
    0.6666666666666666, 0.40000000000000885, 0.28571428570799784, 0.22222222392581045,
    0.18181795547521137, 0.15386244737621665, 0.13268638369266825, 0.13088034850927555,
)  # fmt: skip
SIN = (
    -0.16666666666666666, 0.008333333333333331, -0.0001984126984126506, 2.7557319219335453e-06,
    -2.5052106231157904e-08, 1.605853141458901e-10, -7.586685070091267e-13,
)  # fmt: skip
COS = (
    0.041666666666666664, -0.0013888888888888887, 2.4801587301584645e-05, -2.755731922140076e-07,
    2.0876755790363397e-09, -1.1470460773969325e-11, 4.7458652037874553e-14,
)  # fmt: skip
ATAN = (
    -0.3333333333333333, 0.19999999999999804, -0.14285714285659779, 0.11111111105150588,
    -0.09090908753259112, 0.07692296368042296, -0.0666642476020052, 0.05878927554473807,
    -0.05230443640686948, 0.045515447340221615, -0.03456931506332609, 0.016284375050043393,
)  # fmt: skip
ASIN = (
    0.16666666666666669, 0.07499999999998425, 0.04464285714637338, 0.030381944137085216,
    0.022372173002005596, 0.017352391265909227, 0.013971235301124539, 0.011478952690257387,
    0.010324318288744113, 0.00545087818772055, 0.017419357964884856, -0.014881409392818066,
    0.02877844261259304,
)  # fmt: skip
ERF = (
    0.12837916709551258, -0.3761263890318375, 0.11283791670954879, -0.026866170645076792,
    0.0052239776248180145, -0.000854832698083379, 0.0001205533111164271, -1.4925595266831182e-05,
    1.6461000484121368e-06, -1.6350312701054695e-07, 1.4659775274047436e-08,
    -1.1372848856791674e-09, 5.957176147748911e-11,
)  # fmt: skip
ERFCX = (
    0.25539567631050575, -0.4271858474139585, 0.24165819424246585, -0.07897858101570611,
    0.0037328924043978336, 0.006997461736971578, -0.00084714325299195, -0.0009819769411038642,
    4.355558686575482e-05, 0.00017435947400205157, 2.7527175557227246e-05,
    -2.7562209161129353e-05, -1.3998283772784976e-05, 1.3058577122278017e-06,
    4.011749647325067e-06, 1.272567661840228e-06, -1.1352571477273627e-06,
)  # fmt: skip
SQRT_HALF_BITS = 0x3FE6A09E667F3BCD


def _power_of_two(power: Vec) -> tuple[Vec, Vec]:
    """2**power as two factors, since it may be denormal or huge."""
    half = power >> 1
    return ((half + 1023) << 52).as_float(), ((power - half + 1023) << 52).as_float()


def _reduced_exp(x: Vec) -> tuple[Vec, Vec]:
    """(exp(r) - 1, n) with x = n * ln(2) + r."""
    inside = where(x < -746.0, -746.0, x)
    inside = where(inside > 710.0, 710.0, inside)
    whole, power = (inside * LOG2_E).nearest()
    r = whole.fma(-LN2_LOW, whole.fma(-LN2, inside))
    return (r * r).fma(r.fma(r.poly(EXP), 0.5), r), power


def exp(x: Vec) -> Vec:
    minus_one, power = _reduced_exp(x)
    first, second = _power_of_two(power)
    return (minus_one + 1.0) * first * second


def exp_of_sum(high: Vec, low: Vec) -> Vec:
    """exp(high + low) with low tiny."""
    minus_one, power = _reduced_exp(high)
    first, second = _power_of_two(power)
    value = minus_one + 1.0
    return value.fma(low, value) * first * second


def expm1(x: Vec) -> Vec:
    """2**n * (exp(r) - 1) + (2**n - 1); x itself where it is tiny, -1 below -40."""
    minus_one, power = _reduced_exp(x)
    first, second = _power_of_two(power)
    scale = first * second
    near = scale.fma(minus_one, scale - 1.0)
    value = where(x > 40.0, (minus_one + 1.0) * first * second, near)
    value = where(x < -40.0, -1.0, value)
    return where(x.abs() < 2.0**-54, x, value)


def split(x: Vec) -> tuple[Vec, Vec]:
    """(e, m): x = 2**e * m with m in [sqrt(1/2), sqrt(2)), for positive finite x; e as a float."""
    tiny = x < 2.0**-1022
    bits = where(tiny, x * 2.0**52, x).bits()
    power = (bits - SQRT_HALF_BITS) >> 52
    return where(tiny, power - 52, power).to(x.dtype), (bits - (power << 52)).as_float()


def _log_edges(x: Vec, value: Vec) -> Vec:
    value = where(x.is_(INF), x, value)
    value = where(x.is_(0.0), -INF, value)
    return where((x < 0.0) | x.is_not(x), NAN, value)


def log(x: Vec) -> Vec:
    return _log_edges(x, _log_of(x, None))


def _log_of(x: Vec, correction: Vec | None) -> Vec:
    """log(x) + correction.  f - (f*f/2 - s * (f*f/2 + R)) with s = f / (2 + f) keeps f exact."""
    e, m = split(x)
    f = m - 1.0
    s = f / (f + 2.0)
    z = s * s
    half = f * f * 0.5
    rest = s * (z.fma(z.poly(LOG), half))
    tail = e.fma(LN2_REST, rest)
    if correction is not None:
        tail = tail + correction
    return e.fma(LN2_SHORT, f - (half - tail))


def log1p(x: Vec) -> Vec:
    """log(u) + (x - (u - 1)) / u with u = 1 + x rounded: the second term is what u lost."""
    u = x + 1.0
    lost = where(x > 1.0, 1.0 - (u - x), x - (u - 1.0)) / u
    value = _log_edges(u, _log_of(u, where(u.is_(INF), 0.0, lost)))
    return where(x.abs() < 2.0**-54, x, value)


def sigmoid(x: Vec) -> Vec:
    """1 / (1 + e) for positive x, e / (1 + e) for negative, e = exp(-|x|): no overflow."""
    small = exp(-x.abs())
    return where(x < 0.0, small, 1.0) / (small + 1.0)


def tanh(x: Vec) -> Vec:
    size = x.abs()
    inside = where(size > 20.0, 20.0, size)
    grown = expm1(inside + inside)
    return (grown / (grown + 2.0)).signed_as(x)


def sinh(x: Vec) -> Vec:
    """(t + t / (t + 1)) / 2 with t = expm1(|x|); exp(|x| / 2) twice where exp(|x|) overflows."""
    size = x.abs()
    grown = expm1(size)
    value = (grown + grown / (grown + 1.0)) * 0.5
    return where(size > 709.0, _half_of_huge_exp(size), value).signed_as(x)


def cosh(x: Vec) -> Vec:
    size = x.abs()
    grown = exp(size)
    return where(size > 709.0, _half_of_huge_exp(size), (grown + 1.0 / grown) * 0.5)


def _half_of_huge_exp(x: Vec) -> Vec:
    """exp(x) / 2 where exp(x) may be too large but its half is not."""
    root = exp(x * 0.5)
    return root * 0.5 * root


def asinh(x: Vec) -> Vec:
    """log1p(|x| + x*x / (1 + sqrt(1 + x*x))); log(|x|) + ln(2) for large ones."""
    size = x.abs()
    square = size * size
    near = log1p(size + square / ((square + 1.0).sqrt() + 1.0))
    return where(size > 2.0**28, log(size) + LN2, near).signed_as(x)


def acosh(x: Vec) -> Vec:
    """log1p(t + sqrt(2*t + t*t)) with t = x - 1."""
    t = x - 1.0
    near = log1p(t + (t * (t + 2.0)).sqrt())
    return where(x < 1.0, NAN, where(x > 2.0**28, log(x) + LN2, near))


def atanh(x: Vec) -> Vec:
    size = x.abs()
    return (log1p((size + size) / (1.0 - size)) * 0.5).signed_as(x)


def _quadrant(x: Vec) -> tuple[Vec, Vec, Vec]:
    """(sin(r), cos(r), n) with x = n * pi/2 + r, |r| <= pi/4."""
    inside = where(x.abs() > 2.0**45, (x - x), x)
    whole, quadrant = (inside * TWO_OVER_PI).nearest()
    r = whole.fma(-HALF_PI_LOW, whole.fma(-HALF_PI, inside))
    r = whole.fma(-HALF_PI_LOWER, r)
    z = r * r
    sine = (z * r).fma(z.poly(SIN), r)
    half = z * 0.5
    one = 1.0 - half
    lost = (1.0 - one) - half
    return sine, one + (z * z).fma(z.poly(COS), lost), quadrant


def sin(x: Vec) -> Vec:
    sine, cosine, quadrant = _quadrant(x)
    value = where((quadrant & 1).is_(0), sine, cosine)
    value = where((quadrant & 2).is_(0), value, -value)
    return where(x.is_(0.0), x, value)


def cos(x: Vec) -> Vec:
    sine, cosine, quadrant = _quadrant(x)
    value = where((quadrant & 1).is_(0), cosine, sine)
    return where(((quadrant + 1) & 2).is_(0), value, -value)


def tan(x: Vec) -> Vec:
    sine, cosine, quadrant = _quadrant(x)
    even = (quadrant & 1).is_(0)
    return where(x.is_(0.0), x, where(even, sine, -cosine) / where(even, cosine, sine))


def atan(x: Vec) -> Vec:
    """atan(t) + c: t = x, (x - 1) / (x + 1) or -1 / x, c = 0, pi/4 or pi/2; |t| <= tan(pi/8)."""
    size = x.abs()
    middle, large = size > 0.4142135623730950, size > 2.414213562373095
    above = where(large, -1.0, where(middle, size - 1.0, size))
    below = where(large, size, where(middle, size + 1.0, 1.0))
    t = above / below
    z = t * t
    value = (z * t).fma(z.poly(ATAN), t)
    zero = x.literal(0.0)
    low = where(large, HALF_PI_LOW, where(middle, HALF_PI_LOW / 2, zero))
    value = where(large, HALF_PI, where(middle, HALF_PI / 2, zero)) + (value + low)
    return where(x.is_not(x), x, value).signed_as(x)


def _asin_parts(x: Vec) -> tuple[Vec, Vec, Vec]:
    """(is |x| <= 1/2, s, P): asin is s + s*P; s = |x|, or sqrt((1 - |x|) / 2) for half the rest."""
    size = x.abs()
    near = size <= 0.5
    z = where(near, size * size, (1.0 - size) * 0.5)
    return near, where(near, size, z.sqrt()), z * z.poly(ASIN)


def asin(x: Vec) -> Vec:
    near, s, p = _asin_parts(x)
    small = s.fma(p, s)
    value = where(near, small, HALF_PI - (small + small - HALF_PI_LOW))
    return value.signed_as(x)


def acos(x: Vec) -> Vec:
    near, s, p = _asin_parts(x)
    small = s.fma(p, s)
    signed = small.signed_as(x)
    double = small + small
    far = where(x < 0.0, HALF_PI * 2 - (double - HALF_PI_LOW * 2), double)
    return where(near, HALF_PI - (signed - HALF_PI_LOW), far)


def erf(x: Vec) -> Vec:
    """x + x * P(x*x) below 1, 1 - exp(-x*x) * Q((|x| - 2) / (|x| + 2)) up to 6, then 1."""
    size = x.abs()
    near = x.fma((x * x).poly(ERF), x)
    inside = where(size > 6.0, 6.0, size)
    t = (inside - 2.0) / (inside + 2.0)
    far = 1.0 - exp(-(inside * inside)) * t.poly(ERFCX)
    return where(size < 1.0, near, far.signed_as(x))
