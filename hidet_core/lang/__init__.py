"""The language in which tensor programs are written: schedule templates inside, user kernels
outside (docs/tutorial.md).

@program def scale(x: f32["n"], y: f32["n"]):
    for (block,) in parallel(ceildiv(x.shape[0], 16)):
        for (lane,) in lanes(spatial(16)):
            i = block * 16 + lane
            with when(i < x.shape[0]):
                y[i] = x[i] * 2.0
"""

from typing import Any

from hidet_core.ir import dtypes as _dtypes
from hidet_core.ir.expr import Expr, both, eq, maximum, minimum, ne, select, unary, wrap
from hidet_core.ir.expr import cast as _cast
from hidet_core.mapping import custom, repeat, spatial

from .language import (
    Tensor,
    TensorSpec,
    TensorType,
    build,
    lanes,
    let,
    local,
    loops,
    parallel,
    prefetch,
    program,
    range_,
    register,
    unroll,
    when,
)

f32 = TensorType(_dtypes.f32)
f64 = TensorType(_dtypes.f64)
i32 = TensorType(_dtypes.i32)
i64 = TensorType(_dtypes.i64)
u8 = TensorType(_dtypes.u8)
i8 = TensorType(_dtypes.i8)


def ceildiv(a: Any, b: Any) -> Any:
    """a / b rounded up; an int for ints."""
    return (a + b - 1) // b if isinstance(a, Expr) or isinstance(b, Expr) else -(-a // b)


def cast(a: Any, dtype: Any) -> Expr:
    """a as another dtype: f32, or its name."""
    return _cast(a, dtype.dtype if isinstance(dtype, TensorType) else _dtypes.dtype(dtype))


def exp(a: Any) -> Expr:
    return unary("exp", a)


def tanh(a: Any) -> Expr:
    return unary("tanh", a)


def sqrt(a: Any) -> Expr:
    return unary("sqrt", a)


__all__ = [
    "Tensor",
    "TensorSpec",
    "TensorType",
    "both",
    "build",
    "cast",
    "ceildiv",
    "custom",
    "eq",
    "exp",
    "f32",
    "f64",
    "i8",
    "i32",
    "i64",
    "lanes",
    "let",
    "local",
    "loops",
    "maximum",
    "minimum",
    "ne",
    "parallel",
    "prefetch",
    "program",
    "range_",
    "register",
    "repeat",
    "select",
    "spatial",
    "sqrt",
    "tanh",
    "u8",
    "unroll",
    "when",
    "wrap",
]  # fmt: skip
