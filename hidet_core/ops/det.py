"""det(x[..., n, n]) -> [...]: determinants of small matrices, expanded by minors.

n is at most MOST_ROWS: the number of products grows as 2 ** n, and larger matrices need pivots to
stay accurate.
"""

from __future__ import annotations

from functools import cache

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Expr
from hidet_core.ir.widen import narrowed, wide_load

from .registry import Attrs, Types, operator

MOST_ROWS = 4


def _infer(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    rows = x.shape[-1] if x.rank >= 2 else 0
    fits = isinstance(rows, int) and 1 <= rows <= MOST_ROWS and x.shape[-2] == rows
    if not fits or not x.dtype.is_float:
        raise Unsupported("det", f"expected matrices of at most {MOST_ROWS} rows, got {x}")
    return TensorType(x.dtype, x.shape[:-2])


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    (x,) = inputs
    rows = int(x.shape[-1])

    def value(*at: Expr) -> Expr:
        @cache
        def minor(columns: tuple[int, ...]) -> Expr:
            """The determinant of these columns of the last rows."""
            row = rows - len(columns)
            total = wide_load(x, *at, row, columns[0])
            if len(columns) == 1:
                return total
            total = total * minor(columns[1:])
            for place, column in enumerate(columns[1:], 1):
                rest = minor((*columns[:place], *columns[place + 1 :]))
                term = wide_load(x, *at, row, column) * rest
                total = total - term if place % 2 else total + term
            return total

        return narrowed(minor(tuple(range(rows))), out.dtype)

    return (compute("det", out.dtype, out.shape, value),)


operator("det", "injective", _infer, _define)
