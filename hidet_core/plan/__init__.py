"""The plan: what the compiler hands to the native runtime, as plain data and as bytes.

In: kernels, buffers and launches with sizes over symbolic dims. Out: bytes for
`hidet_core._runtime` and the plugin. The bytes and a list of constant arrays are all that native
execution needs (design.md section 8).
"""

from .memory import lifetimes
from .model import (
    Argument,
    Buffer,
    BufferKind,
    Dim,
    KernelCode,
    Launch,
    Plan,
    SizeCheck,
    TensorMap,
    TensorSpec,
)
from .serialize import deserialize, serialize

__all__ = [
    "Argument",
    "Buffer",
    "BufferKind",
    "Dim",
    "KernelCode",
    "Launch",
    "Plan",
    "SizeCheck",
    "TensorMap",
    "TensorSpec",
    "deserialize",
    "lifetimes",
    "serialize",
]
