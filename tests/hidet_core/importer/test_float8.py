"""Casts to floats of 8 bits and back against ONNX Runtime: every value, ties, too large ones."""

import numpy as np
import pytest
from onnx import TensorProto, helper

from hidet_core.base.errors import Unsupported
from hidet_core.compute.types import TensorType
from hidet_core.graph.builder import GraphBuilder
from hidet_core.ir.dtypes import FLOAT8
from tests.hidet_core.importer.one_node import compare


def interesting(dtype):
    """Every number of the type, those half way to the next, and their neighbours."""
    widths = {"f8e4m3fn": (3, 7), "f8e4m3fnuz": (3, 8), "f8e5m2": (2, 15), "f8e5m2fnuz": (2, 16)}
    mantissa, bias = widths[dtype.name]
    codes = np.arange(128 + (1 << mantissa))
    exponent, rest = codes >> mantissa, codes & (1 << mantissa) - 1
    tiny = exponent == 0
    size = np.ldexp(rest + (~tiny << mantissa), np.where(tiny, 1, exponent) - bias - mantissa)
    ties = (size[1:] + size[:-1]) / 2
    sizes = np.concatenate([size, ties]).astype(np.float32)
    sizes = np.concatenate([sizes, np.nextafter(sizes, 0), np.nextafter(sizes, np.inf, dtype="f4")])
    sizes = np.concatenate([sizes, np.array([np.inf, np.nan, 1e30, 1e-30], np.float32)])
    return np.concatenate([sizes, -sizes]).astype(np.float32)


def round_trip(dtype, saturate, source=TensorProto.FLOAT):
    """x -> source -> dtype -> float32."""
    nodes = [
        helper.make_node("Cast", ["x"], ["a"], name="source", to=source),
        helper.make_node("Cast", ["a"], ["b"], name="encode", to=dtype.onnx, saturate=saturate),
        helper.make_node("Cast", ["b"], ["y"], name="decode", to=TensorProto.FLOAT),
    ]
    graph = helper.make_graph(
        nodes,
        "float8",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n"])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["n"])],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 19)], ir_version=10)


@pytest.mark.parametrize("saturate", [0, 1])
@pytest.mark.parametrize("dtype", FLOAT8, ids=str)
def test_round_trips(dtype, saturate):
    with np.errstate(over="ignore"):
        x = interesting(dtype)
    if not saturate:  # there ONNX Runtime gives the largest number or NaN, against ONNX's table
        low, high = {"f8e4m3fn": (480, 496), "f8e5m2": (61440, 65536)}.get(dtype.name, (0, 0))
        x = x[(np.abs(x) < low) | (np.abs(x) >= high)]
    compare(round_trip(dtype, saturate), {"x": x}, rtol=0, atol=0)


def test_of_half_precision():
    x = interesting(FLOAT8[0])
    with np.errstate(over="ignore"):
        x = x.astype(np.float16).astype(np.float32)
    compare(round_trip(FLOAT8[0], 1, TensorProto.FLOAT16), {"x": x}, rtol=0, atol=0)


def test_nothing_is_computed_in_8_bits():
    builder = GraphBuilder("net")
    x = builder.input("x", TensorType(FLOAT8[0], (3,)))
    with pytest.raises(Unsupported, match="not computed with"):
        builder.emit("add", x, x)
