"""scan(x) attrs: op sum | prod, axis, exclusive, reverse: of each element the total of those up to
it along the axis (exclusive: before it; reverse: from the end). 16-bit floats are accumulated in
f32.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Const, Expr, select
from hidet_core.ir.widen import narrowed, wide_load

from .registry import Attrs, Types, operator

SCAN_OPS = ("sum", "prod")


def _infer(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    if attrs["op"] not in SCAN_OPS or x.dtype.is_bool or x.rank == 0:
        raise Unsupported("scan", f"{attrs['op']} of {x}, expected one of {', '.join(SCAN_OPS)}")
    return x


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    (x,) = inputs
    axis, reverse, exclusive = attrs["axis"], attrs["reverse"], attrs["exclusive"]

    def value(*axes: Expr) -> Expr:
        here = axes[axis]

        def term(other: Expr) -> Expr:
            element = wide_load(x, *axes[:axis], other, *axes[axis + 1 :])
            number = int(attrs["op"] == "prod")
            neutral = Const(float(number) if element.dtype.is_float else number, element.dtype)
            first, second = (here, other) if reverse else (other, here)
            return select(first < second if exclusive else first <= second, element, neutral)

        total = reduce_over(attrs["op"], (x.shape[axis],), term)
        return narrowed(total, out.dtype)

    return (compute("scan", out.dtype, out.shape, value),)


operator("scan", "anchor", _infer, _define)
