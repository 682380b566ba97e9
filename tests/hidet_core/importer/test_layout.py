"""Operators that move elements, and shape arithmetic, against ONNX Runtime."""

import numpy as np
import pytest

from tests.hidet_core.importer.one_node import Case, check


def ints(*values):
    return np.array(values, np.int64)


def scalar(value):
    return np.array(value, np.int64)


BIG = 2**63 - 1
COUNTED = np.arange(24, dtype=np.int32).reshape(2, 3, 4)
BOOLS = COUNTED % 2 == 0

CASES = [
    Case("Reshape", 13, [(2, 3, 4), ints(4, -1)], constants=(1,)),
    Case("Reshape", 13, [(2, 3, 4), ints(0, -1)], constants=(1,), note="zero"),
    Case("Reshape", 14, [(0, 3), ints(3, 0)], {"allowzero": 1}, constants=(1,)),
    Case("Reshape", 13, [(6, 10), ints(4, 15)], constants=(1,), note="mixed"),
    Case("Reshape", 13, [(1, 6, 1, 5), ints(2, 1, 3, 5, 1)], constants=(1,), note="units"),
    Case("Reshape", 13, [(1, 1), ints()], constants=(1,), note="scalar"),
    Case("Flatten", 13, [(2, 3, 4, 5)]),
    Case("Flatten", 13, [(2, 3, 4, 5)], {"axis": 0}),
    Case("Flatten", 13, [(2, 3, 4, 5)], {"axis": 4}),
    Case("Flatten", 13, [(2, 3, 4, 5)], {"axis": -1}),
    Case("Squeeze", 11, [(1, 3, 1, 5)], {"axes": [0, -2]}),
    Case("Squeeze", 13, [(1, 3, 1, 5), ints(2)], constants=(1,)),
    Case("Squeeze", 13, [(1, 3, 1, 5)], note="all"),
    Case("Unsqueeze", 11, [(3, 5)], {"axes": [0, 3]}),
    Case("Unsqueeze", 13, [(3, 5), ints(-1, 1)], constants=(1,)),
    Case("Transpose", 13, [(2, 3, 5)]),
    Case("Transpose", 13, [(2, 3, 5, 4)], {"perm": [2, 0, 3, 1]}),
    Case("Expand", 13, [(3, 1), ints(2, 1, 4)], constants=(1,)),
    Case("Expand", 13, [(3, 4), ints(1)], constants=(1,), note="stays"),
    Case("Concat", 13, [(2, 3), (2, 1), (2, 4)], {"axis": 1}),
    Case("Concat", 13, [(2, 3), (1, 3)], {"axis": -2}),
    Case("Slice", 9, [(4, 6, 5)], {"starts": [1, -3], "ends": [3, 100], "axes": [0, 2]}),
    Case("Slice", 13, [(7, 6), ints(1, 5), ints(6, 0), ints(0, 1), ints(2, -2)],
         constants=(1, 2, 3, 4)),
    Case("Slice", 13, [(7, 6), ints(-1), ints(-BIG - 1), ints(0), ints(-1)],
         constants=(1, 2, 3, 4), note="reverse"),
    Case("Slice", 13, [(4, 6), ints(-9), ints(-BIG), ints(0), ints(-2)],
         constants=(1, 2, 3, 4), note="from before the first"),
    Case("Slice", 13, [(7, 6), ints(5), ints(2)], constants=(1, 2), note="empty"),
    Case("Slice", 13, [(7, 6), ints(2, 0), ints(BIG, BIG)], constants=(1, 2), note="open"),
    Case("Split", 11, [(6, 4)], {"split": [1, 2, 3]}, outputs=3),
    Case("Split", 13, [(6, 4), ints(1, 3)], {"axis": 1}, constants=(1,), outputs=2),
    Case("Split", 13, [(6, 4)], {"axis": -1}, outputs=2),
    Case("Split", 18, [(7, 4)], {"num_outputs": 3}, outputs=3),
    Case("Gather", 13, [(5, 4), np.array([[0, -1, 2], [4, 1, 1]])]),
    Case("Gather", 13, [(5, 4), np.array([3, -4, 0], np.int32)], {"axis": 1}),
    Case("Gather", 13, [(5, 4), scalar(2)], {"axis": -1}, note="scalar"),
    Case("GatherElements", 13, [(3, 4), np.array([[0, -1], [2, 1], [3, 3]])], {"axis": 1}),
    Case("GatherND", 13, [(3, 4, 5), np.array([[0, 1], [2, -1]])]),
    Case("GatherND", 13, [(2, 4, 5), np.array([[1, 3], [0, -1]])[:, :1]], {"batch_dims": 1}),
    Case("Tile", 13, [(2, 3), ints(2, 3)], constants=(1,)),
    Case("Pad", 2, [(2, 3, 4)], {"pads": [0, 1, 2, 1, 0, 3], "value": 1.5}),
    Case("Pad", 13, [(2, 3, 4), ints(0, 1, 2, 1, 0, 3)], constants=(1,)),
    Case("Pad", 13, [(2, 3), ints(1, 0, 0, 2), np.array(7, np.float32)], constants=(1, 2),
         note="value"),
    Case("Pad", 13, [(3, 4), ints(2, 1, 1, 3)], {"mode": "reflect"}, constants=(1,)),
    Case("Pad", 13, [(3, 4), ints(2, 1, 1, 3)], {"mode": "edge"}, constants=(1,)),
    Case("Pad", 19, [(3, 4), ints(2, 1, 1, 3)], {"mode": "wrap"}, constants=(1,)),
    Case("Pad", 13, [(5, 6), ints(-1, 2, 1, -3)], constants=(1,), note="crop"),
    Case("Pad", 18, [(3, 4), ints(1, 2), None, ints(-1)], constants=(1, 3), note="axes"),
    Case("OneHot", 11, [np.array([[0, 2], [-1, 5]]), scalar(4), np.array([-1, 3], np.float32)],
         constants=(1,)),
    Case("OneHot", 11, [ints(1, 0), scalar(3), ints(0, 1)], {"axis": 0}, constants=(1,)),
    Case("OneHot", 11, [np.array([[0.0, 2.6], [-1.0, 5.0]], np.float32), np.array(4.0, np.float32),
                        np.array([-1, 3], np.float32)], constants=(1,), note="of floats"),
    Case("Trilu", 14, [(2, 4, 5)]),
    Case("Trilu", 14, [(4, 5), scalar(-1)], {"upper": 0}, constants=(1,)),
    Case("Trilu", 14, [BOOLS, scalar(1)], constants=(1,), note="bool"),
    Case("Trilu", 14, [(2, 4, 5), scalar(-2)], {"upper": 0}, note="computed"),
    Case("DepthToSpace", 13, [(2, 12, 3, 2)], {"blocksize": 2}),
    Case("DepthToSpace", 13, [(1, 18, 2, 3)], {"blocksize": 3, "mode": "CRD"}),
    Case("SpaceToDepth", 13, [(2, 3, 4, 6)], {"blocksize": 2}),
    Case("Shape", 15, [(2, 3, 4)]),
    Case("Shape", 15, [(2, 3, 4)], {"start": 1, "end": -1}),
    Case("Size", 13, [(2, 3, 4)]),
    Case("ConstantOfShape", 9, [ints(2, 3)], constants=(0,)),
    Case("Range", 11, [scalar(2), scalar(11), scalar(3)], constants=(0, 1, 2)),
    Case("Range", 11, [np.array(v, np.float32) for v in (5, 0, -1.5)], constants=(0, 1, 2)),
    Case("Einsum", 12, [(2, 3, 4), (2, 4, 5)], {"equation": "bij,bjk->bik"}),
    Case("Einsum", 12, [(2, 3, 4), (5, 4, 2)], {"equation": "bij, kjb -> ikb"}),
    Case("Einsum", 12, [(3, 4), (5,)], {"equation": "ij,k->kji"}),
    Case("Einsum", 12, [(3, 4), (4, 5)], {"equation": "ij,jk"}),
    Case("Einsum", 12, [(3, 4, 2), (3, 4)], {"equation": "ijk,ij->k"}),
    Case("Einsum", 12, [(3, 4, 5)], {"equation": "ijk->ki"}),
    Case("Einsum", 12, [(4, 4, 5)], {"equation": "iij->ji"}),
    Case("Einsum", 12, [(5, 5)], {"equation": "ii"}),
    Case("Einsum", 12, [(2, 3, 1, 5), (6, 5, 3, 4, 2)], {"equation": "a...b,cb...d->...acd"}),
    Case("Einsum", 12, [(2, 3, 4), (1, 3, 4)], {"equation": "...i,...i->..."}),
    Case("Einsum", 12, [(2, 1, 4, 4), (2, 3, 4)], {"equation": "...ii,...i"}),
    Case("Einsum", 12, [(2, 3), (3, 4), (4, 5)], {"equation": "ij,jk,kl->li"}),
    Case("Einsum", 12, [(2, 3), (2, 3)], {"equation": "ij,ij->ij"}),
    Case("EyeLike", 9, [(3, 5)], {"k": 1, "dtype": 7}),
    Case("EyeLike", 9, [(4, 3)], {"k": -2}),
    Case("ReverseSequence", 10, [(5, 3, 2), ints(1, 0, 5)]),
    Case("ReverseSequence", 10, [(3, 5), ints(5, 2, 3)], {"time_axis": 1, "batch_axis": 0}),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_onnx_runtime(case):
    check(case)


@pytest.mark.parametrize("case", [
    Case("Reshape", 13, [COUNTED, ints(6, 4)], constants=(1,)),
    Case("Transpose", 13, [BOOLS], {"perm": [2, 1, 0]}),
    Case("Concat", 13, [COUNTED, COUNTED], {"axis": 0}),
    Case("Gather", 13, [COUNTED, ints(1, 0)]),
    Case("Pad", 13, [COUNTED, ints(0, 1, 0, 0, 0, 2)], constants=(1,)),
    Case("Slice", 13, [BOOLS, ints(1), ints(2)], constants=(1, 2)),
], ids=str)  # fmt: skip
def test_other_element_types(case):
    check(case)


def resize(opset, shape, scales=None, sizes=None, **attrs):
    if opset == 10:
        return Case("Resize", 10, [shape, np.array(scales, np.float32)], attrs, (1,))
    given = None if scales is None else np.array(scales, np.float32)
    given = np.array([], np.float32) if given is None and opset < 13 else given
    sizes = None if sizes is None else ints(*sizes)
    note = f"scales {scales}" if sizes is None else f"sizes {sizes}"
    roi = np.array([], np.float32) if opset < 13 else None
    return Case("Resize", opset, [shape, roi, given, sizes], attrs, (1, 2, 3), note=note)


X = (1, 2, 5, 7)
RESIZES = [
    resize(10, X, [1, 1, 2, 3], mode="nearest"),
    resize(10, X, [1, 1, 1.5, 2], mode="linear"),
    resize(11, X, [1, 1, 2, 2], mode="nearest", nearest_mode="floor",
           coordinate_transformation_mode="asymmetric"),
    resize(13, X, [1, 1, 2, 0.5]),
    resize(13, X, [1, 1, 2.6, 1.3], nearest_mode="round_prefer_ceil"),
    resize(13, X, [1, 1, 2.6, 1.3], nearest_mode="ceil"),
    resize(13, X, None, [1, 2, 8, 3]),
    resize(13, X, None, [1, 2, 9, 13], mode="linear"),
    resize(13, X, None, [1, 2, 9, 13], mode="linear",
           coordinate_transformation_mode="align_corners"),
    resize(13, X, None, [1, 2, 10, 1], mode="linear",
           coordinate_transformation_mode="pytorch_half_pixel"),
    resize(13, X, [1, 1, 0.6, 0.4], mode="linear"),
    resize(18, (3, 5), None, [6], axes=[-1]),
    Case("Upsample", 9, [X, np.array([1, 1, 2, 2], np.float32)], constants=(1,)),
]  # fmt: skip


@pytest.mark.parametrize("case", RESIZES, ids=str)
def test_resize(case):
    check(case)
