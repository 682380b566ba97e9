"""Scatters against ONNX Runtime: every reduction, duplicates, negative indices, NaN."""

import numpy as np
import pytest

from tests.hidet_core.importer.one_node import Case, check

F = np.float32
NAN = np.array([1, np.nan, 3, 4, -2, 0], F)
NAN_UPDATES = np.array([np.nan, 2, 7, np.nan, -3, -4, 5], F)
PLACES = np.array([0, 1, -1, 3, 4, 4, -6])
RNG = np.random.default_rng(3)
AROUND = RNG.integers(-5, 5, (4, 3, 7))
PAIRS = RNG.integers(-3, 3, (2, 9, 2))
WHOLE = RNG.integers(-9, 9, (5, 2, 3)).astype(np.int32)
REDUCTIONS = ["none", "add", "mul", "max", "min"]

CASES = [
    Case("Scatter", 9, [(3, 4), np.array([[2, 0], [1, 1]]), (2, 2)]),
    *(Case("ScatterElements", 18, [(4, 5, 7), AROUND, (4, 3, 7)], {"axis": 1, "reduction": op})
      for op in REDUCTIONS),
    *(Case("ScatterElements", 18, [NAN, PLACES, NAN_UPDATES], {"reduction": op}, note="NaN")
      for op in REDUCTIONS),
    Case("ScatterElements", 16, [WHOLE, WHOLE[:3, :, :2].astype(np.int64) % 3,
                                 WHOLE[:3, :, 1:]], {"axis": -1, "reduction": "add"}, note="int"),
    *(Case("ScatterND", 18, [(3, 3, 5), PAIRS, (2, 9, 5)], {"reduction": op})
      for op in REDUCTIONS),
    *(Case("ScatterND", 18, [NAN, PLACES[:, None], NAN_UPDATES], {"reduction": op}, note="NaN")
      for op in REDUCTIONS),
    Case("ScatterND", 13, [WHOLE, np.array([1]), WHOLE[2]], note="one slice"),
    Case("ScatterND", 16, [WHOLE > 0, PAIRS % 2, np.ones((2, 9, 3), bool)], note="bool"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_onnx_runtime(case):
    check(case)
