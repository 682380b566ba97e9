"""Attributes of ONNX's window operators (Conv, pools), resolved: kernel, strides, pads, dilations
of one to three spatial axes.

Values are channel-last, [N, *spatial, C]. auto_pad on a symbolic size with a stride depends on the
remainder, so such an input is padded explicitly.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hidet_core.compute.dims import Dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.expr import maximum, minimum, wrap

from .context import Context


@dataclass(frozen=True)
class Windows:
    """One entry per spatial axis; pads: before all axes, then after all axes."""

    kernel: tuple[int, ...]
    strides: tuple[int, ...]
    pads: tuple[int, ...]
    dilations: tuple[int, ...]

    def of_axes(self, *axes: int | None) -> Windows:
        """The windows of some of the axes; None: an axis of size 1 with nothing to do."""
        count = len(self.kernel)

        def pick(values: Sequence[int], offset: int, plain: int) -> tuple[int, ...]:
            return tuple(plain if axis is None else values[axis + offset] for axis in axes)

        return Windows(
            pick(self.kernel, 0, 1),
            pick(self.strides, 0, 1),
            pick(self.pads, 0, 0) + pick(self.pads, count, 0),
            pick(self.dilations, 0, 1),
        )


def channel_last(ctx: Context, x: Value) -> Value:
    """[N, C, *spatial] as [N, *spatial, C]."""
    if not 3 <= x.type.rank <= 5:
        ctx.fail(f"expected one to three spatial dims, got {x.type}")
    return ctx.builder.transpose(x, (0, *range(2, x.type.rank), 1))


def channel_first(ctx: Context, y: Value) -> Value:
    """The way back."""
    return ctx.builder.transpose(y, (0, y.type.rank - 1, *range(1, y.type.rank - 1)))


def to_nhwc(ctx: Context, x: Value) -> Value:
    """[N, C, W] or [N, C, H, W] as [N, H, W, C]."""
    if x.type.rank not in (3, 4):
        ctx.fail(f"expected one or two spatial dims, got {x.type}")
    if x.type.rank == 3:
        batch, channels, width = x.type.shape
        x = ctx.builder.reshape(x, (batch, channels, 1, width))
    return channel_last(ctx, x)


def from_nhwc(ctx: Context, y: Value, rank: int) -> Value:
    """The way back to 3 or 4 dims."""
    y = channel_first(ctx, y)
    if rank == 3:
        batch, channels, _, width = y.type.shape
        y = ctx.builder.reshape(y, (batch, channels, width))
    return y


def read_windows(
    ctx: Context, x: Value, kernel: Sequence[int], fill: float | None = None
) -> tuple[Value, Windows]:
    """Attributes of the node for a channel-last input, which comes back: padded with `fill` where
    the pads depend on symbols (refused where it is None).
    """
    sizes, count = x.type.shape[1:-1], x.type.rank - 2
    strides = ctx.int_list("strides", [1] * count)
    dilations = ctx.int_list("dilations", [1] * count)
    mode = ctx.attr("auto_pad", "NOTSET")
    pads = [0] * (2 * count)
    if mode == "NOTSET":
        pads = ctx.int_list("pads", pads)
    elif mode not in ("VALID", "SAME_UPPER", "SAME_LOWER"):
        ctx.fail(f"auto_pad {mode!r} is unknown")
    if not len(kernel) == len(strides) == len(dilations) == count or len(pads) != 2 * count:
        ctx.fail(f"kernel, strides and pads do not fit {x.type}")
    if min(pads) < 0 or min(strides) < 1 or min(dilations) < 1 or min(kernel) < 1:
        ctx.fail(f"pads {pads}, strides {strides} or dilations {dilations} are out of range")
    if mode.startswith("SAME"):
        for axis in range(count):
            reach = (kernel[axis] - 1) * dilations[axis] + 1
            size, stride = sizes[axis], strides[axis]
            if stride > 1 and not isinstance(size, int):
                if fill is None:
                    ctx.fail(f"auto_pad {mode} with stride {stride} on a symbolic size")
                x = _pad_same(ctx, x, axis + 1, (reach, stride, mode), fill)
            else:
                pads[axis], pads[axis + count] = _same_pads(size, reach, stride, mode)
    return x, Windows(tuple(kernel), tuple(strides), tuple(pads), tuple(dilations))


def _same_pads(size: Dim, reach: int, stride: int, mode: str) -> tuple[int, int]:
    """Padding that makes the output ceil(size / stride) long."""
    if stride == 1 or not isinstance(size, int):
        total = reach - 1
    else:
        total = max((-(-size // stride) - 1) * stride + reach - size, 0)
    small, large = total // 2, total - total // 2
    return (small, large) if mode == "SAME_UPPER" else (large, small)


def _pad_same(ctx: Context, x: Value, axis: int, how: tuple[int, int, str], fill: float) -> Value:
    """x as all windows along a symbolic axis read it: cut from a border that is always enough.

    how: reach of a window, stride, auto_pad.
    """
    reach, stride, mode = how
    border = tuple(reach - 1 if k == axis else 0 for k in range(x.type.rank))
    wide = ctx.emit("pad", x, before=border, after=border, mode="constant", value=fill)
    size = x.type.shape[axis]
    used = ((size + (stride - 1)) // stride - 1) * stride + reach
    total = maximum(wrap(used - size), 0)
    before = total // 2 if mode == "SAME_UPPER" else (total + 1) // 2
    starts, sizes = [0] * x.type.rank, list(wide.type.shape)
    starts[axis], sizes[axis] = simplify((reach - 1) - before), simplify(used)
    return ctx.emit(
        "slice", wide, starts=tuple(starts), steps=(1,) * x.type.rank, sizes=tuple(sizes)
    )


def pool_out(ctx: Context, x: Value, w: Windows) -> tuple[Dim, ...]:
    """Output sizes of a pool; with ceil_mode no window begins in the end padding."""
    ceil = bool(ctx.attr("ceil_mode", 0)) and ctx.attr("auto_pad", "NOTSET") == "NOTSET"
    return tuple(_out_along(ctx, size, w, k, ceil) for k, size in enumerate(x.type.shape[1:-1]))


def _out_along(ctx: Context, size: Dim, w: Windows, k: int, ceil: bool) -> Dim:
    before, after, stride = w.pads[k], w.pads[k + len(w.kernel)], w.strides[k]
    span = size + (before + after - (w.kernel[k] - 1) * w.dilations[k] - 1)
    if isinstance(span, int) and span < 0:
        ctx.fail(f"a window is larger than the padded image of {size}")
    if not ceil:
        return simplify(span // stride + 1)
    out = (span + (stride - 1)) // stride + 1
    begins = (size + (before - 1)) // stride + 1
    if isinstance(out, int) and isinstance(begins, int):
        return min(out, begins)
    return simplify(minimum(wrap(out), wrap(begins)))
