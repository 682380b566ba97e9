"""Activations; Gelu and its kin of ONNX Runtime's own domain."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .context import Context
from .registry import MICROSOFT, onnx_op

# op type: (operator, first version, attributes with their defaults)
TABLE: dict[str, tuple[str, int, dict[str, float]]] = {
    "Relu": ("relu", 1, {}),
    "LeakyRelu": ("leaky_relu", 1, {"alpha": 0.01}),
    "Elu": ("elu", 1, {"alpha": 1.0}),
    "Celu": ("celu", 12, {"alpha": 1.0}),
    "HardSigmoid": ("hard_sigmoid", 1, {"alpha": 0.2, "beta": 0.5}),
    "HardSwish": ("hard_swish", 14, {}),
    "Mish": ("mish", 18, {}),
    "Softplus": ("softplus", 1, {}),
    "Softsign": ("softsign", 1, {}),
    "ThresholdedRelu": ("thresholded_relu", 10, {"alpha": 1.0}),
    "Shrink": ("shrink", 9, {"lambd": 0.5, "bias": 0.0}),
    "Swish": ("swish", 24, {"alpha": 1.0}),
}


def _activation(ctx: Context, op: str, defaults: dict[str, float]) -> Value:
    attrs = {name: float(ctx.attr(name, default)) for name, default in defaults.items()}
    x = ctx.value(0)
    if not x.type.dtype.is_float and op != "relu":
        ctx.fail(f"expected floats, got {x.type}")
    return ctx.emit(op, x, **attrs)


def _register() -> None:
    for name, (op, since, defaults) in TABLE.items():
        onnx_op(name, since)(lambda ctx, op=op, table=defaults: _activation(ctx, op, table))
    selu = {"alpha": 1.67326319217681884765625, "gamma": 1.05070102214813232421875}
    onnx_op("Selu", 1)(lambda ctx: _activation(ctx, "selu", {"alpha": 1.6732, "gamma": 1.0507}))
    onnx_op("Selu", 6)(lambda ctx: _activation(ctx, "selu", selu))
    quick = {"alpha": 1.702}
    onnx_op("QuickGelu", 1, MICROSOFT)(lambda ctx: _activation(ctx, "swish", quick))
    onnx_op("Gelu", 1, MICROSOFT)(lambda ctx: _activation(ctx, "gelu", {}))


_register()


@onnx_op("PRelu")
def prelu(ctx: Context) -> Value:
    """Before version 7 a slope of one dim runs along the channels (axis 1)."""
    x, slope = ctx.value(0), ctx.value(1)
    if ctx.version < 7 and slope.type.rank == 1 and x.type.rank > 2:
        slope = ctx.builder.reshape(slope, (*slope.type.shape, *(1,) * (x.type.rank - 2)))
    return ctx.emit("prelu", x, slope)


@onnx_op("Gelu", since=20)
def gelu(ctx: Context) -> Value:
    form = ctx.attr("approximate", "none")
    if form not in ("none", "tanh"):
        ctx.fail(f"approximate is {form!r}, expected none or tanh")
    return ctx.emit("gelu" if form == "none" else "gelu_tanh", ctx.value(0))


@onnx_op("BiasGelu", domain=MICROSOFT)
def bias_gelu(ctx: Context) -> Value:
    return ctx.emit("gelu", ctx.emit("add", ctx.value(0), ctx.value(1)))


@onnx_op("FastGelu", domain=MICROSOFT)
def fast_gelu(ctx: Context) -> Value:
    x = ctx.value(0)
    return ctx.emit("gelu_tanh", ctx.emit("add", x, ctx.value(1)) if ctx.has(1) else x)
