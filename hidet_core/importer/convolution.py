"""Conv, pools and LRN: channel-last operators between transposes (which the graph passes move and
cancel)."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op
from .windows import from_nhwc, pool_out, read_windows, to_nhwc


@onnx_op("Conv")
def conv(ctx: Context) -> Value:
    x, w = ctx.value(0), ctx.value(1)
    if not w.type.is_static or w.type.rank != x.type.rank:
        ctx.fail(f"weights of {w.type} do not fit an input of {x.type}")
    windows = read_windows(ctx, x, [int(n) for n in w.type.shape[2:]])
    weights = w
    if w.type.rank == 3:
        weights = ctx.builder.reshape(w, (*w.type.shape[:2], 1, w.type.shape[2]))
    y = ctx.emit(
        "conv2d",
        to_nhwc(ctx, x),
        ctx.builder.transpose(weights, (2, 3, 1, 0)),
        strides=windows.strides,
        pads=windows.pads,
        dilations=windows.dilations,
        groups=int(ctx.attr("group", 1)),
    )
    if ctx.has(2):
        y = ctx.emit("add", y, ctx.value(2))
    return from_nhwc(ctx, y, x.type.rank)


def _pool(ctx: Context, kind: str, count_include_pad: bool) -> Value:
    x = ctx.value(0)
    nhwc = to_nhwc(ctx, x)
    windows = read_windows(ctx, x, [int(n) for n in ctx.attr("kernel_shape")])
    y = ctx.emit(
        "pool2d",
        nhwc,
        kind=kind,
        kernel=windows.kernel,
        strides=windows.strides,
        pads=windows.pads,
        dilations=windows.dilations,
        count_include_pad=count_include_pad,
        out_hw=pool_out(ctx, x, windows),
    )
    return from_nhwc(ctx, y, x.type.rank)


@onnx_op("MaxPool")
def max_pool(ctx: Context) -> Value:
    """The second output (positions) is not supported."""
    return _pool(ctx, "max", count_include_pad=False)


@onnx_op("AveragePool")
def average_pool(ctx: Context) -> Value:
    return _pool(ctx, "avg", bool(ctx.attr("count_include_pad", 0)))


def _global_pool(ctx: Context, op: str) -> Value:
    x = ctx.value(0)
    if x.type.rank < 3:
        ctx.fail(f"expected at least one spatial dim, got {x.type}")
    return ctx.emit("reduce", x, op=op, axes=tuple(range(2, x.type.rank)), keepdims=True)


@onnx_op("GlobalAveragePool")
def global_average_pool(ctx: Context) -> Value:
    return _global_pool(ctx, "mean")


@onnx_op("GlobalMaxPool")
def global_max_pool(ctx: Context) -> Value:
    return _global_pool(ctx, "max")


@onnx_op("GlobalLpPool", since=2)
def global_lp_pool(ctx: Context) -> Value:
    p = int(ctx.attr("p", 2))
    if p not in (1, 2):
        ctx.fail(f"p is {p}, supported are 1 and 2")
    return _global_pool(ctx, f"l{p}")


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
