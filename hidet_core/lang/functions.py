"""Values in the language: the element types, casts, elementary functions.

Python numbers stand for constants everywhere. Functions of floats keep the dtype of their argument.
"""

from __future__ import annotations

from typing import Any

from hidet_core.ir import dtypes as D
from hidet_core.ir.expr import Expr, binary, unary
from hidet_core.ir.expr import cast as _cast

from .language import TensorType

f16, bf16 = TensorType(D.f16), TensorType(D.bf16)
f32, f64 = TensorType(D.f32), TensorType(D.f64)
i8, i16, i32, i64 = TensorType(D.i8), TensorType(D.i16), TensorType(D.i32), TensorType(D.i64)
u8, u16, u32, u64 = TensorType(D.u8), TensorType(D.u16), TensorType(D.u32), TensorType(D.u64)
boolean = TensorType(D.boolean)


def cast(a: Any, dtype: Any) -> Expr:
    """a as another dtype: f32, or its name. Floats are cut to ints, anything but 0 is true."""
    return _cast(a, dtype.dtype if isinstance(dtype, TensorType) else D.dtype(dtype))


def ceildiv(a: Any, b: Any) -> Any:
    """a / b rounded up; an int for ints."""
    return (a + b - 1) // b if isinstance(a, Expr) or isinstance(b, Expr) else -(-a // b)


def either(a: Any, b: Any) -> Expr:
    """Logical or of two conditions (`a | b`)."""
    return binary("or", a, b)


def invert(a: Any) -> Expr:
    """Logical not of a condition (`~a`)."""
    return unary("not", a)


def absolute(a: Any) -> Expr:
    """|a|."""
    return unary("abs", a)


def exp(a: Any) -> Expr:
    """e to the power a."""
    return unary("exp", a)


def log(a: Any) -> Expr:
    """The natural logarithm."""
    return unary("log", a)


def sqrt(a: Any) -> Expr:
    """The square root."""
    return unary("sqrt", a)


def rsqrt(a: Any) -> Expr:
    """1 / sqrt(a)."""
    return unary("rsqrt", a)


def tanh(a: Any) -> Expr:
    """The hyperbolic tangent."""
    return unary("tanh", a)


def sigmoid(a: Any) -> Expr:
    """1 / (1 + exp(-a))."""
    return unary("sigmoid", a)


def erf(a: Any) -> Expr:
    """The error function."""
    return unary("erf", a)


def sin(a: Any) -> Expr:
    """The sine, of radians."""
    return unary("sin", a)


def cos(a: Any) -> Expr:
    """The cosine, of radians."""
    return unary("cos", a)


def floor(a: Any) -> Expr:
    """Rounded down, as a float."""
    return unary("floor", a)


def ceil(a: Any) -> Expr:
    """Rounded up, as a float."""
    return unary("ceil", a)


def power(a: Any, b: Any) -> Expr:
    """a to the power b, of one dtype."""
    return binary("pow", a, b)
