"""matmul: a[..., M, K] times b[..., K, N], batch dims broadcast as in NumPy. No attributes.

Operands have at least two dims (the importer reshapes vectors) and one dtype, or 8 bits each.
16-bit floats are accumulated in f32; 8-bit integers, signed or not, give i32.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import same_dim
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Expr, is_const, load
from hidet_core.ir.widen import narrowed

from .elementwise import broadcast_shapes
from .products import factor, product_type
from .registry import Attrs, Types, operator


def _infer(types: Types, attrs: Attrs) -> TensorType:
    a, b = types
    fits = a.dtype == b.dtype or (a.dtype.is_byte and b.dtype.is_byte)
    if a.rank < 2 or b.rank < 2 or not fits or not same_dim(a.shape[-1], b.shape[-2]):
        raise Unsupported(
            "matmul", f"expected [..., M, K] and [..., K, N] of one dtype, got {a} and {b}"
        )
    batch = broadcast_shapes("matmul", a.shape[:-2], b.shape[:-2])
    return TensorType(product_type(a.dtype), (*batch, a.shape[-2], b.shape[-1]))


def _batch(buffer: Buffer, axes: tuple[Expr, ...]) -> list[Expr | int]:
    """Indices of the buffer's batch dims at the output's index."""
    offset = len(axes) - len(buffer.shape)
    return [0 if is_const(dim, 1) else axes[k + offset] for k, dim in enumerate(buffer.shape[:-2])]


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    a, b = inputs

    def value(*axes: Expr) -> Expr:
        def term(k: Expr) -> Expr:
            left = factor(load(a, *_batch(a, axes), axes[-2], k))
            return left * factor(load(b, *_batch(b, axes), k, axes[-1]))

        return narrowed(reduce_over("sum", (a.shape[-1],), term), out.dtype)

    return (compute("matmul", out.dtype, out.shape, value),)


operator("matmul", "anchor", _infer, _define)
