"""Operators of one, two and three spatial axes, imported and compiled for both targets."""

import numpy as np
import pytest

from tests.hidet_core.compiled import check
from tests.hidet_core.cuda_check import check_cuda
from tests.hidet_core.importer.one_node import Case, import_model, one_node_model
from tests.hidet_core.importer.test_resize import sized
from tests.hidet_core.importer.test_sampling import BATCH, REGIONS, ROI, deform, grid, ints


def graph_of(case, dims=None, dtype=np.float32):
    arrays = [
        array if array is None or array.dtype.kind == "i" else array.astype(dtype)
        for array in case.arrays()
    ]
    return import_model(one_node_model(case, arrays, dims))[1]


def conv(op, x, w, **attrs):
    out = w[0] if op == "Conv" else w[1] * attrs.get("group", 1)
    return Case(op, 13, [x, w, (out,)], attrs, (1, 2), note=f"{x} {w}")


ROWS = np.c_[BATCH, REGIONS].astype(np.float32)
CASES = [
    (conv("Conv", (1, 3, 4, 5, 6), (5, 3, 3, 3, 3), pads=[1] * 6, strides=[2, 1, 1]), np.float32),
    (conv("Conv", (1, 3, 4, 5, 6), (3, 1, 3, 2, 2), group=3), np.float16),
    (conv("ConvTranspose", (2, 3, 4, 5), (3, 5, 4, 4), strides=[2, 2], pads=[1] * 4), np.float32),
    (conv("ConvTranspose", (1, 4, 3, 5), (4, 3, 2, 2), strides=[2, 2], group=2), np.float16),
    (conv("ConvTranspose", (1, 2, 2, 3, 3), (2, 3, 3, 2, 2), strides=[2, 1, 2]), np.float64),
    (Case("MaxPool", 12, [(2, 5, 4, 6, 5)], {"kernel_shape": [2, 3, 3]}, outputs=2), np.float32),
    (Case("AveragePool", 19, [(1, 5, 4, 6, 5)], {"kernel_shape": [2, 3, 3], "pads": [1] * 6}),
     np.float16),
    (sized((1, 3, 5, 4), 1, 3, 7, 9, mode="cubic"), np.float16),
    (sized((1, 3, 9, 8), 1, 3, 4, 3, mode="linear", antialias=1), np.float64),
    (grid((1, 2, 3, 4, 5), 2, 3, 2, padding_mode="reflection"), np.float32),
    (grid((2, 3, 5, 4), 3, 6, mode="cubic"), np.float16),
    (deform((1, 4, 5, 6), (4, 2, 2, 3), (4, 4), True, group=2, offset_group=2), np.float32),
    (Case("Col2Im", 18, [(2, 12, 6), ints(4, 5), ints(2, 2)], {"strides": [1, 2]}, (1, 2)),
     np.float32),
    (Case("RoiAlign", 16, [(2, 3, 7, 6), REGIONS, BATCH], ROI), np.float64),
    (Case("MaxRoiPool", 1, [(2, 3, 7, 6), ROWS], {"pooled_shape": [2, 3]}), np.float32),
    (Case("Det", 11, [(3, 4, 4)]), np.float32),
    (Case("LpPool", 18, [(1, 5, 6, 5)], {"kernel_shape": [2, 3], "p": 3}), np.float64),
]  # fmt: skip


@pytest.mark.parametrize(("case", "dtype"), CASES, ids=str)
def test_on_both_targets(case, dtype):
    graph = graph_of(case, dtype=dtype)
    check(graph)
    check_cuda(graph)


def test_padding_that_depends_on_a_symbolic_size():
    """auto_pad with a stride: the remainder decides how much is padded where."""
    case = conv("Conv", (1, 3, 7, 8), (5, 3, 3, 4), strides=[2, 3], auto_pad="SAME_LOWER")
    graph = graph_of(case, [("n", 3, "h", "w"), (5, 3, 3, 4), (5,)])
    sizes = [{"n": n, "h": h, "w": w} for n, h, w in [(1, 7, 8), (2, 6, 9), (0, 4, 4), (1, 1, 1)]]
    check(graph, *sizes)
    check_cuda(graph, sizes[1])
