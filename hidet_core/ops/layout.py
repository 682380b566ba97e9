"""Pieces and borders: concat, slice, pad, tile, upsample, roll.

concat attrs: axis (>= 0).  slice attrs: starts, steps, sizes, one entry per axis; element i of an
axis is start + i * step.  pad attrs: before, after (ints per axis, >= 0), mode constant | edge |
reflect | wrap, value. tile attrs: repeats (dims per axis).  upsample attrs: scales (ints per
axis), each element repeated.  roll attrs: shifts (ints per axis, below its size, which is static
where there is one): element i of an axis is i + shift, round the end.
"""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import Dim, dim_expr, dim_text, simplify
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Expr, both, cast, load, maximum, minimum, select, wrap

from .registry import Attrs, Types, operator


def _infer_concat(types: Types, attrs: Attrs) -> TensorType:
    """Sizes beside the axis that are different expressions are equal in every valid run, which
    graph/size_checks.py has checked; the simplest of them counts.
    """
    axis, first = attrs["axis"], types[0]
    shape = list(first.shape)
    for other in types[1:]:
        if other.rank != first.rank or other.dtype != first.dtype:
            raise Unsupported("concat", f"{first} and {other} differ in rank or type")
        for k in (k for k in range(first.rank) if k != axis):
            mine, theirs = shape[k], other.shape[k]
            if isinstance(mine, int) and isinstance(theirs, int) and mine != theirs:
                raise Unsupported("concat", f"{first} and {other} differ in more than axis {axis}")
            shape[k] = min(mine, theirs, key=_complexity)
    shape[axis] = sum((t.shape[axis] for t in types[1:]), start=first.shape[axis])
    return tensor_type(first.dtype, shape)


def _complexity(dim: Dim) -> int:
    """A number is simplest, then a symbol."""
    return 0 if isinstance(dim, int) else len(dim_text(dim))


def _offsets(shapes: Sequence[Sequence[Dim]], axis: int) -> list[Dim]:
    """Where each input begins along the axis of a concat."""
    result: list[Dim] = [0]
    for shape in shapes[:-1]:
        result.append(simplify(result[-1] + shape[axis]))
    return result


def _define_concat(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    axis = attrs["axis"]
    offsets = _offsets([buffer.shape for buffer in inputs], axis)

    def piece(buffer: Buffer, offset: Dim, axes: tuple[Expr, ...]) -> Expr:
        at = minimum(maximum(axes[axis] - offset, 0), dim_expr(buffer.shape[axis]) - 1)
        return load(buffer, *axes[:axis], at, *axes[axis + 1 :])

    def value(*axes: Expr) -> Expr:
        result = piece(inputs[-1], offsets[-1], axes)
        for k in range(len(inputs) - 2, -1, -1):
            result = select(
                axes[axis] < dim_expr(offsets[k + 1]), piece(inputs[k], offsets[k], axes), result
            )
        return result

    return (compute("concat", out.dtype, out.shape, value),)


def _scatter_concat(
    k: int, index: Sequence[Expr], types: Types, out: TensorType, attrs: Attrs
) -> tuple[Expr, ...]:
    axis = attrs["axis"]
    offset = _offsets([t.shape for t in types], axis)[k]
    return (*index[:axis], index[axis] + offset, *index[axis + 1 :])


operator("concat", "injective", _infer_concat, _define_concat, _scatter_concat)


def _infer_slice(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    if not len(attrs["starts"]) == len(attrs["steps"]) == len(attrs["sizes"]) == x.rank:
        raise Unsupported("slice", f"expected one start, step and size per axis of {x}")
    return tensor_type(x.dtype, attrs["sizes"])


def _define_slice(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    def value(*axes: Expr) -> Expr:
        terms = zip(axes, attrs["starts"], attrs["steps"], strict=True)
        return load(inputs[0], *(at * step + start for at, start, step in terms))

    return (compute("slice", out.dtype, out.shape, value),)


operator("slice", "injective", _infer_slice, _define_slice)

PAD_MODES = ("constant", "edge", "reflect", "wrap")


def _infer_pad(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    sides = (*attrs["before"], *attrs["after"])
    if len(sides) != 2 * x.rank or min(sides, default=0) < 0 or attrs["mode"] not in PAD_MODES:
        raise Unsupported(
            "pad",
            f"before {attrs['before']}, after {attrs['after']}, mode {attrs['mode']!r} on {x}",
        )
    grown = zip(x.shape, attrs["before"], attrs["after"], strict=True)
    return tensor_type(x.dtype, (dim + before + after for dim, before, after in grown))


def _source(at: Expr, size: Dim, mode: str) -> Expr:
    """The position inside that a padded position copies."""
    extent = dim_expr(size)
    if mode == "wrap":
        return at % extent
    if mode == "reflect":
        period = maximum((extent - 1) * 2, 1)
        folded = at % period
        return minimum(folded, period - folded)
    return minimum(maximum(at, 0), extent - 1)


def _define_pad(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (x,) = inputs
    padded = [k for k in range(len(x.shape)) if attrs["before"][k] or attrs["after"][k]]

    def value(*axes: Expr) -> Expr:
        index, inside = list(axes), wrap(True)
        for k in padded:
            at = axes[k] - attrs["before"][k]
            index[k] = _source(at, x.shape[k], attrs["mode"])
            inside = both(inside, both(at >= 0, at < dim_expr(x.shape[k])))
        element = load(x, *index)
        return select(inside, element, attrs["value"]) if attrs["mode"] == "constant" else element

    return (compute("pad", out.dtype, out.shape, value),)


operator("pad", "injective", _infer_pad, _define_pad)


def _infer_tile(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    if len(attrs["repeats"]) != x.rank:
        raise Unsupported("tile", f"expected {x.rank} repeats for {x}, got {attrs['repeats']}")
    return tensor_type(
        x.dtype, (dim * times for dim, times in zip(x.shape, attrs["repeats"], strict=True))
    )


def _define_tile(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (x,) = inputs

    def value(*axes: Expr) -> Expr:
        return load(x, *(at % dim_expr(dim) for at, dim in zip(axes, x.shape, strict=True)))

    return (compute("tile", out.dtype, out.shape, value),)


operator("tile", "injective", _infer_tile, _define_tile)


def _infer_upsample(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    return tensor_type(
        x.dtype, (dim * scale for dim, scale in zip(x.shape, attrs["scales"], strict=True))
    )


def _define_upsample(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    def value(*axes: Expr) -> Expr:
        return load(
            inputs[0], *(at // scale for at, scale in zip(axes, attrs["scales"], strict=True))
        )

    return (compute("upsample", out.dtype, out.shape, value),)


operator("upsample", "injective", _infer_upsample, _define_upsample)


def _infer_roll(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    sizes = zip(attrs["shifts"], x.shape, strict=True)
    if any(shift and not (isinstance(size, int) and 0 <= shift < size) for shift, size in sizes):
        raise Unsupported("roll", f"shifts {attrs['shifts']} of {x}")
    return x


def _define_roll(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    def value(*axes: Expr) -> Expr:
        return load(inputs[0], *_rolled(axes, out, attrs["shifts"]))

    return (compute("roll", out.dtype, out.shape, value),)


def _scatter_roll(
    k: int, index: Sequence[Expr], types: Types, out: TensorType, attrs: Attrs
) -> tuple[Expr, ...]:
    back = (size - shift if shift else 0 for shift, size in zip(attrs["shifts"], out.shape))
    return _rolled(index, out, tuple(back))


def _rolled(index: Sequence[Expr], type_: TensorType, shifts: Sequence[int]) -> tuple[Expr, ...]:
    terms = zip(index, shifts, type_.shape, strict=True)
    return tuple((at + shift) % dim_expr(size) if shift else at for at, shift, size in terms)


operator("roll", "injective", _infer_roll, _define_roll, _scatter_roll)


def _define_trilu(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    """attrs: upper, k (a dim). Keeps the elements on and above (below) diagonal k; k may also be
    input 1, of one element.
    """

    def value(*axes: Expr) -> Expr:
        distance, k = axes[-1] - axes[-2], dim_expr(attrs["k"])
        if len(inputs) > 1:
            k = cast(load(inputs[1], *(0 for _ in inputs[1].shape)), i64)
        keeps = distance >= k if attrs["upper"] else distance <= k
        element = load(inputs[0], *axes)
        zero = wrap(False) if element.dtype.is_bool else wrap(0, element.dtype)
        return select(keeps, element, zero)

    return (compute("trilu", out.dtype, out.shape, value),)


operator("trilu", "injective", lambda types, attrs: types[0], _define_trilu)
