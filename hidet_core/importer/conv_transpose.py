"""ConvTranspose as one convolution of stride 1 (sub-pixel convolution, Shi et al., CVPR'16).

Along an axis with stride s, output positions o = q * s + phase - shift with the same q read the
same few inputs, so a convolution with s times the channels computes all phases of q at once; then
channels become positions. A tap that a phase does not have is a zero in the rearranged weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import chain

import numpy as np

from hidet_core.compute.dims import Dim, product, same_shape, simplify
from hidet_core.graph.graph import Value

from .context import Context
from .convolution import convolve
from .registry import onnx_op
from .windows import Windows, channel_first, channel_last


@dataclass(frozen=True)
class Phases:
    """One axis of n inputs. table[tap][phase]: the tap of the transposed kernel, None: a zero.

    first: of the taps, relative to q. shift: position 0 of the output is phase `shift` of q = 0.
    beyond: sizes are out = n * stride + beyond.
    """

    stride: int
    dilation: int
    table: tuple[tuple[int | None, ...], ...]
    first: int
    shift: int
    beyond: int

    @property
    def more(self) -> int:
        """How many more values of q there are than inputs."""
        return -(-(self.shift + self.beyond) // self.stride)

    @property
    def pads(self) -> tuple[int, int]:
        """Of the convolution; negative before: inputs that nothing reads."""
        reach = (len(self.table) - 1) * self.dilation
        return -self.first, max(self.more + self.first + reach, 0)


@onnx_op("ConvTranspose")
def conv_transpose(ctx: Context) -> Value:
    """Weights are [C, O/groups, *kernel]."""
    x, w, groups = ctx.value(0), ctx.value(1), int(ctx.attr("group", 1))
    if not w.type.is_static or w.type.rank != x.type.rank:
        ctx.fail(f"weights of {w.type} do not fit an input of {x.type}")
    last = channel_last(ctx, x)
    axes = _axes(ctx, last.type.shape[1:-1], [int(n) for n in w.type.shape[2:]])
    weights = _weights(ctx, w, axes, groups)
    last = _without_unread(ctx, last, axes)
    pads = [max(axis.pads[0], 0) for axis in axes] + [axis.pads[1] for axis in axes]
    windows = Windows(
        tuple(len(axis.table) for axis in axes),
        (1,) * len(axes),
        tuple(pads),
        tuple(axis.dilation for axis in axes),
    )
    y = convolve(ctx, last, weights, windows, groups)
    y = _interleave(ctx, y, axes, groups)
    y = _cut(ctx, y, x.type.shape[2:], axes)
    y = ctx.emit("add", y, ctx.value(2)) if ctx.has(2) else y
    return channel_first(ctx, y)


def _axes(ctx: Context, sizes: Sequence[Dim], kernel: Sequence[int]) -> list[Phases]:
    """The phases of all axes, from the attributes of the node."""
    count = len(sizes)
    strides = ctx.int_list("strides", [1] * count)
    dilations = ctx.int_list("dilations", [1] * count)
    extra = ctx.int_list("output_padding", [0] * count)
    pads = ctx.int_list("pads", [0] * (2 * count))
    wanted = ctx.int_list("output_shape", [])[-count:]
    mode = ctx.attr("auto_pad", "NOTSET")
    if mode not in ("NOTSET", "VALID", "SAME_UPPER", "SAME_LOWER"):
        ctx.fail(f"auto_pad {mode!r} is unknown")
    if {len(strides), len(dilations), len(extra)} != {count} or len(pads) != 2 * count:
        ctx.fail(f"strides, dilations and pads do not fit {count} spatial dims")
    if min(strides) < 1 or min(dilations) < 1 or min(pads) < 0 or min(extra) < 0:
        ctx.fail(f"pads {pads}, strides {strides} or dilations {dilations} are out of range")
    found = []
    for k, size in enumerate(sizes):
        reach = (kernel[k] - 1) * dilations[k] + 1
        full = reach - strides[k] + extra[k]  # what an output without pads has beyond n * stride
        if wanted and not isinstance(size, int):
            ctx.fail("output_shape with a symbolic size")
        beyond = wanted[k] - int(size) * strides[k] if wanted else 0
        before = 0
        if wanted or mode.startswith("SAME"):
            total = max(full - beyond, 0)
            before = total // 2 if mode == "SAME_UPPER" else total - total // 2
            if not wanted:
                beyond = full - total
        elif mode == "NOTSET":
            before, beyond = pads[k], full - pads[k] - pads[k + count]
        else:
            beyond = full
        found.append(find_phases(kernel[k], strides[k], dilations[k], before, beyond))
    return found


def find_phases(taps: int, stride: int, dilation: int, before: int, beyond: int) -> Phases:
    """The phases with the fewest taps; of these the ones without a shift."""
    if stride == 1:
        table = tuple((tap,) for tap in reversed(range(taps)))
        return Phases(1, dilation, table, before - (taps - 1) * dilation, 0, beyond)
    choices = [
        Phases(stride, 1, *_table(taps, stride, dilation, before - shift), shift, beyond)
        for shift in range(stride)
    ]
    return min(choices, key=lambda found: (len(found.table), found.shift))


def _table(
    taps: int, stride: int, dilation: int, before: int
) -> tuple[tuple[tuple[int | None, ...], ...], int]:
    """(table, first): input q + offset meets tap t in phase p where
    q * stride + p + before = (q + offset) * stride + t * dilation.
    """
    places = []
    for tap in range(taps):
        phase = (tap * dilation - before) % stride
        places.append(((phase + before - tap * dilation) // stride, phase))
    offsets = [offset for offset, _ in places]
    first, count = min(offsets), max(offsets) - min(offsets) + 1
    table: list[list[int | None]] = [[None] * stride for _ in range(count)]
    for tap, (offset, phase) in enumerate(places):
        table[offset - first][phase] = tap
    return tuple(map(tuple, table)), first


def _weights(ctx: Context, w: Value, axes: Sequence[Phases], groups: int) -> Value:
    """[C, O/g, *kernel] -> [*taps, C/g, groups * phases * O/g]."""
    count, channels = len(axes), int(w.type.shape[0])
    per_group = int(w.type.shape[1])
    for k, axis in enumerate(axes):
        taps, picked = int(w.type.shape[2 + k]), list(chain(*axis.table))
        if None in picked:
            border = tuple(int(dim == 2 + k) for dim in range(count + 2))
            none = (0,) * (count + 2)
            w = ctx.emit("pad", w, before=none, after=border, mode="constant", value=0.0)
        places = np.array([taps if tap is None else tap for tap in picked], np.int64)
        w = ctx.emit("gather", w, ctx.builder.constant(places, "taps"), axis=2 + k)
    pairs = [(len(axis.table), axis.stride) for axis in axes]
    split = (groups, channels // groups, per_group, *chain(*pairs))
    steps = range(3, 3 + 2 * count, 2)
    perm = (*steps, 1, 0, *(k + 1 for k in steps), 2)
    w = ctx.builder.transpose(ctx.builder.reshape(w, split), perm)
    columns = product((groups, *(axis.stride for axis in axes), per_group))
    return ctx.builder.reshape(w, (*(taps for taps, _ in pairs), channels // groups, columns))


def _without_unread(ctx: Context, x: Value, axes: Sequence[Phases]) -> Value:
    """x without the first inputs along axes where no output reads them."""
    starts = (0, *(max(-axis.pads[0], 0) for axis in axes), 0)
    if not any(starts):
        return x
    sizes = tuple(simplify(size - start) for size, start in zip(x.type.shape, starts, strict=True))
    if any(isinstance(size, int) and size < 1 for size in sizes[1:-1]):
        ctx.fail(f"no output reads any of {x.type}")
    return ctx.emit("slice", x, starts=starts, steps=(1,) * len(starts), sizes=sizes)


def _interleave(ctx: Context, y: Value, axes: Sequence[Phases], groups: int) -> Value:
    """[N, *q, groups * phases * O/g] -> [N, *(q * stride), O]."""
    count, (batch, *sizes, columns) = len(axes), y.type.shape
    strides = [axis.stride for axis in axes]
    if set(strides) == {1}:
        return y
    per_group = int(columns) // (groups * int(product(strides)))
    y = ctx.builder.reshape(y, (batch, *sizes, groups, *strides, per_group))
    pairs = chain(*((1 + k, 2 + count + k) for k in range(count)))
    y = ctx.builder.transpose(y, (0, *pairs, 1 + count, 2 + 2 * count))
    grown = (simplify(size * stride) for size, stride in zip(sizes, strides, strict=True))
    return ctx.builder.reshape(y, (batch, *grown, groups * per_group))


def _cut(ctx: Context, y: Value, sizes: Sequence[Dim], axes: Sequence[Phases]) -> Value:
    """The outputs that the node has."""
    out = [simplify(n * axis.stride + axis.beyond) for n, axis in zip(sizes, axes, strict=True)]
    starts = (0, *(axis.shift for axis in axes), 0)
    whole = (y.type.shape[0], *out, y.type.shape[-1])
    if not any(starts) and same_shape(y.type.shape, whole):
        return y
    return ctx.emit("slice", y, starts=starts, steps=(1,) * len(starts), sizes=whole)
