"""Shapes: Reshape and its kin, and arithmetic on shape values."""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.compute.dims import Dim, exact_div, product, shape_text
from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op


@onnx_op("Reshape")
def reshape(ctx: Context) -> Value:
    x = ctx.value(0)
    wanted = ctx.attr("shape") if ctx.version < 5 else ctx.dims(1, "shape")
    return ctx.builder.reshape(x, _resolve(ctx, x, tuple(wanted), bool(ctx.attr("allowzero", 0))))


def _resolve(ctx: Context, x: Value, wanted: Sequence[Dim], allow_zero: bool) -> list[Dim]:
    """0 copies the input's dim (unless allowed as a size), -1 is what is left."""
    shape: list[Dim] = [
        x.type.shape[k] if isinstance(dim, int) and dim == 0 and not allow_zero else dim
        for k, dim in enumerate(wanted)
    ]
    open_dims = [k for k, dim in enumerate(shape) if isinstance(dim, int) and dim == -1]
    if len(open_dims) > 1:
        ctx.fail(f"shape {shape_text(wanted)} has more than one -1")
    if open_dims:
        rest = product(dim for k, dim in enumerate(shape) if k != open_dims[0])
        left = exact_div(x.type.size, rest)
        if left is None:
            ctx.fail(f"cannot show that {x.type} reshapes to {shape_text(wanted)}")
        shape[open_dims[0]] = left
    return shape
