"""Quantisation and products of quantised tensors against ONNX Runtime's CPU provider: integers
within one step, most of them equal."""

import numpy as np
import pytest

from tests.hidet_core.importer.one_node import Case, check

MICROSOFT = "com.microsoft"
RNG = np.random.default_rng(5)
ZERO, SIGNED = np.asarray(3, np.uint8), np.asarray(-3, np.int8)
NONE, MIDDLE = np.zeros(5, np.int8), np.asarray(128, np.uint8)


def u8(*shape):
    return RNG.integers(0, 256, shape).astype(np.uint8)


def i8(*shape):
    return RNG.integers(-128, 128, shape).astype(np.int8)


def i32(*shape):
    return RNG.integers(-999, 999, shape).astype(np.int32)


def scales(*shape):
    return RNG.uniform(0.001, 0.05, shape).astype(np.float32)


def one(number):
    return np.asarray(number, np.float32)


def after(count):
    return tuple(range(1, count))


S, T, R = one(0.02), one(0.03), one(0.1)
LINEAR = [
    Case("QuantizeLinear", 13, [(3, 5), S, ZERO]),
    Case("QuantizeLinear", 13, [(3, 5, 2), scales(5), u8(5)], {"axis": 1}),
    Case("QuantizeLinear", 13, [(3, 5, 2), scales(5), i8(5)], {"axis": -2}),
    Case("QuantizeLinear", 21, [(3, 6, 2), scales(3, 3, 2), i8(3, 3, 2)],
         {"axis": 1, "block_size": 2}),
    Case("QuantizeLinear", 21, [(3, 5), one(2e-4), np.asarray(300, np.uint16)], note="u16"),
    Case("QuantizeLinear", 21, [(3, 5), one(2e-4)], {"output_dtype": 5}),
    Case("QuantizeLinear", 13, [np.asarray([-2.5, -1.5, -0.5, 0.5, 1.5, 2.5, 1e9, -1e9, np.nan],
                                           np.float32), one(1)], note="ties"),
    Case("DequantizeLinear", 13, [i8(3, 5), S, SIGNED]),
    Case("DequantizeLinear", 13, [i32(3, 5), S], note="i32"),
    Case("DequantizeLinear", 21, [u8(4, 5, 2), scales(2, 5, 2), u8(2, 5, 2)],
         {"axis": 0, "block_size": 2}),
    Case("DequantizeLinear", 21, [u8(4, 5, 3), scales(4, 5, 2)],
         {"axis": -1, "block_size": 2}),
    Case("DynamicQuantizeLinear", 11, [(3, 5)], outputs=3),
    Case("DynamicQuantizeLinear", 11, [scales(3, 5)], outputs=3, note="above 0"),
    Case("DynamicQuantizeLinear", 11, [np.zeros((3, 5), np.float32)], outputs=3, note="0"),
    Case("DynamicQuantizeLinear", 11, [np.array([-0.7, 0.7, 0.3], np.float32)], outputs=3,
         note="symmetric: a tie"),
]  # fmt: skip
PRODUCTS = [
    Case("MatMulInteger", 10, [u8(4, 7), i8(7, 5)]),
    Case("MatMulInteger", 10, [u8(4, 7), u8(7, 5), ZERO, np.asarray(200, np.uint8)]),
    Case("MatMulInteger", 10, [u8(4, 7), u8(7, 5), u8(1)[0:1], u8(5)], constants=after(4)),
    Case("MatMulInteger", 10, [u8(2, 4, 7), i8(7, 5), ZERO, i8(5)], note="batch"),
    Case("ConvInteger", 10, [u8(1, 3, 6, 7), u8(4, 3, 3, 3), ZERO, ZERO],
         {"pads": [1, 1, 1, 1]}),
    Case("ConvInteger", 10, [u8(1, 3, 6, 7), u8(4, 3, 3, 3), ZERO, MIDDLE],
         {"pads": [1, 0, 2, 1], "strides": [2, 1]}, constants=after(4)),
    Case("ConvInteger", 10, [u8(1, 4, 6, 7), u8(4, 2, 3, 3), ZERO, np.asarray(100, np.uint8)],
         {"pads": [1, 0, 2, 1], "group": 2}, constants=after(4)),
    Case("MatMulIntegerToFloat", 13, [u8(4, 7), i8(7, 5), S, scales(5), ZERO, NONE, scales(5)],
         domain=MICROSOFT, constants=after(7)),
    Case("DynamicQuantizeMatMul", 13, [(4, 7), i8(7, 5), S, SIGNED, scales(5)],
         domain=MICROSOFT, constants=after(5), rtol=1e-4, atol=1e-4),
    Case("QGemm", 13, [u8(4, 7), S, ZERO, i8(5, 7), R, SIGNED, i32(5)],
         {"transB": 1, "alpha": 2.0}, domain=MICROSOFT, constants=after(7)),
]  # fmt: skip
REQUANTIZED = [
    Case("QLinearMatMul", 10, [u8(4, 7), S, ZERO, u8(7, 5), T, ZERO, R, ZERO]),
    Case("QLinearMatMul", 10, [i8(4, 7), S, SIGNED, i8(7, 5), scales(5), NONE, R, SIGNED],
         constants=after(8)),
    Case("QLinearConv", 10, [u8(1, 3, 6, 7), S, ZERO, i8(4, 3, 3, 3), scales(4), NONE[:4], R,
                             ZERO, i32(4)], {"pads": [1, 1, 1, 1]}, constants=after(9)),
    Case("QLinearConv", 10, [u8(1, 3, 6, 7), S, ZERO, u8(4, 3, 3, 3), scales(4), u8(4), R,
                             ZERO, i32(4)], {"pads": [1, 1, 1, 1]}, constants=after(9)),
    Case("QLinearConv", 10, [u8(1, 3, 6), S, ZERO, u8(4, 3, 3), T, MIDDLE, R, ZERO]),
    Case("QLinearConv", 13, [u8(1, 6, 7, 3), S, ZERO, i8(4, 3, 3, 3), scales(4), NONE[:4], R, ZERO],
         {"pads": [1, 1, 1, 1], "channels_last": 1}, domain=MICROSOFT, constants=after(8)),
    Case("QLinearAdd", 13, [u8(3, 5), S, ZERO, u8(5), T, ZERO, R, ZERO], domain=MICROSOFT),
    Case("QLinearMul", 13, [i8(3, 5), S, SIGNED, i8(3, 5), T, SIGNED, R, SIGNED],
         domain=MICROSOFT),
    Case("QLinearSigmoid", 13, [u8(3, 5), S, ZERO, one(0.004), ZERO], domain=MICROSOFT,
         constants=after(5)),
    Case("QLinearLeakyRelu", 13, [i8(3, 5), S, SIGNED, T, SIGNED], {"alpha": 0.2},
         domain=MICROSOFT, constants=after(5)),
    Case("QLinearConcat", 13, [S, ZERO, u8(3, 5), S, ZERO, u8(3, 2), T, ZERO], {"axis": 1},
         domain=MICROSOFT, constants=(0, 1, 3, 4, 6, 7)),
    Case("QLinearGlobalAveragePool", 13, [u8(2, 3, 4, 5), S, ZERO, T, ZERO], domain=MICROSOFT,
         constants=after(5)),
    Case("QLinearAveragePool", 13, [u8(2, 3, 4, 5), S, ZERO, T, ZERO],
         {"kernel_shape": [2, 3], "pads": [1, 1, 0, 1]}, domain=MICROSOFT, constants=after(5)),
    Case("QLinearAveragePool", 13, [u8(2, 4, 5, 3), S, ZERO, T, ZERO],
         {"kernel_shape": [2, 3], "channels_last": 1}, domain=MICROSOFT, constants=after(5)),
    Case("QLinearGlobalAveragePool", 13, [u8(2, 4, 5, 3), S, ZERO, T, ZERO],
         {"channels_last": 1}, domain=MICROSOFT, constants=after(5)),
    Case("QGemm", 13, [u8(4, 7), S, ZERO, i8(7, 5), scales(5), NONE, i32(5), R, ZERO],
         domain=MICROSOFT, constants=after(9)),
]  # fmt: skip


@pytest.mark.parametrize("case", LINEAR + PRODUCTS, ids=str)
def test_as_onnx_runtime(case):
    check(case)


@pytest.mark.parametrize("case", REQUANTIZED, ids=str)
def test_within_one_step(case):
    case.atol = 1.0
    check(case)
