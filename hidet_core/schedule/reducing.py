"""What a Reduce of a definition computes, for the templates of all targets: its neutral element,
one step, and a definition's value with parts of it known.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import (
    Buffer,
    Const,
    Expr,
    Load,
    Reduce,
    Select,
    Var,
    binary,
    select,
    unary,
)
from hidet_core.ir.node import rewrite, walk
from hidet_core.ir.substitute import substitute

# operators whose definitions the rule-based schedules of reductions take
GENERIC = (
    "reduce", "arg_reduce", "conv2d", "conv3d", "matmul", "matmul_nbits", "pool2d",
    "pool_positions", "lrn", "resample_long", "roi_align", "max_roi_pool", "col2im",
)  # fmt: skip
_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}


def identity(op: str, dtype: DType) -> Const:
    """The neutral element of a reduction."""
    lowest = -math.inf if dtype.is_float else (-(1 << dtype.bits - 1) if dtype.kind == "i" else 0)
    highest = math.inf if dtype.is_float else (1 << dtype.bits - (dtype.kind == "i")) - 1
    values = {"sum": 0, "prod": 1, "max": lowest, "min": highest, "any": False, "all": True}
    value = values[op]
    return Const(float(value) if dtype.is_float else value, dtype)


def combine(op: str, a: Expr, b: Expr) -> Expr:
    """One step of a reduction from the total a so far. max and min keep NaN, as NumPy and ONNX
    Runtime do: the comparison lets a NaN in, the outer select keeps it.
    """
    if op in ("max", "min") and a.dtype.is_float:
        better = binary("gt" if op == "max" else "lt", a, b)
        return select(unary("isnan", a), a, select(better, a, b))
    return binary(_COMBINE[op], a, b)


def find_reduce(value: Expr) -> Reduce | None:
    """The Reduce of a definition's value, None if it has none."""
    return next((node for node in walk(value) if isinstance(node, Reduce)), None)


def instantiate(value: Expr, axes: Mapping[Var, Expr], known: Mapping[Buffer, Expr]) -> Expr:
    """value with its axes replaced, and loads of intermediate buffers by what is known of them at
    this point.
    """
    body = rewrite(value, lambda node: known.get(node.buffer) if isinstance(node, Load) else None)
    return substitute(body, axes, fresh=True)


def with_total(value: Expr, node: Reduce, total: Expr) -> Expr:
    """value with its Reduce replaced by the reduced total."""
    return rewrite(value, lambda other: total if other is node else None)


def inside_term(node: Reduce, element: Expr) -> Expr:
    """What is reduced, for an element inside the image (a window's select for padding is decided);
    `element` is what is loaded there.
    """
    value = node.value.a if isinstance(node.value, Select) else node.value
    found = next(load for load in walk(value) if isinstance(load, Load))
    return rewrite(value, lambda other: element if other is found else None)
