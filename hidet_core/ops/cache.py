"""Caches of keys and values that grow, each in one kernel with what makes the new rows.

append(past, new): new behind past along an axis; attrs: axis. What concat says too, which is no
kernel: its inputs are stored where they are in its output, inputs of the graph by copies.

append_rows(past[..., P, D], new[..., S, D], start[B]): new rows written into a cache, of each
batch at a place of its own.

    result[b, ..., j, :] = new[b, ..., j - start[b], :]   where start[b] <= j < start[b] + S
                           past[b, ..., j, :]             elsewhere

attrs: size, the rows of the result. Rows that neither has are 0 (ONNX Runtime leaves them
undefined). A past may have no rows at all, so what is not there is not read.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import dim_expr, same_shape
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Expr, Load, both, cast, load, select

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


def _load_if(there: Expr, buffer: Buffer, *indices: Expr) -> Expr:
    """An element, 0 where it is not there."""
    return Load(buffer, indices, buffer.dtype, there)


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    past, new, start = inputs

    def value(*axes: Expr) -> Expr:
        *batch, row, column = axes
        after = row - cast(load(start, batch[0]), i64)
        rows = dim_expr(new.shape[-2])
        is_new = both(after >= 0, after < rows)
        fresh = _load_if(is_new, new, *batch, after, column)
        old = _load_if(row < dim_expr(past.shape[-2]), past, *batch, row, column)
        return select(is_new, fresh, old)

    return (compute("append_rows", out.dtype, out.shape, value),)


operator("append_rows", "injective", _infer, _define)


def _infer_append(types: Types, attrs: Attrs) -> TensorType:
    past, new = types
    axis = attrs["axis"]
    rest = [t.shape[:axis] + t.shape[axis + 1 :] for t in types]
    if past.rank != new.rank or past.dtype != new.dtype or not same_shape(*rest):
        raise Unsupported("append", f"{past} and {new} differ in more than axis {axis}")
    rows = past.shape[axis] + new.shape[axis]
    return tensor_type(past.dtype, (*past.shape[:axis], rows, *past.shape[axis + 1 :]))


def _define_append(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (past, new), axis = inputs, attrs["axis"]

    def value(*axes: Expr) -> Expr:
        before, row, after = axes[:axis], axes[axis], axes[axis + 1 :]
        rows = dim_expr(past.shape[axis])
        old = _load_if(row < rows, past, *axes)
        return select(row < rows, old, _load_if(row >= rows, new, *before, row - rows, *after))

    return (compute("append", out.dtype, out.shape, value),)


operator("append", "injective", _infer_append, _define_append)
