"""append_rows(past[..., P, D], new[..., S, D], start[B]): new rows written into a cache, of each
batch at a place of its own.

    result[b, ..., j, :] = new[b, ..., j - start[b], :]   where start[b] <= j < start[b] + S
                           past[b, ..., j, :]             elsewhere

attrs: size, the rows of the result. Rows that neither has are those of the past clamped into it
(undefined in ONNX Runtime); start is an integer of any width.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import dim_expr, same_shape
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Expr, both, cast, load, maximum, minimum, select

from .registry import Attrs, Types, operator


def _infer(types: Types, attrs: Attrs) -> TensorType:
    past, new, start = types
    shown = ", ".join(map(str, types))
    if past.rank < 3 or past.rank != new.rank or past.dtype != new.dtype or start.rank != 1:
        raise Unsupported("append_rows", f"expected two caches and a vector, got {shown}")
    others = [(*t.shape[:-2], t.shape[-1]) for t in (past, new)]
    if not same_shape(*others) or not same_shape(start.shape, past.shape[:1]):
        raise Unsupported("append_rows", f"the rows do not fit the cache: {shown}")
    if not start.dtype.is_int:
        raise Unsupported("append_rows", f"expected integers, got {start}")
    return tensor_type(past.dtype, (*past.shape[:-2], attrs["size"], past.shape[-1]))


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    past, new, start = inputs

    def value(*axes: Expr) -> Expr:
        *batch, row, column = axes
        after = row - cast(load(start, batch[0]), i64)
        rows = dim_expr(new.shape[-2])
        fresh = load(new, *batch, minimum(maximum(after, 0), rows - 1), column)
        old = load(past, *batch, minimum(row, dim_expr(past.shape[-2]) - 1), column)
        return select(both(after >= 0, after < rows), fresh, old)

    return (compute("append_rows", out.dtype, out.shape, value),)


operator("append_rows", "injective", _infer, _define)
