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
    conv((2, 3, 5, 6, 7), (4, 3, 3, 2, 3)),
    conv((1, 3, 7, 6, 5), (5, 3, 3, 3, 3), strides=[2, 1, 2], pads=[1, 0, 1, 2, 1, 0]),
    conv((1, 4, 5, 4, 6), (6, 2, 2, 3, 1), group=2, dilations=[2, 1, 1], pads=[0, 1, 0, 1, 1, 0]),
    conv((2, 3, 4, 5, 6), (4, 3, 1, 3, 3), pads=[0, 1, 1, 0, 1, 1]),
    conv((1, 5, 4, 5, 6), (10, 1, 3, 2, 2), group=5),
    conv((1, 5, 4, 5, 6), (5, 1, 3, 3, 3), group=5, auto_pad="SAME_UPPER", strides=[1, 2, 2]),
    Case("FusedConv", 13, [(1, 3, 5, 6), (4, 3, 3, 3), (4,), (1, 4, 3, 4)],
         {"activation": "LeakyRelu", "activation_params": [0.2]}, (1, 2), domain="com.microsoft",
         rtol=1e-4, atol=1e-5),
    Case("FusedConv", 13, [(1, 3, 5, 6), (4, 3, 3, 3)],
         {"activation": "Clip", "activation_params": [-0.5, 1.5], "pads": [1, 0, 1, 0]}, (1,),
         domain="com.microsoft", rtol=1e-4, atol=1e-5),
]  # fmt: skip


def pool_positions(x, **attrs):
    return Case("MaxPool", 12, [x], attrs, outputs=2, note=f"{x} positions")


POOLS = [
    pool("MaxPool", (2, 3, 7, 9), kernel_shape=[3, 2]),
    pool("MaxPool", (1, 3, 8, 7), kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]),
    pool("MaxPool", (1, 3, 8, 7), kernel_shape=[3, 3], strides=[2, 2], ceil_mode=1),
    pool("MaxPool", (1, 3, 8, 8), kernel_shape=[2, 2], strides=[3, 3], ceil_mode=1,
         pads=[1, 1, 1, 1]),
    pool("MaxPool", (1, 3, 9, 9), kernel_shape=[3, 3], dilations=[2, 3]),
    pool("MaxPool", (1, 3, 7, 8), kernel_shape=[3, 3], strides=[2, 2], auto_pad="SAME_UPPER"),
    pool("MaxPool", (1, 3, 7, 8), kernel_shape=[4, 3], strides=[3, 2], auto_pad="SAME_LOWER"),
    pool("MaxPool", (1, 3, 7, 7), kernel_shape=[1, 1], strides=[3, 2], auto_pad="SAME_LOWER"),
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
    pool("MaxPool", (2, 3, 6, 7, 5), kernel_shape=[2, 3, 3], strides=[1, 2, 2], ceil_mode=1,
         pads=[0, 1, 1, 1, 1, 0]),
    pool("MaxPool", (1, 2, 9, 7, 8), kernel_shape=[3, 2, 3], dilations=[2, 1, 3]),
    pool_positions((2, 3, 7, 6), kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    pool_positions((2, 3, 7, 6), kernel_shape=[2, 2], storage_order=1, ceil_mode=1),
    pool_positions((2, 2, 9), kernel_shape=[3], strides=[2], pads=[1, 1]),
    pool_positions((1, 2, 5, 4, 6), kernel_shape=[2, 3, 2], strides=[2, 1, 2], storage_order=1),
    pool("AveragePool", (2, 3, 6, 7, 5), kernel_shape=[2, 3, 3], strides=[1, 2, 2],
         pads=[0, 1, 1, 1, 1, 0]),
    pool("AveragePool", (1, 2, 6, 7, 5), 19, kernel_shape=[3, 3, 2], strides=[2, 2, 2],
         pads=[1, 1, 0, 1, 0, 1], count_include_pad=1, ceil_mode=1),
    pool("LpPool", (2, 3, 7, 6), 18, kernel_shape=[3, 2], strides=[2, 1], pads=[1, 0, 1, 1]),
    pool("LpPool", (2, 3, 7, 6), 18, kernel_shape=[3, 2], p=1, ceil_mode=1, strides=[2, 2]),
    pool("LpPool", (1, 2, 5, 7, 6), 18, kernel_shape=[2, 2, 3], p=3, dilations=[1, 2, 1]),
    pool("LpPool", (1, 2, 9), 11, kernel_shape=[3], auto_pad="SAME_LOWER", strides=[2]),
    pool("GlobalLpPool", (2, 3, 5, 7), p=3),
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


def test_a_pool_that_is_channel_last_already():
    x = np.random.default_rng(0).integers(0, 255, (2, 6, 7, 3)).astype(np.uint8)
    attrs = {"kernel_shape": [2, 3], "pads": [1, 0, 0, 1], "strides": [2, 1]}
    check(Case("NhwcMaxPool", 13, [x], attrs, domain="com.microsoft"))


def test_the_first_of_equal_maxima_is_the_position():
    x = np.random.default_rng(0).integers(0, 3, (2, 2, 6, 6)).astype(np.float32)
    check(Case("MaxPool", 12, [x], {"kernel_shape": [3, 3], "pads": [1] * 4}, outputs=2))
