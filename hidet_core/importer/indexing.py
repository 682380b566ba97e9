"""Moving and picking elements: Transpose, Concat, Slice, Split, Gather*, Pad, Tile, OneHot, Trilu,
EyeLike, ReverseSequence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.compute.dims import Dim, dim_expr, exact_div, same_dim, simplify
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import from_onnx, i64
from hidet_core.ir.expr import is_const, maximum, minimum
from hidet_core.ir.halves import single

from .context import Context, Entry, known
from .dim_arithmetic import from_start, is_natural
from .registry import onnx_op


@onnx_op("Transpose")
def transpose(ctx: Context) -> Value:
    x = ctx.value(0)
    return ctx.builder.transpose(x, ctx.int_list("perm", list(range(x.type.rank))[::-1]))


@onnx_op("Concat")
def concat(ctx: Context) -> Entry:
    if (parts := ctx.all_known()) is not None:
        return known(np.concatenate(parts, axis=0))
    values = ctx.values()
    if ctx.version >= 4 and "axis" not in ctx.node.attributes:
        ctx.fail("attribute axis is missing")
    axis = ctx.axis(values[0].type.rank, 1)
    filled = [value for value in values if not is_const(value.type.shape[axis], 0)] or values[:1]
    return filled[0] if len(filled) == 1 else ctx.emit("concat", *filled, axis=axis)


@onnx_op("Slice", since=1)
def slice_1(ctx: Context) -> Entry:
    starts, ends = ctx.int_list("starts", []), ctx.int_list("ends", [])
    axes = ctx.int_list("axes", range(len(starts)))
    return _slice(ctx, starts, ends, axes, [1] * len(starts))


@onnx_op("Slice", since=10)
def slice_10(ctx: Context) -> Entry:
    starts, ends = ctx.dims(1, "starts"), ctx.dims(2, "ends")
    axes = ctx.ints(3, "axes") if ctx.has(3) else range(len(starts))
    steps = ctx.ints(4, "steps") if ctx.has(4) else [1] * len(starts)
    return _slice(ctx, starts, ends, axes, steps)


def _slice(
    ctx: Context,
    starts: Sequence[Dim],
    ends: Sequence[Dim],
    axes: Sequence[int],
    steps: Sequence[int],
) -> Entry:
    elements = ctx.known(0) if ctx.is_symbolic() else None
    if elements is not None and elements.ndim == 1 and len(starts) == 1:
        if isinstance(starts[0], int) and isinstance(ends[0], int):
            return known(elements[_python_slice(starts[0], ends[0], int(steps[0]))])
    x = ctx.value(0)
    rank = x.type.rank
    begin: list[Dim] = [0] * rank
    stride, sizes = [1] * rank, list(x.type.shape)
    for start, end, axis, step in zip(starts, ends, axes, steps, strict=True):
        k = ctx.normal_axis(int(axis), rank)
        begin[k], sizes[k] = _bounds(ctx, x.type.shape[k], start, end, int(step))
        stride[k] = int(step)
    if all(same_dim(a, b) for a, b in zip(sizes, x.type.shape, strict=True)) and set(stride) == {1}:
        return x
    return ctx.emit("slice", x, starts=tuple(begin), steps=tuple(stride), sizes=tuple(sizes))


def _python_slice(start: int, end: int, step: int) -> slice:
    """ONNX's bounds: an end far below zero means "to the first" when going backwards."""
    return slice(start, None if step < 0 and end < -(1 << 31) + 2 else end, step)


def _bounds(ctx: Context, size: Dim, start: Dim, end: Dim, step: int) -> tuple[Dim, Dim]:
    """First index and number of elements along one axis."""
    if step == 0:
        ctx.fail("a step is 0")
    if isinstance(size, int) and isinstance(start, int) and isinstance(end, int):
        # backwards, ONNX clamps a start to the first element, an end to what is before it
        lows, high = ((0, 0), size) if step > 0 else ((0, -1), size - 1)
        places = zip((start, end), lows, strict=True)
        first, last = (min(max(n + size if n < 0 else n, low), high) for n, low in places)
        return first, max(-((first - last) // step), 0)
    if step < 0:
        return _bounds_backwards(size, start, end, -step)
    first, last = (_clamped(n, size) for n in (start, end))
    count = simplify((last - first + (step - 1)) // step)
    certain = isinstance(count, int) or (isinstance(first, int) and first == 0)
    return first, count if certain else simplify(maximum(count, 0))


def _bounds_backwards(size: Dim, start: Dim, end: Dim, step: int) -> tuple[Dim, Dim]:
    """_bounds for a negative step, given as its size."""
    last: Dim = size - 1

    def clamped(bound: Dim, low: int) -> Dim:
        """Into [low, size - 1]."""
        if isinstance(bound, int) and bound < 0:
            below = bound < -(1 << 31) + 2
            if below or bound == -1:
                return low if below else last
            return minimum(dim_expr(last), maximum(size + bound, low))
        is_open = isinstance(bound, int) and bound >= (1 << 31) - 1
        if is_open or is_natural(bound):
            return last if is_open else minimum(dim_expr(last), bound)
        return minimum(dim_expr(last), maximum(from_start(bound, size), low))

    first, stop = clamped(start, 0), clamped(end, -1)
    count = simplify((first - stop + (step - 1)) // step)
    certain = first is last and isinstance(stop, int)
    return simplify(first), count if certain else simplify(maximum(dim_expr(count), 0))


def _clamped(bound: Dim, size: Dim) -> Dim:
    """A bound counted from the start and cut to [0, size]."""
    if isinstance(bound, int) and bound < 0:
        shifted = simplify(size + bound)
        return max(shifted, 0) if isinstance(shifted, int) else simplify(maximum(shifted, 0))
    if bound == 0 or same_dim(bound, size):
        return bound
    if isinstance(bound, int) and bound >= (1 << 31) - 1:
        return size
    if not is_natural(bound):
        return simplify(maximum(minimum(from_start(bound, size), size), 0))
    return simplify(minimum(size, bound) if not isinstance(size, int) else minimum(bound, size))


@onnx_op("Split", since=1)
def split(ctx: Context) -> tuple[Value, ...]:
    x = ctx.value(0)
    axis, count = ctx.axis(x.type.rank, 0), len(ctx.node.outputs)
    begin: Dim = 0
    pieces = []
    for size in _split_sizes(ctx, x.type.shape[axis], count):
        starts = tuple(begin if k == axis else 0 for k in range(x.type.rank))
        sizes = tuple(size if k == axis else dim for k, dim in enumerate(x.type.shape))
        steps = (1,) * x.type.rank
        pieces.append(ctx.emit("slice", x, starts=starts, steps=steps, sizes=sizes))
        begin = simplify(begin + size)
    if not same_dim(begin, x.type.shape[axis]):
        ctx.fail(f"the pieces do not add up to axis {axis} of {x.type}")
    return tuple(pieces)


def _split_sizes(ctx: Context, size: Dim, count: int) -> list[Dim]:
    if ctx.version >= 13 and ctx.has(1):
        return list(ctx.dims(1, "split"))
    if ctx.version < 13 and "split" in ctx.node.attributes:
        return list(ctx.int_list("split", []))
    if not isinstance(size, int):
        part = exact_div(size, count)
        return [part] * count if part is not None else ctx.fail("an even split of a symbolic dim")
    piece = -(-size // count)
    return [min(piece, max(size - piece * k, 0)) for k in range(count)]


@onnx_op("Gather")
def gather(ctx: Context) -> Entry:
    if (found := ctx.all_known()) is not None:
        elements, indices = found
        if elements.ndim == 1 and all(isinstance(n, int) for n in indices.flat):
            return known(np.asarray(np.take(elements, indices.astype(np.int64)), object))
    x = ctx.value(0)
    return ctx.emit("gather", x, ctx.value(1), axis=ctx.axis(x.type.rank, 0))


@onnx_op("GatherElements", since=11)
def gather_elements(ctx: Context) -> Value:
    x = ctx.value(0)
    return ctx.emit("gather_elements", x, ctx.value(1), axis=ctx.axis(x.type.rank, 0))


@onnx_op("GatherND", since=11)
def gather_nd(ctx: Context) -> Value:
    batch = int(ctx.attr("batch_dims", 0))
    return ctx.emit("gather_nd", ctx.value(0), ctx.value(1), batch_dims=batch)


@onnx_op("Tile", since=6)
def tile(ctx: Context) -> Value:
    return ctx.emit("tile", ctx.value(0), repeats=ctx.dims(1, "repeats"))


@onnx_op("Pad", since=2)
def pad_2(ctx: Context) -> Value:
    x = ctx.value(0)
    return _pad(ctx, x, ctx.int_list("pads", []), float(ctx.attr("value", 0.0)))


@onnx_op("Pad", since=11)
def pad_11(ctx: Context) -> Value:
    x = ctx.value(0)
    pads = list(ctx.ints(1, "pads"))
    fill = single(ctx.constant(2, "constant_value")).item() if ctx.has(2) else 0
    if ctx.has(3):
        axes = [ctx.normal_axis(axis, x.type.rank) for axis in ctx.ints(3, "axes")]
        full = [0] * (2 * x.type.rank)
        for k, axis in enumerate(axes):
            full[axis], full[axis + x.type.rank] = pads[k], pads[k + len(axes)]
        pads = full
    return _pad(ctx, x, pads, fill)


def _pad(ctx: Context, x: Value, pads: list[int], fill: float) -> Value:
    """Negative pads cut off."""
    rank = x.type.rank
    if len(pads) != 2 * rank:
        ctx.fail(f"pads {pads} do not fit {x.type}")
    if min(pads, default=0) < 0:
        starts = tuple(max(-before, 0) for before in pads[:rank])
        cuts = zip(x.type.shape, starts, pads[rank:], strict=True)
        sizes = tuple(simplify(dim - start - max(-after, 0)) for dim, start, after in cuts)
        x = ctx.emit("slice", x, starts=starts, steps=(1,) * rank, sizes=sizes)
        pads = [max(pad, 0) for pad in pads]
    mode = ctx.attr("mode", "constant")
    number = bool(fill) if x.type.dtype.is_bool else fill
    before, after = tuple(pads[:rank]), tuple(pads[rank:])
    if not any(pads):
        return x
    return ctx.emit("pad", x, before=before, after=after, mode=mode, value=number)


@onnx_op("OneHot", since=9)
def one_hot(ctx: Context) -> Value:
    indices = ctx.value(0)
    if ctx.value(1).type.dtype.is_float:
        depth: Dim = int(ctx.constant(1, "depth").item())
    else:
        (depth,) = ctx.dims(1, "depth")
    axis = ctx.axis(indices.type.rank + 1, -1)
    return ctx.emit("one_hot", indices, ctx.value(2), depth=depth, axis=axis)


@onnx_op("Trilu", since=14)
def trilu(ctx: Context) -> Value:
    upper, known = bool(ctx.attr("upper", 1)), ctx.known(1) if ctx.has(1) else None
    if ctx.has(1) and known is None:
        return ctx.emit("trilu", ctx.value(0), ctx.value(1), upper=upper, k=0)
    diagonal = 0 if known is None else known.reshape(())[()]
    return ctx.emit("trilu", ctx.value(0), upper=upper, k=diagonal)


@onnx_op("ReverseSequence", since=10)
def reverse_sequence(ctx: Context) -> Value:
    x, lengths = ctx.value(0), ctx.value(1)
    time, batch = ctx.axis(x.type.rank, 0, "time_axis"), ctx.axis(x.type.rank, 1, "batch_axis")
    return ctx.emit("reverse_sequence", x, lengths, time=time, batch=batch)


@onnx_op("EyeLike", since=9)
def eye_like(ctx: Context) -> Value:
    """1 on diagonal k, else 0."""
    x = ctx.value(0)
    if x.type.rank != 2:
        ctx.fail(f"expected a matrix, got {x.type}")
    dtype = from_onnx(int(ctx.attr("dtype", 0) or x.type.dtype.onnx))
    if dtype is None:
        ctx.fail(f"element type {ctx.attr('dtype')} (TensorProto) is not supported")
    rows, columns = (
        ctx.emit("range", start=start, step=1, size=size, dtype=i64)
        for start, size in zip((int(ctx.attr("k", 0)), 0), x.type.shape, strict=True)
    )
    rows = ctx.builder.reshape(rows, (*rows.type.shape, 1))
    return ctx.builder.cast(ctx.emit("eq", rows, columns), dtype)
