"""Attributes of ONNX's window operators (Conv, pools), resolved: kernel, strides, pads, dilations
as (h, w) pairs.

One spatial dim becomes (1, w). auto_pad needs static sizes unless the padding does not depend on
them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hidet_core.compute.dims import Dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.expr import minimum, wrap

from .context import Context


@dataclass(frozen=True)
class Windows:
    """pads: top, left, bottom, right."""

    kernel: tuple[int, int]
    strides: tuple[int, int]
    pads: tuple[int, int, int, int]
    dilations: tuple[int, int]


def to_nhwc(ctx: Context, x: Value) -> Value:
    """[N, C, W] or [N, C, H, W] as [N, H, W, C]."""
    if x.type.rank not in (3, 4):
        ctx.fail(f"expected one or two spatial dims, got {x.type}")
    if x.type.rank == 3:
        batch, channels, width = x.type.shape
        x = ctx.builder.reshape(x, (batch, channels, 1, width))
    return ctx.builder.transpose(x, (0, 2, 3, 1))


def from_nhwc(ctx: Context, y: Value, rank: int) -> Value:
    """The way back to 3 or 4 dims, channels second."""
    y = ctx.builder.transpose(y, (0, 3, 1, 2))
    if rank == 3:
        batch, channels, _, width = y.type.shape
        y = ctx.builder.reshape(y, (batch, channels, width))
    return y


def read_windows(ctx: Context, x: Value, kernel: Sequence[int]) -> Windows:
    """Attributes of the node for an input [N, C, ...]."""
    sizes, count = x.type.shape[2:], x.type.rank - 2
    strides = ctx.int_list("strides", [1] * count)
    dilations = ctx.int_list("dilations", [1] * count)
    mode = ctx.attr("auto_pad", "NOTSET")
    if mode == "NOTSET":
        pads = ctx.int_list("pads", [0] * (2 * count))
    elif mode == "VALID":
        pads = [0] * (2 * count)
    elif mode in ("SAME_UPPER", "SAME_LOWER"):
        sides = [
            _same_pads(ctx, sizes[k], (kernel[k] - 1) * dilations[k] + 1, strides[k], mode)
            for k in range(count)
        ]
        pads = [before for before, _ in sides] + [after for _, after in sides]
    else:
        ctx.fail(f"auto_pad {mode!r} is unknown")
    if len(kernel) != count or len(strides) != count or len(pads) != 2 * count:
        ctx.fail(f"kernel, strides and pads do not fit {x.type}")
    if min(pads) < 0 or min(strides) < 1 or min(dilations) < 1 or min(kernel) < 1:
        ctx.fail(f"pads {pads}, strides {strides} or dilations {dilations} are out of range")
    if count == 1:
        return Windows((1, kernel[0]), (1, strides[0]), (0, pads[0], 0, pads[1]), (1, dilations[0]))
    return Windows(tuple(kernel), tuple(strides), tuple(pads), tuple(dilations))


def _same_pads(ctx: Context, size: Dim, reach: int, stride: int, mode: str) -> tuple[int, int]:
    """Padding that makes the output ceil(size / stride) long."""
    if stride == 1:
        total = reach - 1
    elif isinstance(size, int):
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    else:
        ctx.fail(f"auto_pad {mode} with stride {stride} on a symbolic size")
    small, large = total // 2, total - total // 2
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def pool_out(ctx: Context, x: Value, w: Windows) -> tuple[Dim, Dim]:
    """Output sizes of a pool; with ceil_mode no window begins in the end padding."""
    sizes = x.type.shape[2:]
    sizes = (1, *sizes) if len(sizes) == 1 else sizes
    ceil = bool(ctx.attr("ceil_mode", 0)) and ctx.attr("auto_pad", "NOTSET") == "NOTSET"
    return tuple(_out_along(sizes[k], w, k, ceil) for k in range(2))


def _out_along(size: Dim, w: Windows, k: int, ceil: bool) -> Dim:
    before, after, stride = w.pads[k], w.pads[k + 2], w.strides[k]
    span = size + (before + after - (w.kernel[k] - 1) * w.dilations[k] - 1)
    if not ceil:
        return simplify(span // stride + 1)
    out = (span + (stride - 1)) // stride + 1
    begins = (size + (before - 1)) // stride + 1
    if isinstance(out, int) and isinstance(begins, int):
        return min(out, begins)
    return simplify(minimum(wrap(out), wrap(begins)))
