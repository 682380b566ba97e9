"""Matrix products, reductions, softmax and normalisation against ONNX Runtime."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import bf16
from hidet_core.ir.halves import as_dtype
from tests.hidet_core.importer.one_node import Case, check, compare, import_model


def ints(*values):
    return np.array(values, np.int64)


POSITIVE = np.random.default_rng(1).random((3, 4, 5), np.float32) + 0.1
COUNTED = np.arange(24, dtype=np.int32).reshape(2, 3, 4) - 11
TIES = np.array([[3, 1, 3, 0], [-2, -2, -5, -2]], np.float32)
X4 = (2, 6, 3, 4)
DOUBLE = np.random.default_rng(2).standard_normal((2, 3, 8))
LOOSE = {"rtol": 1e-4, "atol": 1e-5}

PRODUCTS = [
    Case("MatMul", 13, [(3, 5), (5, 4)]),
    Case("MatMul", 13, [(2, 1, 3, 5), (4, 5, 6)], note="batch"),
    Case("MatMul", 13, [(5,), (5, 4)], note="row"),
    Case("MatMul", 13, [(2, 3, 5), (5,)], note="column"),
    Case("MatMul", 13, [(5,), (5,)], note="dot"),
    Case("MatMul", 13, [(5,), (2, 5, 3)], note="row, batch"),
    Case("Gemm", 13, [(3, 5), (5, 4), (4,)]),
    Case("Gemm", 13, [(5, 3), (4, 5), (3, 1)], {"transA": 1, "transB": 1, "alpha": 0.5}),
    Case("Gemm", 13, [(3, 5), (5, 4), ()], {"beta": 2.0, "alpha": 3.0}, (1, 2)),
    Case("Gemm", 13, [(3, 5), (4, 5)], {"transB": 1}, (1,)),
    Case("Gemm", 13, [(3, 5), (5, 4), (3, 4)], {"beta": 0.0}),
    Case("Gemm", 9, [(3, 5), (5, 4), (1, 4)], constants=(1, 2)),
    Case("FusedMatMul", 13, [(2, 5, 3), (2, 4, 5)], {"transA": 1, "transB": 1, "alpha": 0.3},
         domain="com.microsoft"),
]  # fmt: skip

NAMES = ["ReduceSum", "ReduceMean", "ReduceMax", "ReduceMin", "ReduceProd", "ReduceL1"]
NAMES += ["ReduceL2", "ReduceSumSquare", "ReduceLogSum", "ReduceLogSumExp"]
REDUCTIONS = [
    *(Case(name, 11, [POSITIVE], {"axes": [-1, 0], "keepdims": 0}) for name in NAMES),
    *(Case(name, 18, [POSITIVE, ints(1)], constants=(1,)) for name in NAMES),
    *(Case(name, 18, [POSITIVE], {"keepdims": 0}, note="all") for name in NAMES[:4]),
    Case("ReduceSum", 13, [(3, 4, 5), ints(-2)], {"keepdims": 0}, (1,)),
    Case("ReduceSum", 13, [(3, 4, 5)], {"noop_with_empty_axes": 1}),
    *(Case(name, 18, [np.array(1.5, np.float32)], note="scalar") for name in NAMES[5:]),
    *(Case(name, 18, [POSITIVE], {"noop_with_empty_axes": 1}) for name in NAMES[5:]),
    Case("ReduceMean", 18, [COUNTED, ints(2)], constants=(1,), note="int"),
    Case("ReduceMax", 18, [COUNTED, ints(0)], constants=(1,), note="int"),
    Case("ReduceMax", 20, [COUNTED > 5, ints(0)], constants=(1,), note="bool"),
    Case("ReduceMin", 20, [COUNTED > 5], {"keepdims": 0}, note="bool"),
    Case("ReduceLogSumExp", 13, [np.array([[1000, 1001], [-1000, 3]], np.float32)],
         {"axes": [1]}, note="large"),
    Case("ArgMax", 13, [(3, 4, 5)], {"axis": 1}),
    Case("ArgMax", 13, [TIES], {"axis": -1, "keepdims": 0}),
    Case("ArgMax", 13, [TIES], {"axis": -1, "select_last_index": 1}),
    Case("ArgMin", 13, [TIES], {"axis": 1}),
    Case("ArgMin", 13, [COUNTED], {"axis": 0, "keepdims": 0}, note="int"),
]  # fmt: skip

ROWS = [
    *(
        Case(op, opset, [(2, 3, 4, 5)], attrs)
        for op in ("Softmax", "LogSoftmax")
        for opset in (11, 13)
        for attrs in ({}, {"axis": 1}, {"axis": -1}, {"axis": 2}, {"axis": 0})
    ),
    Case("Softmax", 13, [np.array([[1000, 999, -1000]], np.float32)], note="large"),
    Case("Softmax", 11, [(1, 9, 1, 1)], {"axis": 1}, note="squeezenet"),
    Case("LayerNormalization", 17, [(2, 3, 8), (8,), (8,)], **LOOSE),
    Case("LayerNormalization", 17, [(2, 3, 8), (8,)], {"epsilon": 0.1}, **LOOSE),
    Case("LayerNormalization", 17, [(2, 3, 8), (3, 8), (3, 8)], {"axis": 1}, **LOOSE),
    Case("LayerNormalization", 17, [(2, 3, 8), (1, 8), (3, 8)], {"axis": 1}, **LOOSE,
         note="broadcast"),
    Case("LayerNormalization", 17, [(2, 3, 8), (8,), (8,)], outputs=3, **LOOSE),
    Case("LayerNormalization", 17, [DOUBLE, DOUBLE[0, 0]], {"axis": 1}, outputs=3, **LOOSE),
    Case("SimplifiedLayerNormalization", 13, [DOUBLE, DOUBLE[0, 0]], {"axis": -1}, outputs=2,
         **LOOSE),
    Case("RMSNormalization", 23, [(2, 3, 8), (8,)], **LOOSE),
    Case("SimplifiedLayerNormalization", 13, [(2, 3, 8), (8,)], {"axis": -1}, **LOOSE),
    Case("SkipLayerNormalization", 13, [(2, 3, 8), (2, 3, 8), (8,), (8,), (8,)],
         domain="com.microsoft", **LOOSE),
    Case("InstanceNormalization", 6, [X4, (6,), (6,)], **LOOSE),
    Case("InstanceNormalization", 6, [(2, 6, 5), (6,), (6,)], {"epsilon": 0.1}, **LOOSE),
    Case("GroupNormalization", 21, [X4, (6,), (6,)], {"num_groups": 3}, **LOOSE),
    Case("MeanVarianceNormalization", 13, [X4], **LOOSE),
    Case("LpNormalization", 1, [(3, 5)], {"axis": 0}),
    Case("LpNormalization", 1, [np.zeros((2, 3), np.float32)], {"p": 1}),
    Case("BatchNormalization", 9, [X4, (6,), (6,), (6,), np.full(6, 0.7, np.float32)],
         {"epsilon": 0.01}, (1, 2, 3, 4)),
    Case("BatchNormalization", 15, [X4, (6,), (6,), (6,), np.full(6, 0.7, np.float32)]),
    Case("BatchNormalization", 15, [X4, (6,), (6,), (6,), np.full(6, 0.7, np.float32)],
         {"training_mode": 1, "momentum": 0.8}, outputs=3, **LOOSE),
    Case("BatchNormalization", 15, [(4, 6), (6,), (6,), (6,), np.full(6, 0.7, np.float32)],
         constants=(1, 2, 3, 4), note="two dims"),
]  # fmt: skip


@pytest.mark.parametrize("case", [*PRODUCTS, *REDUCTIONS, *ROWS], ids=str)
def test_matches_onnx_runtime(case):
    check(case)


@pytest.mark.parametrize("outputs", [["y", "", "", "s"], ["y"]], ids=len)
def test_the_residual_sum_of_a_skip_layer_norm(outputs):
    """Its fourth output; what is between them may be left out."""
    inputs = ["x", "skip", "scale", "shift"]
    node = helper.make_node(
        "SkipLayerNormalization", inputs, outputs, domain="com.microsoft", epsilon=1e-5
    )
    rng = np.random.default_rng(5)
    shapes = dict(zip(inputs, [(2, 3, 8), (2, 3, 8), (8,), (8,)], strict=True))
    feeds = {key: rng.standard_normal(s).astype(np.float32) for key, s in shapes.items()}
    infos = [helper.make_tensor_value_info(k, 1, s) for k, s in shapes.items()]
    results = [helper.make_tensor_value_info(k, 1, (2, 3, 8)) for k in outputs if k]
    graph = helper.make_graph([node], "g", infos, results)
    opsets = [helper.make_opsetid("", 17), helper.make_opsetid("com.microsoft", 1)]
    compare(helper.make_model(graph, opset_imports=opsets, ir_version=10), feeds)


def test_bfloat16_constants():
    """As onnx has them, in the dtype of ml_dtypes."""
    half = helper.make_tensor("w", TensorProto.BFLOAT16, [3], [1.5, -2.0, 3.25])
    nodes = [
        helper.make_node("Add", ["x", "w"], ["h"]),
        helper.make_node("Cast", ["h"], ["y"], to=TensorProto.FLOAT),
    ]
    x = helper.make_tensor_value_info("x", TensorProto.BFLOAT16, [3])
    y = helper.make_tensor_value_info("y", TensorProto.FLOAT, [3])
    model = helper.make_model(
        helper.make_graph(nodes, "g", [x], [y], [half]), opset_imports=[helper.make_opsetid("", 17)]
    )
    feeds = {"x": as_dtype([1.0, 2.0, 4.0], bf16)}
    for graph in import_model(model):
        np.testing.assert_array_equal(run_graph(graph, feeds)["y"], [2.5, 0.0, 7.25])
