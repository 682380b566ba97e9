"""The dtypes of products that are summed: 8-bit integers in i32, 16-bit floats in f32."""

from __future__ import annotations

from hidet_core.ir.dtypes import DType, i32
from hidet_core.ir.expr import Expr, cast
from hidet_core.ir.widen import wide


def product_type(dtype: DType) -> DType:
    """The dtype of a contraction of operands of a dtype."""
    return i32 if dtype.is_byte else dtype


def factor(value: Expr) -> Expr:
    """An operand in the dtype in which products are summed."""
    return cast(value, i32) if value.dtype.is_byte else wide(value)
