"""pow(x, y) with the edge cases of C.

f64: exp(y * log|x|) with the logarithm and the product in two words, 1.5 units in the last place
typical, below 4 up to the overflow.  f32 is computed in f64 without the second words.
"""

from __future__ import annotations

from . import double
from .value import Vec, where


def pow_double(x: Vec, y: Vec) -> Vec:
    return _edges(x, y, _two_word_power(x.abs(), y))


def pow_single(x: Vec, y: Vec) -> Vec:
    """f32 values held in f64."""
    return _edges(x, y, double.exp(y * double.log(x.abs())))


def _two_word_power(x: Vec, y: Vec) -> Vec:
    high, low = _two_word_log(x)
    product = y * high
    error = y.fma(high, -product) + y * low
    error = where(product.abs() < 1000.0, error, 0.0)
    return double.exp_of_sum(product, error)


def _two_word_log(x: Vec) -> tuple[Vec, Vec]:
    """log(x) for positive finite x as high + low, about 60 bits: e * ln(2) + s * (2 + z * Q(z))."""
    e, m = double.split(x)
    f = m - 1.0
    d = f + 2.0
    d_low = f - (d - 2.0)
    s = f / d
    s_low = ((-s).fma(d, f) - s * d_low) / d
    z = s * s
    tail = s * z * z.poly(double.LOG) + (s_low + s_low)
    big, small = e * double.LN2_SHORT, s + s
    high = big + small
    low = (small - (high - big)) + e.fma(double.LN2_REST, tail)
    result = high + low
    return result, low - (result - high)


def _edges(x: Vec, y: Vec, value: Vec) -> Vec:
    """value = |x| ** y for finite x and y, x not 0; made right for all."""
    inf, size = float("inf"), x.abs()
    grows = where(y > 0.0, size, 1.0 / size)  # |x| ** y is 0, 1 or inf as this is < 1, 1 or > 1
    limit = where(grows > 1.0, inf, where(grows < 1.0, x.literal(0.0), 1.0))
    extreme = size.is_(0.0) | size.is_(inf) | y.abs().is_(inf)
    value = where(extreme, limit, value)
    half = y * 0.5
    whole = y.floor().is_(y)
    odd = whole & half.floor().is_not(half)
    value = where(odd, value.signed_as(x), value)
    value = where((x < 0.0) & (size < inf) & (whole ^ True), float("nan"), value)
    value = where(x.is_not(x) | y.is_not(y), float("nan"), value)
    return where(x.is_(1.0) | y.is_(0.0), 1.0, value)
