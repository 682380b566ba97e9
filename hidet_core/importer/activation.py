"""Activations."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op


@onnx_op("Relu")
def relu(ctx: Context) -> Value:
    return ctx.emit("relu", ctx.value(0))
