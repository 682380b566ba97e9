"""rotary(x[..., D], cos[..., n], sin[..., n]): the first 2 n elements of each row turned in pairs
(Su et al., 2021: RoFormer), the others as they are.

    (a, b) -> (a cos - b sin, b cos + a sin)

attrs: interleaved (pairs are neighbours; else an element and the one n further); whole, optional:
cos and sin have 2 n columns, one for each element. They broadcast to x but for the last dim; the
maths is in f32 for narrower floats.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import same_dim, same_shape
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Expr, cast, eq, minimum, select
from hidet_core.ir.widen import narrowed, wide_type

from .elementwise import broadcast_load, broadcast_shapes
from .registry import Attrs, Types, operator


def _infer(types: Types, attrs: Attrs) -> TensorType:
    x, cos, sin = types
    shown = ", ".join(map(str, types))
    halves = (cos.shape[-1], sin.shape[-1]) if cos.rank and sin.rank else (0, 0)
    fits = x.rank >= 1 and same_dim(*halves) and {t.dtype.is_float for t in types} == {True}
    width = x.shape[-1] if x.rank else 0
    if not fits or not isinstance(width, int) or not isinstance(halves[0], int):
        raise Unsupported("rotary", f"expected floats with constant widths, got {shown}")
    rows = broadcast_shapes("rotary", *(t.shape[:-1] for t in types))
    turned = halves[0] if attrs.get("whole") else 2 * halves[0]
    if not 0 < turned <= width or turned % 2 or not same_shape(rows, x.shape[:-1]):
        raise Unsupported("rotary", f"cos and sin do not fit x: {shown}")
    return x


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    x, cos, sin = inputs
    columns, width = int(cos.shape[-1]), int(out.shape[-1])  # type: ignore[arg-type]
    half = columns // 2 if attrs.get("whole") else columns
    dtype = wide_type(out.dtype)

    def value(*axes: Expr) -> Expr:
        *rows, at = axes
        if attrs["interleaved"]:
            pair, second = at // 2, eq(at % 2, 1)
            other = select(second, at - 1, at + 1)
        else:
            second = at >= half
            pair, other = select(second, at - half, at), select(second, at - half, at + half)
        inside = at < 2 * half
        pair = at if attrs.get("whole") else pair
        if 2 * half < width:
            pair, other = minimum(pair, columns - 1), minimum(other, width - 1)

        def element(buffer: Buffer, column: Expr) -> Expr:
            shape = (*out.shape[:-1], buffer.shape[-1])
            return cast(broadcast_load(buffer, (*rows, column), shape), dtype)

        own, partner = element(x, at), element(x, other)
        shift = partner * element(sin, pair)
        turned = own * element(cos, pair) + select(second, shift, -shift)
        return narrowed(turned if 2 * half == width else select(inside, turned, own), out.dtype)

    return (compute("rotary", out.dtype, out.shape, value),)


operator("rotary", "injective", _infer, _define)
