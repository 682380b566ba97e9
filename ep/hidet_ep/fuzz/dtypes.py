"""Element types by short names (f32, i8, ..), and arrays of them. bf16 arrays are uint16 bits."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from onnx import TensorProto


@dataclass(frozen=True)
class Kind:
    """onnx: TensorProto.DataType. limit: magnitudes a fuzzed value may have; unit: half an ulp of
    1, 0 for what is exact."""

    onnx: int
    numpy: type
    low: float
    high: float
    unit: float = 0.0


KINDS = {
    "f32": Kind(TensorProto.FLOAT, np.float32, -1e4, 1e4, 2.0**-24),
    "f64": Kind(TensorProto.DOUBLE, np.float64, -1e4, 1e4, 2.0**-53),
    "f16": Kind(TensorProto.FLOAT16, np.float16, -500.0, 500.0, 2.0**-11),
    "bf16": Kind(TensorProto.BFLOAT16, np.uint16, -1e4, 1e4, 2.0**-8),
    "i8": Kind(TensorProto.INT8, np.int8, -128, 127),
    "i16": Kind(TensorProto.INT16, np.int16, -(1 << 15), (1 << 15) - 1),
    "i32": Kind(TensorProto.INT32, np.int32, -(1 << 24), 1 << 24),
    "i64": Kind(TensorProto.INT64, np.int64, -(1 << 24), 1 << 24),
    "u8": Kind(TensorProto.UINT8, np.uint8, 0, 255),
    "u16": Kind(TensorProto.UINT16, np.uint16, 0, (1 << 16) - 1),
    "u32": Kind(TensorProto.UINT32, np.uint32, 0, 1 << 24),
    "u64": Kind(TensorProto.UINT64, np.uint64, 0, 1 << 24),
    "b": Kind(TensorProto.BOOL, np.bool_, 0, 1),
}
BY_ONNX = {kind.onnx: name for name, kind in KINDS.items()}
FLOATS = ("f32", "f64", "f16", "bf16")
SIGNED = ("i8", "i16", "i32", "i64")
UNSIGNED = ("u8", "u16", "u32", "u64")
INTS = (*SIGNED, *UNSIGNED)
ALL = (*FLOATS, *INTS, "b")


def is_float(dtype: str) -> bool:
    return dtype in FLOATS


def is_half(dtype: str) -> bool:
    return dtype in ("f16", "bf16")


def as_dtype(array: np.ndarray, dtype: str) -> np.ndarray:
    """A float64 or int64 array as `dtype`; bf16: bits, rounded to nearest even."""
    array = np.asarray(array)
    with np.errstate(over="ignore", under="ignore"):
        if dtype != "bf16":
            return array.astype(KINDS[dtype].numpy)
        bits = array.astype(np.float32).view(np.uint32).astype(np.uint64)
    bits = np.where(np.isnan(array), np.uint64(0x7FC00000), bits)
    rounded = (bits + 0x7FFF + ((bits >> np.uint64(16)) & np.uint64(1))) >> np.uint64(16)
    return rounded.astype(np.uint16)
