"""Convolutions, pools and LRN against ONNX Runtime: every attribute, odd sizes."""

import numpy as np
import pytest

from tests.hidet_core.importer.one_node import Case, check


def conv(x, w, bias=True, opset=13, **attrs):
    inputs = [x, w, (w[0],)] if bias else [x, w]
    constants = tuple(range(1, len(inputs)))
    case = Case("Conv", opset, inputs, attrs, constants, rtol=1e-4, atol=1e-5)
    case.note = f"{x} {w}"
    return case


def pool(op, x, opset=13, **attrs):
    return Case(op, opset, [x], attrs, note=str(x))


CONVS = [
    conv((2, 3, 7, 9), (4, 3, 3, 3)),
    conv((1, 3, 8, 7), (5, 3, 3, 2), bias=False, strides=[2, 3], pads=[1, 0, 2, 1]),
    conv((1, 4, 9, 9), (6, 2, 3, 3), group=2, pads=[1, 1, 1, 1], dilations=[2, 1]),
    conv((1, 5, 6, 7), (5, 1, 3, 3), group=5, pads=[1, 1, 1, 1], strides=[2, 2]),
    conv((1, 3, 5, 5), (6, 1, 1, 1), group=3),
    conv((1, 3, 7, 8), (2, 3, 3, 4), auto_pad="SAME_UPPER", strides=[2, 2]),
    conv((1, 3, 7, 8), (2, 3, 4, 2), auto_pad="SAME_LOWER", strides=[1, 3]),
    conv((1, 3, 7, 8), (2, 3, 3, 3), auto_pad="VALID", strides=[2, 1]),
    conv((2, 3, 11), (4, 3, 5), strides=[2], pads=[2, 1]),
    conv((2, 4, 11), (4, 1, 3), group=4, dilations=[2]),
    Case("Conv", 13, [(1, 2, 5, 5), (3, 2, 2, 2)], rtol=1e-4, atol=1e-5, note="computed weights"),
]

POOLS = [
    pool("MaxPool", (2, 3, 7, 9), kernel_shape=[3, 2]),
    pool("MaxPool", (1, 3, 8, 7), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    pool("MaxPool", (1, 3, 8, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    pool("MaxPool", (1, 3, 8, 8), kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1,
         pads=[1, 1, 1, 1]),
    pool("MaxPool", (1, 3, 9, 9), kernel_shape=[3, 3], dilations=[2, 3]),
    pool("MaxPool", (1, 3, 7, 8), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    pool("MaxPool", (1, 3, 7, 8), kernel_shape=[4, 3], strides=[3, 2], auto_pad="SAME_LOWER"),
    pool("MaxPool", (1, 3, 7, 8), kernel_shape=[3, 3], strides=[2, 2], auto_pad="VALID"),
    pool("MaxPool", (1, 3, 11), kernel_shape=[3], strides=[2], pads=[1, 1]),
    pool("AveragePool", (2, 3, 7, 9), kernel_shape=[3, 2]),
    pool("AveragePool", (1, 3, 7, 8), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    pool("AveragePool", (1, 3, 7, 8), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 0, 1, 2],
         count_include_pad=1),
    pool("AveragePool", (1, 3, 8, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    pool("AveragePool", (1, 3, 8, 7), 19, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
         pads=[1, 1, 0, 1], count_include_pad=1),
    pool("AveragePool", (1, 3, 8, 7), 11, kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1,
         pads=[1, 1, 0, 1], count_include_pad=1),
    pool("AveragePool", (1, 2, 9, 9), 19, kernel_shape=[3, 2], dilations=[2, 3]),
    pool("AveragePool", (1, 2, 9, 9), 19, kernel_shape=[3, 2], dilations=[2, 3],
         pads=[2, 1, 1, 1]),
    pool("AveragePool", (1, 2, 9, 9), 19, kernel_shape=[3, 2], dilations=[2, 3],
         pads=[2, 1, 1, 1], count_include_pad=1),
    pool("AveragePool", (1, 3, 7, 8), kernel_shape=[3, 3], strides=[2, 2],
         auto_pad="SAME_UPPER"),
    pool("AveragePool", (1, 3, 11), kernel_shape=[3], strides=[2], pads=[1, 1]),
    pool("GlobalAveragePool", (2, 3, 5, 7)),
    pool("GlobalAveragePool", (2, 3, 5)),
    pool("GlobalMaxPool", (2, 3, 5, 7)),
    pool("GlobalLpPool", (2, 3, 5, 7)),
    pool("GlobalLpPool", (2, 3, 5, 7), p=1),
    pool("LRN", (2, 7, 3, 3), size=5, alpha=0.3, beta=0.75, bias=1.0),
    pool("LRN", (2, 7, 3, 3), size=5, alpha=0.3, beta=0.5, bias=2.0),
    pool("LRN", (2, 7, 3, 3), size=3, alpha=0.3, beta=0.6, bias=1.5),
    pool("LRN", (2, 2, 3, 3), size=7, alpha=0.3, beta=1.0, bias=1.5),
]  # fmt: skip


@pytest.mark.parametrize("case", [*CONVS, *POOLS], ids=str)
def test_matches_onnx_runtime(case):
    check(case)


def test_max_pool_of_negative_values_ignores_padding():
    x = -1 - np.random.default_rng(0).random((1, 1, 4, 4), np.float32)
    check(Case("MaxPool", 13, [x], {"kernel_shape": [3, 3], "pads": [1, 1, 1, 1]}))
