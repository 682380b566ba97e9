"""The table of dtypes, and the ways into it."""

import numpy as np
import onnx
import pytest

from hidet_core.ir.dtypes import ALL, bf16, dtype, f32, from_numpy, from_onnx, i64


@pytest.mark.parametrize("kind", ALL, ids=str)
def test_names_and_numbers_are_those_of_onnx(kind):
    assert dtype(kind.name) is kind
    assert dtype(kind) is kind
    assert from_onnx(kind.onnx) is kind
    names = {"f": "FLOAT", "i": "INT", "u": "UINT", "b": "BOOL"}
    special = {"f32": "FLOAT", "f64": "DOUBLE", "bool": "BOOL", "bf16": "BFLOAT16"}
    if kind.is_float8:
        onnx_name = kind.name.upper().replace("F8", "FLOAT8")
    else:
        onnx_name = special.get(kind.name) or f"{names[kind.kind]}{kind.bits}"
    assert onnx.TensorProto.DataType.Value(onnx_name) == kind.onnx
    assert from_numpy(kind.numpy) is kind
    assert kind.numpy.itemsize == kind.bytes
    assert kind.is_half == (onnx_name in ("FLOAT16", "BFLOAT16"))


def test_lanes():
    vector = f32.vector(8)
    assert str(vector) == "f32x8"
    assert vector.scalar == f32
    assert vector != f32
    assert vector.vector(1) == f32
    assert (vector.bytes, vector.is_float, i64.is_int) == (4, True, True)


def test_what_there_is_not():
    with pytest.raises(KeyError, match="unknown dtype 'f8', known: f32, u8"):
        dtype("f8")
    with pytest.raises(TypeError):  # NumPy has no bfloat16, and no arithmetic of its bits
        np.ones(1, bf16.numpy) + np.ones(1, bf16.numpy)
    assert from_onnx(onnx.TensorProto.STRING) is None
    assert from_numpy(np.dtype("complex64")) is None
