"""Shapes: Reshape and its kin, Shape and Size, tensors made from shapes.

Where the input is a shape value with symbolic elements, the result is one too.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.compute.dims import Dim, exact_div, product, shape_text, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import is_const, maximum
from hidet_core.ops.elementwise import broadcast_shapes

from .context import Context, Entry, known
from .registry import onnx_op


def _reshaped(ctx: Context, shape: Sequence[Dim]) -> Entry:
    """Input 0 in another shape, still a shape value if it was one."""
    found = ctx.known(0) if ctx.is_symbolic() else None
    if found is not None and all(isinstance(dim, int) for dim in shape):
        return known(found.reshape([int(dim) for dim in shape]))
    return ctx.builder.reshape(ctx.value(0), shape)


def _shape_of_input(ctx: Context) -> tuple[Dim, ...]:
    entry = ctx.entry(0)
    return entry.type.shape if isinstance(entry, Value) else tuple(entry.elements.shape)


@onnx_op("Reshape")
def reshape(ctx: Context) -> Entry:
    if ctx.version < 5:
        wanted: tuple[Dim, ...] = tuple(ctx.int_list("shape", []))
    else:
        wanted = ctx.dims(1, "shape")
    source = _shape_of_input(ctx)
    return _reshaped(ctx, _resolve(ctx, source, wanted, bool(ctx.attr("allowzero", 0))))


def _resolve(
    ctx: Context, source: Sequence[Dim], wanted: Sequence[Dim], allow_zero: bool
) -> list[Dim]:
    """0 copies the input's dim (unless allowed as a size), -1 is what is left."""
    shape: list[Dim] = [
        source[k] if is_const(dim, 0) and not allow_zero else dim for k, dim in enumerate(wanted)
    ]
    unknown = [k for k, dim in enumerate(shape) if is_const(dim, -1)]
    if len(unknown) > 1:
        ctx.fail(f"shape {shape_text(wanted)} has more than one -1")
    if unknown:
        rest = product(dim for k, dim in enumerate(shape) if k != unknown[0])
        left = 0 if is_const(rest, 0) else exact_div(product(source), rest)
        if left is None:
            shown = f"{shape_text(source)} reshapes to {shape_text(wanted)}"
            ctx.fail(f"cannot show that {shown}")
        shape[unknown[0]] = left
    return shape


@onnx_op("Flatten")
def flatten(ctx: Context) -> Value:
    x = ctx.value(0)
    axis = int(ctx.attr("axis", 1))
    axis = x.type.rank if axis == x.type.rank else ctx.normal_axis(axis, x.type.rank)
    shape = (product(x.type.shape[:axis]), product(x.type.shape[axis:]))
    return ctx.builder.reshape(x, shape)


@onnx_op("Squeeze")
def squeeze(ctx: Context) -> Entry:
    shape = _shape_of_input(ctx)
    axes = ctx.axes(1, len(shape), since_input=13)
    if axes is None:
        axes = tuple(k for k, dim in enumerate(shape) if is_const(dim, 1))
        if not all(isinstance(dim, int) for dim in shape):
            ctx.fail(f"axes are not given and {shape_text(shape)} has symbolic dims")
    if not all(is_const(shape[k], 1) for k in axes):
        ctx.fail(f"axes {axes} of {shape_text(shape)} are not all 1")
    return _reshaped(ctx, [dim for k, dim in enumerate(shape) if k not in axes])


@onnx_op("Unsqueeze")
def unsqueeze(ctx: Context) -> Entry:
    shape = list(_shape_of_input(ctx))
    given = ctx.int_list("axes", []) if ctx.version < 13 else ctx.ints(1, "axes")
    rank = len(shape) + len(given)
    for axis in sorted(ctx.normal_axis(int(axis), rank) for axis in given):
        shape.insert(axis, 1)
    return _reshaped(ctx, shape)


@onnx_op("Identity")
def identity(ctx: Context) -> Entry:
    return ctx.entry(0)


@onnx_op("Shape")
def shape_(ctx: Context) -> Entry:
    shape = _shape_of_input(ctx)
    end = ctx.attr("end")
    return known(list(shape[int(ctx.attr("start", 0)) : None if end is None else int(end)]))


@onnx_op("Size")
def size(ctx: Context) -> Entry:
    return known(product(_shape_of_input(ctx)))


@onnx_op("Expand", since=8)
def expand(ctx: Context) -> Value:
    x = ctx.value(0)
    shape = broadcast_shapes("Expand", x.type.shape, ctx.dims(1, "shape"))
    return ctx.builder.broadcast_to(x, shape)


@onnx_op("Constant")
def constant(ctx: Context) -> Value:
    attributes = ctx.node.attributes
    for name, dtype in (("value", None), ("value_float", "f4"), ("value_floats", "f4")):
        if name in attributes:
            return ctx.builder.constant(np.asarray(attributes[name], dtype))
    for name in ("value_int", "value_ints"):
        if name in attributes:
            return ctx.builder.constant(np.asarray(attributes[name], np.int64))
    return ctx.fail(f"its attributes {sorted(attributes)} hold no supported value")


@onnx_op("ConstantOfShape", since=9)
def constant_of_shape(ctx: Context) -> Value:
    fill = np.asarray(ctx.attr("value", np.zeros(1, np.float32))).reshape(())
    return ctx.builder.broadcast_to(ctx.builder.constant(fill, "fill"), ctx.dims(0, "shape"))


@onnx_op("Range", since=11)
def range_(ctx: Context) -> Value:
    arrays = [ctx.array(place) if not ctx.is_symbolic() else None for place in range(3)]
    start, limit, step = arrays
    if start is not None and limit is not None and step is not None:
        first, last, by = (array.reshape(()) for array in (start, limit, step))
        count = max(int(np.ceil((last - first) / by)), 0)
        return ctx.builder.constant((first + np.arange(count) * by).astype(start.dtype))
    begin, end, stride = (ctx.dims(place, "start, limit and delta")[0] for place in range(3))
    if not isinstance(stride, int) or stride == 0:
        ctx.fail("delta has to be a constant where sizes are symbolic")
    span = end - begin if stride > 0 else begin - end
    size = simplify((span + (abs(stride) - 1)) // abs(stride))
    size = size if is_const(begin, 0) and stride > 0 else simplify(maximum(size, 0))
    return ctx.emit("range", start=begin, step=stride, size=size, dtype=i64)
