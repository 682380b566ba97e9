"""Outputs against reference outputs -> one number.

The error of an output is its largest absolute difference over the largest magnitude in the
reference ("of the output's scale"); of several outputs the worst counts. A wrong shape, type or
NaN pattern is an infinite error, as is a difference in an output of integers, strings or booleans.
"""

import math
from collections.abc import Sequence

import numpy as np


def max_relative_error(outputs: Sequence[np.ndarray], reference: Sequence[np.ndarray]) -> float:
    if len(outputs) != len(reference):
        return math.inf
    pairs = zip(outputs, reference, strict=True)
    return max((_error(np.asarray(mine), np.asarray(want)) for mine, want in pairs), default=0.0)


def _error(mine: np.ndarray, want: np.ndarray) -> float:
    if mine.shape != want.shape or mine.dtype != want.dtype:
        return math.inf
    if want.dtype.kind != "f":
        return 0.0 if np.array_equal(mine, want) else math.inf
    mine, want = mine.astype(np.float64), want.astype(np.float64)
    odd = ~np.isfinite(want)
    if (
        not np.array_equal(mine[odd], want[odd], equal_nan=True)
        or not np.isfinite(mine[~odd]).all()
    ):
        return math.inf
    difference = np.abs(mine[~odd] - want[~odd]).max(initial=0.0)
    scale = np.abs(want[~odd]).max(initial=0.0)
    if difference == 0.0:
        return 0.0
    return float(difference / scale) if scale else math.inf
