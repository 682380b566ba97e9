"""Indices that are data: those of gathers and scatters."""

from __future__ import annotations

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Expr, cast, maximum, minimum, select

from .dims import Dim, dim_expr


def wrapped_index(index: Expr, size: Dim) -> Expr:
    """An index as i64, from the end where negative, clamped into [0, size)."""
    at, extent = cast(index, i64), dim_expr(size)
    return minimum(maximum(select(at < 0, at + extent, at), 0), extent - 1)
