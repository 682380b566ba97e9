"""Arrays of 16-bit floats: as float32, and back with one rounding to nearest even.

NumPy has no bfloat16; such arrays are records of their bits (`DType.numpy`).
"""

from __future__ import annotations

from typing import Any

import numpy as np

from .dtypes import DType, bf16, from_numpy


def single(array: Any) -> np.ndarray:
    """The values of an array of 16-bit floats as float32; any other array as it is."""
    array = np.asarray(array)
    dtype = from_numpy(array.dtype)
    if dtype is None or not dtype.is_half:
        return array
    if dtype.name == "f16":
        return array.astype(np.float32)
    return from_bits(array["bf16"])


def from_bits(bits: Any) -> np.ndarray:
    """bfloat16 given by its bits (uint16) as float32."""
    return (np.asarray(bits).astype(np.uint32) << np.uint32(16)).view(np.float32)


def to_bits(values: Any) -> np.ndarray:
    """Numbers as the bits of the nearest bfloat16 (uint16); NaN stays NaN."""
    with np.errstate(over="ignore"):
        values = np.asarray(values, np.float32)
    bits = values.view(np.uint32).astype(np.uint64)
    nearest = (bits + 0x7FFF + (bits >> 16 & 1)) >> 16
    quiet = bits >> 16 | 0x40
    return np.where(np.isnan(values), quiet, nearest).astype(np.uint16)


def as_dtype(values: Any, dtype: DType) -> np.ndarray:
    """Numbers as an array of dtype, floats rounded to nearest even."""
    values = single(values)
    if dtype.scalar == bf16:
        return to_bits(values).view(dtype.numpy)
    with np.errstate(over="ignore"):
        return values.astype(dtype.numpy, copy=False)
