"""Elementwise arithmetic, comparison and logic."""

from __future__ import annotations

from hidet_core.graph.graph import Value

from .context import Context
from .registry import onnx_op

BINARY = {"Add": "add", "Sub": "sub", "Mul": "mul", "Div": "div"}


def _binary(ctx: Context, op: str) -> Value:
    a, b = ctx.value(0), ctx.value(1)
    return ctx.emit(op, a, b)


def _register() -> None:
    for name, op in BINARY.items():
        onnx_op(name)(lambda ctx, op=op: _binary(ctx, op))


@onnx_op("Sum")
def sum_(ctx: Context) -> Value:
    total, *others = ctx.values()
    for other in others:
        total = ctx.emit("add", total, other)
    return total


_register()
