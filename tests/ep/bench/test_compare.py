"""The error figure: of the output's scale, and infinite for anything that is not a rounding."""

import math

import numpy as np
import pytest

from hidet_ep.bench.compare import max_relative_error

A = np.array([1.0, -4.0, 0.5], np.float32)


def test_equal_outputs_have_no_error():
    assert max_relative_error([A, A], [A, A.copy()]) == 0.0


def test_the_error_is_of_the_outputs_scale():
    assert max_relative_error([A + np.float32(0.5)], [A]) == pytest.approx(0.125)


def test_the_worst_output_counts():
    assert max_relative_error([A, A * 2], [A, A]) == pytest.approx(1.0)


def test_equal_odd_values_are_no_error():
    odd = np.array([math.nan, math.inf, 1.0], np.float32)
    assert max_relative_error([odd], [odd]) == 0.0


@pytest.mark.parametrize(
    "wrong",
    [
        [],
        [A[:2]],
        [A.astype(np.float64)],
        [np.array([math.nan, -4.0, 0.5], np.float32)],
        [np.array([math.inf, -4.0, 0.5], np.float32)],
    ],
    ids=["count", "shape", "type", "nan", "inf"],
)
def test_what_is_infinitely_wrong(wrong):
    assert max_relative_error(wrong, [A]) == math.inf


def test_integers_must_be_equal():
    ones = np.ones(3, np.int64)
    assert max_relative_error([ones], [ones]) == 0.0
    assert max_relative_error([ones + 1], [ones]) == math.inf


def test_anything_but_zero_where_zeros_were_expected_is_wrong():
    zeros = np.zeros(3, np.float32)
    assert max_relative_error([zeros + np.float32(1e-9)], [zeros]) == math.inf


def test_empty_outputs():
    empty = np.zeros((0, 3), np.float32)
    assert max_relative_error([empty], [empty]) == 0.0
