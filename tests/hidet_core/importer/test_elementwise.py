"""Elementwise ONNX operators against ONNX Runtime, special values included."""

import numpy as np
import pytest

from tests.hidet_core.importer.one_node import Case, check

F = np.float32
SPECIAL = np.array([0, -0.0, 1, -1, 0.5, -0.5, 1.5, 2.5, -2.5, 80, -80, np.inf, -np.inf, np.nan], F)
FINITE = SPECIAL[:11]
INTS = np.array([7, -7, 7, -7, 0, 1, -1, 100], np.int32)
DIVISORS = np.array([3, 3, -3, -3, 5, -1, -1, 7], np.int32)
BOOLS = np.array([True, False, True, False])
OTHER = np.array([True, True, False, False])
LOW, HIGH = np.array(-0.25, F), np.array(0.75, F)

UNARY = ["Neg", "Abs", "Exp", "Log", "Sqrt", "Tanh", "Sin", "Cos", "Floor", "Ceil", "Round"]
UNARY += ["Sign", "Sigmoid", "Reciprocal", "Relu", "Softplus", "Softsign", "Erf"]
ON_FINITE = ["Tan", "Atan", "Asinh", "Elu", "Selu", "LeakyRelu", "HardSigmoid"]
ON_UNIT = ["Asin", "Acos", "Atanh", "Sinh", "Cosh"]
UNIT = np.linspace(-0.99, 0.99, 13, dtype=F)

CASES = [
    *(Case(op, 13, [SPECIAL]) for op in UNARY),
    *(Case(op, 13, [FINITE]) for op in ON_FINITE),
    *(Case(op, 13, [UNIT]) for op in ON_UNIT),
    Case("Acosh", 13, [np.linspace(1, 9, 7, dtype=F)]),
    Case("IsNaN", 13, [SPECIAL]),
    Case("IsInf", 20, [SPECIAL]),
    Case("IsInf", 20, [SPECIAL], {"detect_negative": 0}),
    Case("IsInf", 20, [SPECIAL], {"detect_positive": 0}),
    Case("Celu", 12, [FINITE], {"alpha": 2.0}),
    Case("Elu", 13, [FINITE], {"alpha": 0.3}),
    Case("LeakyRelu", 16, [FINITE], {"alpha": 0.3}),
    Case("HardSigmoid", 13, [FINITE], {"alpha": 0.3, "beta": 0.4}),
    Case("HardSwish", 14, [FINITE]),
    Case("Mish", 18, [FINITE]),
    Case("ThresholdedRelu", 10, [FINITE], {"alpha": 0.6}),
    Case("Shrink", 9, [FINITE], {"lambd": 0.7, "bias": 0.2}),
    Case("Gelu", 20, [FINITE], atol=2e-6),
    Case("Gelu", 20, [FINITE], {"approximate": "tanh"}, atol=2e-6),
    Case("PRelu", 16, [(2, 3, 4), (3, 1)]),
    Case("Add", 14, [(2, 3, 5), (3, 1)]),
    Case("Sub", 14, [(3, 1), (2, 1, 5)]),
    Case("Mul", 14, [(2, 3), ()], note="scalar"),
    Case("Div", 14, [(4, 5), (4, 5)]),
    Case("Div", 14, [SPECIAL, SPECIAL[::-1].copy()], note="special"),
    Case("Div", 14, [INTS, DIVISORS], note="int"),
    Case("Div", 14, [INTS.view(np.uint32), np.abs(DIVISORS).view(np.uint32)], note="unsigned"),
    Case("Mod", 13, [INTS, DIVISORS]),
    Case("Mod", 13, [INTS, DIVISORS], {"fmod": 1}),
    Case("Mod", 13, [np.array([5.3, -5.3, 7, -7, 1e6], F), np.array([2, 2, -3, 0.7, 0.3], F)],
         {"fmod": 1}, note="float"),
    Case("Mod", 13, [np.array([5, 5, np.inf], F), np.array([np.inf, 0, 2], F)],
         {"fmod": 1}, note="special"),
    Case("Pow", 15, [np.abs(FINITE), np.full(11, 1.7, F)]),
    Case("Pow", 15, [FINITE[:9], np.array(2, F)], constants=(1,), note="square"),
    Case("Pow", 15, [np.abs(FINITE[:9]), np.array(0.5, F)], constants=(1,), note="root"),
    Case("Pow", 15, [FINITE[:9], np.array([3], np.int64)], constants=(1,), note="cube"),
    Case("Pow", 15, [INTS, np.array(3, np.int32)], note="int"),
    Case("Max", 13, [SPECIAL, SPECIAL[::-1].copy()]),
    Case("Min", 13, [SPECIAL, SPECIAL[::-1].copy()]),
    Case("Max", 13, [(3, 1), (1, 4), (3, 4)], note="three"),
    Case("Max", 13, [INTS, DIVISORS], note="int"),
    Case("Sum", 13, [(3, 1), (1, 4), (3, 4)]),
    Case("Mean", 13, [(3, 1), (1, 4), (3, 4)]),
    Case("And", 7, [BOOLS, OTHER]),
    Case("Or", 7, [BOOLS, OTHER]),
    Case("Xor", 7, [BOOLS, OTHER]),
    Case("Not", 1, [BOOLS]),
    Case("Equal", 13, [INTS, DIVISORS]),
    Case("Equal", 13, [SPECIAL, SPECIAL], note="float"),
    Case("Greater", 13, [SPECIAL, SPECIAL[::-1].copy()]),
    Case("Less", 13, [SPECIAL, SPECIAL[::-1].copy()]),
    Case("GreaterOrEqual", 16, [(3, 4), (4,)]),
    Case("LessOrEqual", 16, [(3, 4), (4,)]),
    Case("BitShift", 11, [np.array([1, 7, 255], np.uint8), np.array([1, 2, 7], np.uint8)],
         {"direction": "LEFT"}),
    Case("BitShift", 11, [np.array([1, 7, 255], np.uint32), np.array([1, 2, 7], np.uint32)],
         {"direction": "RIGHT"}),
    Case("BitwiseAnd", 18, [INTS, DIVISORS]),
    Case("BitwiseOr", 18, [INTS, DIVISORS]),
    Case("BitwiseXor", 18, [INTS, DIVISORS]),
    Case("BitwiseNot", 18, [INTS]),
    Case("Where", 16, [BOOLS, (3, 4), (4,)]),
    Case("Clip", 6, [(3, 7)], {"min": -0.5, "max": 0.25}),
    Case("Clip", 6, [(3, 7)], {"max": 0.25}),
    Case("Clip", 13, [SPECIAL, LOW, HIGH], constants=(1, 2)),
    Case("Clip", 13, [FINITE, None, HIGH], constants=(2,), note="no minimum"),
    Case("Clip", 13, [(3, 7), LOW, HIGH], note="computed bounds"),
    Case("Clip", 13, [(3, 7), np.array(np.nan, F), HIGH], note="computed NaN"),
    Case("Clip", 13, [(3, 7), LOW, np.array(np.nan, F)], constants=(1, 2), note="NaN"),
    Case("Clip", 13, [INTS, np.array(-3, np.int32), np.array(5, np.int32)], constants=(1, 2),
         note="int"),
    Case("Cast", 13, [FINITE], {"to": 6}),
    Case("Cast", 13, [FINITE], {"to": 11}),
    Case("Cast", 13, [FINITE], {"to": 9}),
    Case("Cast", 13, [INTS], {"to": 1}),
    Case("Cast", 13, [BOOLS], {"to": 7}),
    Case("CastLike", 15, [FINITE, INTS]),
    Case("BitCast", 26, [SPECIAL], {"to": 6}),
    Case("BitCast", 26, [INTS.astype(np.int64)], {"to": 11}, note="double"),
    Case("BitCast", 26, [INTS.astype(np.int8)], {"to": 2}, note="bytes"),
    Case("Relu", 14, [INTS], note="int"),
    Case("Sign", 13, [INTS], note="int"),
    Case("Abs", 13, [INTS], note="int"),
    Case("Identity", 16, [(3, 4)]),
    Case("Dropout", 13, [(3, 4)], outputs=2),
    Case("Gelu", 13, [FINITE], domain="com.microsoft", atol=2e-6),
    Case("QuickGelu", 13, [FINITE], domain="com.microsoft", atol=2e-6),
    Case("FastGelu", 13, [(3, 4), (4,)], domain="com.microsoft", atol=2e-6),
    Case("BiasGelu", 13, [(3, 4), (4,)], domain="com.microsoft", atol=2e-6),
]  # fmt: skip


@pytest.mark.parametrize("case", CASES, ids=str)
def test_matches_onnx_runtime(case):
    check(case)
