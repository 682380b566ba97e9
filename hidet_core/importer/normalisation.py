"""BatchNormalization and the softmaxes; LayerNormalization and its kin."""

from __future__ import annotations

from hidet_core.compute.dims import product, same_shape
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import f32

from .context import Context
from .registry import onnx_op


@onnx_op("BatchNormalization")
def batch_normalization(ctx: Context) -> tuple[Value, ...]:
    """Its running statistics are outputs in training mode, from version 14 on."""
    if ctx.version < 7 and not ctx.attr("is_test", 0):
        ctx.fail("training mode before version 14")
    if ctx.version < 9 and not ctx.attr("spatial", 1):
        ctx.fail("spatial=0 is not supported")
    x = ctx.value(0)
    if x.type.rank < 2:
        ctx.fail(f"expected at least [N, C], got {x.type}")
    mean, variance = (ctx.wide(ctx.value(place)) for place in (3, 4))
    if not ctx.attr("training_mode", 0):
        return (_scale_channels(ctx, x, mean, variance),)
    axes = tuple(k for k in range(x.type.rank) if k != 1)
    found = [
        ctx.builder.reshape(value, mean.type.shape)
        for value in _mean_and_variance(ctx, ctx.wide(x), axes)
    ]
    momentum = float(ctx.attr("momentum", 0.9))
    running = []
    for place, old, new in zip((3, 4), (mean, variance), found, strict=True):
        kept = ctx.emit("mul", old, ctx.scalar(momentum, old))
        added = ctx.builder.cast(
            ctx.emit("mul", new, ctx.scalar(1 - momentum, new)), old.type.dtype
        )
        total = ctx.emit("add", kept, added)
        running.append(ctx.builder.cast(total, ctx.value(place).type.dtype))
    return (_scale_channels(ctx, x, *found), *running)


def _scale_channels(ctx: Context, x: Value, mean: Value, variance: Value) -> Value:
    """x * scale + shift per channel, on the channel-last value; constants fold into two vectors."""
    scale, bias = (ctx.wide(ctx.value(place)) for place in (1, 2))
    spread = ctx.emit("add", variance, ctx.scalar(ctx.attr("epsilon", 1e-5), variance))
    factor = ctx.emit("div", scale, ctx.emit("sqrt", spread))
    shift = ctx.emit("sub", bias, ctx.emit("mul", mean, factor))
    factor, shift = (ctx.builder.cast(vector, x.type.dtype) for vector in (factor, shift))
    last, back = ctx.move_axis_last(x, 1)
    y = ctx.emit("add", ctx.emit("mul", last, factor), shift)
    return ctx.builder.transpose(y, back)


def _softmax(ctx: Context, op: str) -> Value:
    x = ctx.value(0)
    rank = x.type.rank
    if ctx.version >= 13:
        last, back = ctx.move_axis_last(x, ctx.axis(rank, -1))
        return ctx.builder.transpose(ctx.emit(op, last), back)
    axis = ctx.axis(rank, 1)
    rows, row = product(x.type.shape[:axis]), product(x.type.shape[axis:])
    flat = x if axis == rank - 1 else ctx.builder.reshape(x, (rows, row))
    return ctx.builder.reshape(ctx.emit(op, flat), x.type.shape)


@onnx_op("Softmax")
def softmax(ctx: Context) -> Value:
    """Before version 13 the input is flattened to two dims at the axis."""
    return _softmax(ctx, "softmax")


@onnx_op("LogSoftmax")
def log_softmax(ctx: Context) -> Value:
    return _softmax(ctx, "log_softmax")


def _rows(ctx: Context, x: Value, axis: int) -> Value:
    """All axes from `axis` on as one."""
    return ctx.builder.reshape(x, (*x.type.shape[:axis], product(x.type.shape[axis:])))


def normalise_rows(
    ctx: Context, op: str, x: Value, vectors: list[Value], axis: int, epsilon: float = 1e-5
) -> Value:
    """op over the axes from `axis` on; scale and bias of another shape are applied afterwards.
    epsilon: where the node says nothing.
    """
    rows, shape = _rows(ctx, x, axis), x.type.shape
    eps = float(ctx.attr("epsilon", epsilon))
    if all(same_shape(vector.type.shape, shape[axis:]) for vector in vectors):
        flat = [ctx.builder.reshape(vector, rows.type.shape[-1:]) for vector in vectors]
        return ctx.builder.reshape(ctx.emit(op, rows, *flat, eps=eps), shape)
    y = ctx.builder.reshape(ctx.emit(op, rows, eps=eps), shape)
    for step, vector in zip(("mul", "add"), vectors, strict=False):
        y = ctx.emit(step, y, vector)
    return y


@onnx_op("LayerNormalization")
def layer_normalization(ctx: Context) -> tuple[Value, ...]:
    """Mean and inverse standard deviation are computed by themselves where they are wanted."""
    x = ctx.value(0)
    vectors = [ctx.value(1)] + ([ctx.value(2)] if ctx.has(2) else [])
    axis = ctx.axis(x.type.rank, -1)
    y = normalise_rows(ctx, "layer_norm", x, vectors, axis)
    if not any(ctx.node.outputs[1:]):
        return (y,)
    mean, variance = _mean_and_variance(ctx, ctx.wide(x), tuple(range(axis, x.type.rank)))
    inverse = _inverse_root(ctx, variance)
    return y, *(ctx.builder.cast(value, f32) for value in (mean, inverse))


@onnx_op("RMSNormalization", since=23)
def rms_normalization(ctx: Context) -> Value:
    x = ctx.value(0)
    return normalise_rows(ctx, "rms_norm", x, [ctx.value(1)], ctx.axis(x.type.rank, -1))


@onnx_op("SimplifiedLayerNormalization")
def simplified_layer_normalization(ctx: Context) -> tuple[Value, ...]:
    """The second output is the inverse root of the mean square."""
    x, axis = ctx.value(0), ctx.axis(ctx.value(0).type.rank, -1)
    y = normalise_rows(ctx, "rms_norm", x, [ctx.value(1)], axis)
    if not any(ctx.node.outputs[1:]):
        return (y,)
    wide, axes = ctx.wide(x), tuple(range(axis, x.type.rank))
    square = ctx.emit("reduce", ctx.emit("mul", wide, wide), op="mean", axes=axes, keepdims=True)
    return y, ctx.builder.cast(_inverse_root(ctx, square), f32)


def _inverse_root(ctx: Context, variance: Value) -> Value:
    """1 / sqrt(variance + epsilon)."""
    eps = ctx.scalar(float(ctx.attr("epsilon", 1e-5)), variance)
    return ctx.emit("recip", ctx.emit("sqrt", ctx.emit("add", variance, eps)))


def _mean_and_variance(ctx: Context, x: Value, axes: tuple[int, ...]) -> tuple[Value, Value]:
    """Over some axes, which are kept as 1."""
    mean = ctx.emit("reduce", x, op="mean", axes=axes, keepdims=True)
    centred = ctx.emit("sub", x, mean)
    square = ctx.emit("mul", centred, centred)
    return mean, ctx.emit("reduce", square, op="mean", axes=axes, keepdims=True)


def _centre_and_scale(ctx: Context, x: Value, axes: tuple[int, ...], eps: float) -> Value:
    """(x - mean) / sqrt(variance + eps) over some axes, wide (see Context.wide)."""
    x = ctx.wide(x)
    mean = ctx.emit("reduce", x, op="mean", axes=axes, keepdims=True)
    centred = ctx.emit("sub", x, mean)
    square = ctx.emit("mul", centred, centred)
    variance = ctx.emit("reduce", square, op="mean", axes=axes, keepdims=True)
    spread = ctx.emit("sqrt", ctx.emit("add", variance, ctx.scalar(eps, variance)))
    return ctx.emit("div", centred, spread)


def _per_channel(ctx: Context, vector: Value, rank: int) -> Value:
    """[C] so that it runs along axis 1."""
    return ctx.builder.reshape(vector, (*vector.type.shape, *(1,) * (rank - 2)))


@onnx_op("InstanceNormalization", since=6)
def instance_normalization(ctx: Context) -> Value:
    x = ctx.value(0)
    rank = x.type.rank
    y = _centre_and_scale(ctx, x, tuple(range(2, rank)), float(ctx.attr("epsilon", 1e-5)))
    return ctx.builder.cast(_scale_and_shift(ctx, y, rank), x.type.dtype)


def _scale_and_shift(ctx: Context, y: Value, rank: int) -> Value:
    """y * scale + bias, inputs 1 and 2, along axis 1."""
    scale, bias = (_per_channel(ctx, ctx.wide(ctx.value(place)), rank) for place in (1, 2))
    return ctx.emit("add", ctx.emit("mul", y, scale), bias)


@onnx_op("GroupNormalization", since=18)
def group_normalization(ctx: Context) -> Value:
    """Scale and bias are per group before version 21, per channel from then on."""
    x, groups = ctx.value(0), int(ctx.attr("num_groups"))
    batch, channels, *rest = x.type.shape
    if not isinstance(channels, int) or channels % groups:
        ctx.fail(f"{channels} channels do not fit {groups} groups")
    split = ctx.builder.reshape(x, (batch, groups, channels // groups, *rest))
    axes = tuple(range(2, split.type.rank))
    y = _centre_and_scale(ctx, split, axes, float(ctx.attr("epsilon", 1e-5)))
    rank = split.type.rank if ctx.version < 21 else x.type.rank
    y = y if ctx.version < 21 else ctx.builder.reshape(y, x.type.shape)
    y = ctx.builder.cast(_scale_and_shift(ctx, y, rank), x.type.dtype)
    return ctx.builder.reshape(y, x.type.shape)


@onnx_op("MeanVarianceNormalization", since=9)
def mean_variance_normalization(ctx: Context) -> Value:
    x = ctx.value(0)
    axes = ctx.int_list("axes", (0, 2, 3))
    axes = tuple(sorted(ctx.normal_axis(a, x.type.rank) for a in axes))
    return ctx.builder.cast(_centre_and_scale(ctx, x, axes, 1e-18), x.type.dtype)


@onnx_op("LpNormalization")
def lp_normalization(ctx: Context) -> Value:
    """A row of zeros stays zero."""
    x, p = ctx.value(0), int(ctx.attr("p", 2))
    if p not in (1, 2):
        ctx.fail(f"p is {p}, supported are 1 and 2")
    axis = ctx.axis(x.type.rank, -1)
    wide = ctx.wide(x)
    norm = ctx.emit("reduce", wide, op=f"l{p}", axes=(axis,), keepdims=True)
    y = ctx.emit("div", wide, ctx.emit("maximum", norm, ctx.scalar(1e-38, norm)))
    return ctx.builder.cast(y, x.type.dtype)
