"""Pools and LRN: channel-last operators between transposes.

A pool over three spatial axes is one over the image and one over the depth: maxima, p-norms and
averages over the positions inside come apart by axes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hidet_core.compute.dims import Dim, product
from hidet_core.graph.graph import Value

from .context import Context, Entry
from .registry import MICROSOFT, onnx_op
from .windows import Windows, channel_first, channel_last, pool_out, read_windows


def _pool(ctx: Context, x: Value, fill: float | None, **how: Any) -> tuple[Value, Value, Windows]:
    """The pool of a channel-last input, what it read (x, or x padded with `fill` where pads depend
    on symbols), the windows. how: attributes of pool2d.
    """
    sizes = x.type.shape[1:-1]
    x, windows = read_windows(ctx, x, [int(n) for n in ctx.attr("kernel_shape")], fill)
    if ctx.attr("auto_pad", "NOTSET").startswith("SAME"):
        _refuse_gaps(ctx, sizes, windows)
    out = pool_out(ctx, x, windows)
    return _pool_axes(ctx, x, windows, out, how), x, windows


def _refuse_gaps(ctx: Context, sizes: Sequence[Dim], windows: Windows) -> None:
    """With auto_pad, ONNX Runtime's pools (its convolutions do not) shift windows that leave out
    two elements or more at the ends, as if the padding were negative.
    """
    for size, taps, stride, dilation in zip(
        sizes, windows.kernel, windows.strides, windows.dilations, strict=True
    ):
        reach = (taps - 1) * dilation + 1
        count = -(-size // stride) if isinstance(size, int) else None
        left = stride - reach if count is None else int(size) - (count - 1) * stride - reach
        if left > 1:
            ctx.fail(f"auto_pad with windows of {taps} and a stride of {stride}")


def _pool_axes(
    ctx: Context, x: Value, windows: Windows, out: tuple[Dim, ...], how: dict[str, Any]
) -> Value:
    batch, *sizes, channels = x.type.shape
    if len(sizes) == 1:
        row = ctx.builder.reshape(x, (batch, 1, *sizes, channels))
        y = _pool_image(ctx, row, windows.of_axes(None, 0), (1, *out), how)
    elif len(sizes) == 2:
        return _pool_image(ctx, x, windows, out, how)
    else:
        wide = x if how["kind"] == "max" else ctx.wide(x)
        layers = ctx.builder.reshape(wide, (product((batch, sizes[0])), *sizes[1:], channels))
        y = _pool_image(ctx, layers, windows.of_axes(1, 2), out[1:], how)
        flat = ctx.builder.reshape(y, (batch, sizes[0], product(out[1:]), channels))
        y = _pool_image(ctx, flat, windows.of_axes(0, None), (out[0], product(out[1:])), how)
        y = ctx.builder.cast(y, x.type.dtype)
    return ctx.builder.reshape(y, (batch, *out, channels))


def _pool_image(
    ctx: Context, x: Value, windows: Windows, out: tuple[Dim, ...], how: dict[str, Any]
) -> Value:
    attrs: dict[str, Any] = {
        "kind": how["kind"],
        "kernel": windows.kernel,
        "strides": windows.strides,
        "pads": windows.pads,
        "dilations": windows.dilations,
        "count_include_pad": False,
        "out_hw": out,
    }
    return ctx.emit("pool2d", x, **(attrs | how))


@onnx_op("MaxPool")
def max_pool(ctx: Context) -> tuple[Entry, ...]:
    """The second output: positions of the maxima."""
    x = channel_last(ctx, ctx.value(0))
    wants_positions = len(ctx.node.outputs) > 1 and bool(ctx.node.outputs[1])
    can_pad = x.type.dtype.is_float and not wants_positions
    y, x, windows = _pool(ctx, x, float("-inf") if can_pad else None, kind="max")
    if not wants_positions:
        return (channel_first(ctx, y),)
    positions = ctx.emit(
        "pool_positions",
        x,
        y,
        kernel=windows.kernel,
        strides=windows.strides,
        pads=windows.pads,
        dilations=windows.dilations,
        column_major=bool(ctx.attr("storage_order", 0)),
    )
    return channel_first(ctx, y), channel_first(ctx, positions)


@onnx_op("NhwcMaxPool", domain=MICROSOFT)
def nhwc_max_pool(ctx: Context) -> Value:
    """Of 8-bit integers, channel-last already."""
    y, _, _ = _pool(ctx, ctx.value(0), None, kind="max")
    return y


@onnx_op("AveragePool")
def average_pool(ctx: Context) -> Value:
    """Where pads depend on symbols, zeros are averaged too; what that takes off is divided by."""
    x, include = channel_last(ctx, ctx.value(0)), bool(ctx.attr("count_include_pad", 0))
    y, read, _ = _pool(ctx, x, 0.0, kind="avg", count_include_pad=include)
    if read is not x and not include:
        one = ctx.scalar(1, ctx.wide(x))
        ones = ctx.builder.broadcast_to(one, (1, *x.type.shape[1:-1], 1))
        share, _, _ = _pool(ctx, ones, 0.0, kind="avg", count_include_pad=False)
        y = ctx.builder.cast(ctx.emit("div", ctx.wide(y), share), x.type.dtype)
    return channel_first(ctx, y)


@onnx_op("LpPool", since=2)
def lp_pool(ctx: Context) -> Value:
    x = channel_last(ctx, ctx.value(0))
    y, _, _ = _pool(ctx, x, 0.0, kind="lp", p=_order_of_norm(ctx))
    return channel_first(ctx, y)


def _order_of_norm(ctx: Context) -> float:
    p = float(ctx.attr("p", 2))
    if p < 1:
        ctx.fail(f"p is {p}, expected at least 1")
    return p


def _global_pool(ctx: Context, x: Value, op: str) -> Value:
    if x.type.rank < 3:
        ctx.fail(f"expected at least one spatial dim, got {x.type}")
    return ctx.emit("reduce", x, op=op, axes=tuple(range(2, x.type.rank)), keepdims=True)


@onnx_op("GlobalAveragePool")
def global_average_pool(ctx: Context) -> Value:
    return _global_pool(ctx, ctx.value(0), "mean")


@onnx_op("GlobalMaxPool")
def global_max_pool(ctx: Context) -> Value:
    return _global_pool(ctx, ctx.value(0), "max")


@onnx_op("GlobalLpPool", since=2)
def global_lp_pool(ctx: Context) -> Value:
    x, p = ctx.value(0), _order_of_norm(ctx)
    if p in (1, 2):
        return _global_pool(ctx, x, f"l{int(p)}")
    wide = ctx.emit("abs", ctx.wide(x))
    powers = ctx.emit("pow", wide, ctx.scalar(p, wide))
    total = _global_pool(ctx, powers, "sum")
    return ctx.builder.cast(ctx.emit("pow", total, ctx.scalar(1 / p, total)), x.type.dtype)


@onnx_op("LRN")
def lrn(ctx: Context) -> Value:
    x = ctx.value(0)
    last, back = ctx.move_axis_last(x, 1)
    y = ctx.emit(
        "lrn",
        last,
        size=int(ctx.attr("size")),
        alpha=float(ctx.attr("alpha", 1e-4)),
        beta=float(ctx.attr("beta", 0.75)),
        bias=float(ctx.attr("bias", 1.0)),
    )
    return ctx.builder.transpose(y, back)
