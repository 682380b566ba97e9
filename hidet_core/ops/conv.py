"""conv2d: x[N, H, W, C] with w[R, S, C/groups, O] -> [N, OH, OW, O]  (channel last, always).

attrs: strides (2), pads (top, left, bottom, right), dilations (2), groups; pad_value. Where a
window leaves the image it reads pad_value (0, where there is none). 8-bit integers, signed or not,
give i32 (see matmul).
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import same_dim
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Expr, load, select
from hidet_core.ir.widen import narrowed

from .products import factor, product_type
from .registry import Attrs, Types, operator
from .windows import Window, window_out


def _infer(types: Types, attrs: Attrs) -> TensorType:
    x, w = types
    if (
        x.rank != 4
        or w.rank != 4
        or not (x.dtype == w.dtype or (x.dtype.is_byte and w.dtype.is_byte))
        or not all(isinstance(d, int) for d in w.shape)
    ):
        raise Unsupported(
            "conv2d", f"expected [N, H, W, C] and constant-size [R, S, C/g, O], got {x} and {w}"
        )
    groups = attrs["groups"]
    if not same_dim(x.shape[3], w.shape[2] * groups) or w.shape[3] % groups:
        raise Unsupported("conv2d", f"channels of {x} and {w} do not fit {groups} groups")
    pads = attrs["pads"]
    out = [
        window_out(
            x.shape[1 + axis],
            w.shape[axis],
            attrs["strides"][axis],
            (pads[axis], pads[axis + 2]),
            dilation,
        )
        for axis, dilation in enumerate(attrs["dilations"])
    ]
    return TensorType(product_type(x.dtype), (x.shape[0], out[0], out[1], w.shape[3]))


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    x, w = inputs
    rows, columns, depth, channels = w.shape
    window = Window(x, attrs["strides"], attrs["pads"], attrs["dilations"])
    per_group = channels // attrs["groups"]

    def value(n: Expr, oh: Expr, ow: Expr, o: Expr) -> Expr:
        def term(r: Expr, s: Expr, c: Expr) -> Expr:
            y, z = window.position(0, oh, r), window.position(1, ow, s)
            element = window.load(
                n, y, z, c if attrs["groups"] == 1 else o // per_group * depth + c
            )
            if any(attrs["pads"]):
                element = select(window.valid(y, z), element, attrs.get("pad_value", 0))
            return factor(element) * factor(load(w, r, s, c, o))

        return narrowed(reduce_over("sum", (rows, columns, depth), term), out.dtype)

    return (compute("conv2d", out.dtype, out.shape, value),)


operator("conv2d", "anchor", _infer, _define)
