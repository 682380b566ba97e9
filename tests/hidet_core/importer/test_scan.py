"""CumSum, CumProd, TopK and Hardmax against ONNX Runtime: ties, NaN, axes, directions."""

import numpy as np
import pytest

from tests.hidet_core.importer.one_node import Case, check

F = np.float32
NAN = np.array([3, np.nan, 1, np.nan, -np.inf, 3, np.inf, 1, 0.0, -0.0], F)
TIES = np.random.default_rng(5).integers(-3, 4, (3, 21, 2))


def number(value):
    return np.array([value], np.int64)


FLAGS = [{}, {"exclusive": 1}, {"reverse": 1}, {"exclusive": 1, "reverse": 1}]
CASES = [
    *(Case("CumSum", 14, [(3, 5, 4), np.array(1)], flags, (1,)) for flags in FLAGS),
    Case("CumSum", 11, [TIES, np.array(-1, np.int32)], constants=(1,), note="int"),
    *(Case("TopK", 11, [NAN, number(k)], {"largest": largest}, (1,), 2, note=f"NaN {k}")
      for k in (1, 5, 10) for largest in (0, 1)),
    Case("TopK", 11, [TIES, number(9)], {"axis": 1}, (1,), 2),
    Case("TopK", 11, [TIES.astype(np.int8), number(2)], {"axis": 0, "largest": 0}, (1,), 2),
    Case("TopK", 10, [(2, 7), number(0)], {}, (1,), 2, note="none"),
    Case("TopK", 1, [(2, 7)], {"k": 3}, (), 2),
    Case("Hardmax", 13, [TIES.astype(F)], {"axis": 1}),
    Case("Hardmax", 11, [(3, 4)]),
    Case("Hardmax", 11, [(3, 4, 5)], note="rows of two dims"),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_onnx_runtime(case):
    check(case)
