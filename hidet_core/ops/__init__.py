"""Operators: shape rule, dtype rule and definition of each; no schedule, no ONNX. Importing this
fills `OPS`."""

from . import (
    activations,
    arithmetic,
    attention,
    cache,
    conv,
    gather,
    layout,
    matmul,
    normalise,
    pool,
    quantization,
    reductions,
    resample,
    rotary,
    scan,
    scatter,
    sort,
    views,
)
from .registry import OPS, OpDef, find_op

__all__ = [
    "OPS",
    "OpDef",
    "activations",
    "arithmetic",
    "attention",
    "cache",
    "conv",
    "find_op",
    "gather",
    "layout",
    "matmul",
    "normalise",
    "pool",
    "quantization",
    "reductions",
    "resample",
    "rotary",
    "scan",
    "scatter",
    "sort",
    "views",
]
