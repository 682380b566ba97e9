"""Convolution: x[N, *spatial, C] with w[*kernel, C/groups, O] -> [N, *out, O]  (channel last,
always).

conv2d has two spatial axes, conv3d three. attrs: strides, pads (of all axes before, then of all
after), dilations, groups; pad_value. Where a window leaves the image it reads pad_value (0, where
there is none). 8-bit integers, signed or not, give i32 (see matmul).
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.dims import same_dim
from hidet_core.compute.types import TensorType
from hidet_core.ir.expr import Buffer, Expr, load, select
from hidet_core.ir.widen import narrowed

from .products import factor, product_type
from .registry import Attrs, DefineOne, InferOne, Types, operator
from .windows import Window, window_out


def _infer(name: str, count: int) -> InferOne:
    """count: of spatial axes."""

    def infer(types: Types, attrs: Attrs) -> TensorType:
        x, w = types
        static = all(isinstance(d, int) for d in w.shape)
        alike = x.dtype == w.dtype or (x.dtype.is_byte and w.dtype.is_byte)
        if x.rank != count + 2 or w.rank != count + 2 or not alike or not static:
            raise Unsupported(
                name,
                f"expected an input and weights of constant size, both of {count + 2} dims and "
                f"one dtype, got {x} and {w}",
            )
        groups = attrs["groups"]
        if not same_dim(x.shape[-1], w.shape[-2] * groups) or w.shape[-1] % groups:
            raise Unsupported(name, f"channels of {x} and {w} do not fit {groups} groups")
        pads = attrs["pads"]
        out = [
            window_out(
                x.shape[1 + axis],
                w.shape[axis],
                attrs["strides"][axis],
                (pads[axis], pads[axis + count]),
                dilation,
            )
            for axis, dilation in enumerate(attrs["dilations"])
        ]
        return TensorType(product_type(x.dtype), (x.shape[0], *out, w.shape[-1]))

    return infer


def _define(name: str) -> DefineOne:
    def define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
        x, w = inputs
        *kernel, depth, channels = w.shape
        window = Window(x, attrs["strides"], attrs["pads"], attrs["dilations"])
        per_group = channels // attrs["groups"]

        def value(n: Expr, *rest: Expr) -> Expr:
            *place, o = rest

            def term(*taps: Expr) -> Expr:
                *tap, c = taps
                at = window.positions(place, tap)
                channel = c if attrs["groups"] == 1 else o // per_group * depth + c
                element = window.load(n, at, channel)
                if any(attrs["pads"]):
                    element = select(window.valid(at), element, attrs.get("pad_value", 0))
                return factor(element) * factor(load(w, *tap, c, o))

            return narrowed(reduce_over("sum", (*kernel, depth), term), out.dtype)

        return (compute(name, out.dtype, out.shape, value),)

    return define


operator("conv2d", "anchor", _infer("conv2d", 2), _define("conv2d"))
operator("conv3d", "reduce", _infer("conv3d", 3), _define("conv3d"))
