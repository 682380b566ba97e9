"""Conv and its kin: channel-last convolutions between transposes (which the graph passes move and
cancel).

One spatial axis is two with a row of 1. Three are two: the taps along the depth become channels, so
that the templates of images serve volumes.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from hidet_core.compute.dims import Dim, product, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import i64

from .context import Context
from .registry import MICROSOFT, onnx_op
from .windows import Windows, channel_first, channel_last, read_windows

# activations of FusedConv: (operator, names of the activation_params)
ACTIVATIONS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Relu": ("relu", ()),
    "Tanh": ("tanh", ()),
    "Sigmoid": ("sigmoid", ()),
    "LeakyRelu": ("leaky_relu", ("alpha",)),
    "Clip": ("clip", ("low", "high")),
    "HardSigmoid": ("hard_sigmoid", ("alpha", "beta")),
}


@onnx_op("Conv")
def conv(ctx: Context) -> Value:
    return channel_first(ctx, _conv(ctx))


def _conv(ctx: Context) -> Value:
    """Channel last."""
    x, w = ctx.value(0), ctx.value(1)
    if not w.type.is_static or w.type.rank != x.type.rank:
        ctx.fail(f"weights of {w.type} do not fit an input of {x.type}")
    rank, last = w.type.rank, channel_last(ctx, x)
    last, windows = read_windows(ctx, last, [int(n) for n in w.type.shape[2:]], fill=0.0)
    weights = ctx.builder.transpose(w, (*range(2, rank), 1, 0))
    y = convolve(ctx, last, weights, windows, int(ctx.attr("group", 1)))
    return ctx.emit("add", y, ctx.value(2)) if ctx.has(2) else y


@onnx_op("FusedConv", domain=MICROSOFT)
def fused_conv(ctx: Context) -> Value:
    """activation(conv(x) + bias + z); z is the fourth input."""
    y = _conv(ctx)
    if ctx.has(3):
        y = ctx.emit("add", y, channel_last(ctx, ctx.value(3)))
    name = ctx.attr("activation", "")
    if name:
        if name not in ACTIVATIONS:
            ctx.fail(f"activation {name!r} is not supported")
        op, names = ACTIVATIONS[name]
        numbers = [float(number) for number in ctx.attr("activation_params", ())]
        y = ctx.emit(op, y, **dict(zip(names, numbers, strict=True)))
    return channel_first(ctx, y)


def convolve(ctx: Context, x: Value, w: Value, windows: Windows, groups: int) -> Value:
    """x[N, *spatial, C] with w[*kernel, C/groups, O] -> [N, *out, O]."""
    batch, *sizes, channels = x.type.shape
    if len(sizes) == 2:
        return ctx.emit("conv2d", x, w, **conv_attrs(windows, groups))
    if len(sizes) == 1:
        row = ctx.builder.reshape(x, (batch, 1, *sizes, channels))
        y = convolve(
            ctx, row, ctx.builder.reshape(w, (1, *w.type.shape)), windows.of_axes(None, 0), groups
        )
        return ctx.builder.reshape(y, (batch, *y.type.shape[2:]))
    if groups > 1 and groups == w.type.shape[-1] and w.type.shape[-2] == 1:
        return ctx.emit("conv3d", x, w, **conv_attrs(windows, groups))
    return _convolve_volume(ctx, x, w, windows, groups)


def conv_attrs(windows: Windows, groups: int) -> dict[str, Any]:
    return {
        "strides": windows.strides,
        "pads": windows.pads,
        "dilations": windows.dilations,
        "groups": groups,
    }


def _convolve_volume(ctx: Context, x: Value, w: Value, windows: Windows, groups: int) -> Value:
    """conv2d of all layers of the output, with the taps along the depth as channels.

    [N, D, H, W, C]  ->  [N * OD, H, W, groups * KD * C/groups]  ->  [N, OD, OH, OW, O]
    """
    depth = windows.of_axes(0)
    if depth != Windows((1,), (1,), (0, 0), (1,)):
        x = _unfold_depth(ctx, x, depth, groups)
    batch, layers, *image = x.type.shape
    taps, rows, columns, channels, out = w.type.shape
    weights = ctx.builder.transpose(w, (1, 2, 0, 3, 4))
    weights = ctx.builder.reshape(weights, (rows, columns, taps * channels, out))
    images = ctx.builder.reshape(x, (product((batch, layers)), *image))
    y = convolve(ctx, images, weights, windows.of_axes(1, 2), groups)
    return ctx.builder.reshape(y, (batch, layers, *y.type.shape[1:]))


def _unfold_depth(ctx: Context, x: Value, depth: Windows, groups: int) -> Value:
    """[N, D, H, W, C] -> [N, OD, H, W, groups * KD * C/groups]."""
    (taps,), (stride,), (dilation,) = depth.kernel, depth.strides, depth.dilations
    if any(depth.pads):
        before, after = ((0, pad, 0, 0, 0) for pad in depth.pads)
        x = ctx.emit("pad", x, before=before, after=after, mode="constant", value=0.0)
    batch, size, height, width, channels = x.type.shape
    layers = simplify((size - (taps - 1) * dilation - 1) // stride + 1)
    first = count_up(ctx, layers, stride)
    steps = ctx.builder.constant(np.arange(taps, dtype=np.int64) * dilation, "taps")
    places = ctx.emit("add", ctx.builder.reshape(first, (layers, 1)), steps)
    picked = ctx.emit("gather", x, places, axis=1)  # [N, OD, KD, H, W, C]
    per_group = int(channels) // groups
    split = (batch, layers, taps, height, width, groups, per_group)
    order = ctx.builder.transpose(ctx.builder.reshape(picked, split), (0, 1, 3, 4, 5, 2, 6))
    return ctx.builder.reshape(order, (batch, layers, height, width, taps * int(channels)))


def count_up(ctx: Context, size: Dim, step: int = 1) -> Value:
    """0, step, 2 * step, ... as i64, a constant where the size is known."""
    if isinstance(size, int):
        return ctx.builder.constant(np.arange(size, dtype=np.int64) * step, "count")
    return ctx.emit("range", start=0, step=step, size=size, dtype=i64)
