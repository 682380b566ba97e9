"""Data types of tensor elements and of scalar or vector values.

A `DType` is a value: its kind, its width in bits and, for values held in vector registers, its
number of lanes. `onnx` is the number of the element type in ONNX's TensorProto (0 where ONNX has
none).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np


@dataclass(frozen=True)
class DType:
    """kind: 'f' float, 'i' signed, 'u' unsigned, 'b' bool, 'e' a float of 8 bits, which is moved
    and converted but not computed with (compute/float8.py); bits per lane; lanes >= 1.
    """

    name: str
    kind: str
    bits: int
    onnx: int
    lanes: int = 1

    @property
    def bytes(self) -> int:
        """Bytes of one lane in memory (a bool takes one)."""
        return max(self.bits // 8, 1)

    @property
    def is_float(self) -> bool:
        return self.kind == "f"

    @property
    def is_half(self) -> bool:
        """Whether it is a float of 16 bits: f16 or bf16."""
        return self.kind == "f" and self.bits == 16

    @property
    def is_float8(self) -> bool:
        return self.kind == "e"

    @property
    def is_int(self) -> bool:
        return self.kind in "iu"

    @property
    def is_byte(self) -> bool:
        """Whether it is u8 or i8."""
        return self.is_int and self.bits == 8

    @property
    def is_bool(self) -> bool:
        return self.kind == "b"

    @property
    def scalar(self) -> DType:
        return self if self.lanes == 1 else replace(self, lanes=1)

    def vector(self, lanes: int) -> DType:
        return self if self.lanes == lanes else replace(self, lanes=lanes)

    @property
    def numpy(self) -> np.dtype:
        """The NumPy dtype of one element in memory. NumPy has no bfloat16 and no floats of
        8 bits: elements are records of their bits, which move like any others and with which no
        arithmetic works by accident (ir/halves.py converts bfloat16).
        """
        return _NUMPY[self.name]

    def __str__(self) -> str:
        return self.name if self.lanes == 1 else f"{self.name}x{self.lanes}"


f32 = DType("f32", "f", 32, 1)
u8 = DType("u8", "u", 8, 2)
i8 = DType("i8", "i", 8, 3)
u16 = DType("u16", "u", 16, 4)
i16 = DType("i16", "i", 16, 5)
i32 = DType("i32", "i", 32, 6)
i64 = DType("i64", "i", 64, 7)
boolean = DType("bool", "b", 1, 9)
f16 = DType("f16", "f", 16, 10)
f64 = DType("f64", "f", 64, 11)
u32 = DType("u32", "u", 32, 12)
u64 = DType("u64", "u", 64, 13)
bf16 = DType("bf16", "f", 16, 16)
f8e4m3fn = DType("f8e4m3fn", "e", 8, 17)
f8e4m3fnuz = DType("f8e4m3fnuz", "e", 8, 18)
f8e5m2 = DType("f8e5m2", "e", 8, 19)
f8e5m2fnuz = DType("f8e5m2fnuz", "e", 8, 20)

FLOAT8 = (f8e4m3fn, f8e4m3fnuz, f8e5m2, f8e5m2fnuz)
ALL = (f32, u8, i8, u16, i16, i32, i64, boolean, f16, f64, u32, u64, bf16, *FLOAT8)
_NUMPY_CODES: dict[str, Any] = {
    "f32": "f4", "f64": "f8", "f16": "f2", "bool": "?", "i8": "i1", "i16": "i2", "i32": "i4",
    "bf16": [("bf16", "<u2")], "i64": "i8", "u8": "u1", "u16": "u2", "u32": "u4", "u64": "u8",
}  # fmt: skip
_NUMPY_CODES |= {t.name: [(t.name, "u1")] for t in FLOAT8}
_NUMPY = {name: np.dtype(code) for name, code in _NUMPY_CODES.items()}
_BY_NAME = {t.name: t for t in ALL}
_BY_ONNX = {t.onnx: t for t in ALL}
_BY_NUMPY = {kind: _BY_NAME[name] for name, kind in _NUMPY.items()}


# unary operations that take the bits of a value as another type of the same width
BITS = {f"bits_{t.name}": t for t in ALL if not t.is_bool}


def dtype(spec: DType | str) -> DType:
    """The dtype of a name such as "f32" (a DType is returned as it is). Raises KeyError with the
    known names.
    """
    if isinstance(spec, DType):
        return spec
    if spec not in _BY_NAME:
        raise KeyError(f"unknown dtype {spec!r}, known: {', '.join(_BY_NAME)}")
    return _BY_NAME[spec]


def from_onnx(number: int) -> DType | None:
    """The dtype of a TensorProto.DataType number, None where we have none (strings, ...)."""
    return _BY_ONNX.get(number)


def from_numpy(spec: np.dtype) -> DType | None:
    """The dtype of a NumPy dtype, None where we have none."""
    return _BY_NUMPY.get(np.dtype(spec))
