"""MatMulNBits of ONNX Runtime's own domain: weights of 4 or 8 bits in blocks, multiplied in
float32. What says how accurate a sum has to be (accuracy_level) is kept by any way to add."""

from __future__ import annotations

import numpy as np

from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import u8

from .context import Context
from .registry import MICROSOFT, onnx_op


@onnx_op("MatMulNBits", domain=MICROSOFT)
def matmul_nbits(ctx: Context) -> Value:
    """(a, b[N, blocks, bytes], scales, zero points, g_idx, bias)."""
    a, w, bits = ctx.value(0), ctx.value(1), int(ctx.attr("bits", 4))
    depth, columns, block = (int(ctx.attr(name)) for name in ("K", "N", "block_size"))
    if ctx.has(4):
        ctx.fail("g_idx is not supported")
    if bits not in (4, 8):
        ctx.fail(f"{bits} bits are not supported, 4 and 8 are")
    if not isinstance(a.type.shape[-1], int) or a.type.shape[-1] != depth or a.type.rank < 1:
        ctx.fail(f"expected K = {depth} columns, got {a.type}")
    blocks = -(-depth // block)
    builder = ctx.builder
    w = builder.reshape(w, (columns, blocks, block * bits // 8))
    scale = builder.reshape(ctx.value(2), (columns, blocks))
    rows = a if a.type.rank > 1 else builder.reshape(a, (1, depth))
    zero = _zero_points(ctx, bits, (columns, blocks), scale)
    shift = ctx.emit("neg", ctx.emit("mul", zero, scale))
    y = ctx.emit("matmul_nbits", rows, w, scale, shift, bits=bits, block=block)
    y = y if a.type.rank > 1 else builder.reshape(y, (columns,))
    return ctx.emit("add", y, ctx.value(5)) if ctx.has(5) else y


def _zero_points(ctx: Context, bits: int, shape: tuple[int, int], scale: Value) -> Value:
    """As floats [N, blocks]: those of the third input, packed as the weights are, else the middle
    of the range.
    """
    if not ctx.has(3):
        return ctx.scalar(1 << bits - 1, scale)
    given = ctx.value(3)
    if given.type.dtype.is_float:
        return ctx.builder.reshape(given, shape)
    if given.type.dtype != u8:
        ctx.fail(f"zero points of {given.type}")
    columns, blocks = shape
    if bits == 8:
        return ctx.builder.cast(ctx.builder.reshape(given, shape), scale.type.dtype)
    packed = ctx.constant(3, "zero points of 4 bits").reshape(columns, (blocks + 1) // 2)
    halves = np.stack([packed & 15, packed >> 4], axis=-1).reshape(columns, -1)[:, :blocks]
    whole = ctx.builder.constant(np.ascontiguousarray(halves), "zeros")
    return ctx.builder.cast(whole, scale.type.dtype)
