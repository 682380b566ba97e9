"""Elements picked by computed indices, and tensors computed from indices and symbols alone.

gather(x, indices) attrs: axis.  gather_elements(x, indices) attrs: axis.  gather_nd(x, indices)
attrs: batch_dims. one_hot(indices, values[2]) attrs: depth, axis.  Negative indices count from the
end; indices are clamped into range. dims attrs: dims, shape: an i64 tensor of dims, row-major.
range attrs: start, step, size, dtype: start + i * step.  diagonal(x) attrs: axes: axis k of x is
read at the output's index axes[k].  reverse_sequence(x, lengths) attrs: time, batch (axes): the
first lengths[b] elements along the time axis in reverse order.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import Dim, dim_expr, same_dim, same_shape
from hidet_core.compute.indices import wrapped_index
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Expr, cast, eq, load, maximum, minimum, select, wrap

from .registry import Attrs, Types, operator


def need_int(what: str, indices: TensorType) -> None:
    if not indices.dtype.is_int:
        raise Unsupported(what, f"expected integer indices, got {indices}")


def _infer_gather(types: Types, attrs: Attrs) -> TensorType:
    x, indices = types
    need_int("gather", indices)
    axis = attrs["axis"]
    return TensorType(x.dtype, x.shape[:axis] + indices.shape + x.shape[axis + 1 :])


def _define_gather(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, indices = inputs
    axis, count = attrs["axis"], len(indices.shape)

    def value(*axes: Expr) -> Expr:
        at = wrapped_index(load(indices, *axes[axis : axis + count]), x.shape[axis])
        return load(x, *axes[:axis], at, *axes[axis + count :])

    return (compute("gather", out.dtype, out.shape, value),)


operator("gather", "injective", _infer_gather, _define_gather)


def _infer_gather_elements(types: Types, attrs: Attrs) -> TensorType:
    x, indices = types
    need_int("gather_elements", indices)
    if x.rank != indices.rank:
        raise Unsupported("gather_elements", f"ranks of {x} and {indices} differ")
    return TensorType(x.dtype, indices.shape)


def _define_gather_elements(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, indices = inputs
    axis = attrs["axis"]

    def value(*axes: Expr) -> Expr:
        at = wrapped_index(load(indices, *axes), x.shape[axis])
        return load(x, *axes[:axis], at, *axes[axis + 1 :])

    return (compute("gather_elements", out.dtype, out.shape, value),)


operator("gather_elements", "injective", _infer_gather_elements, _define_gather_elements)


def _infer_gather_nd(types: Types, attrs: Attrs) -> TensorType:
    x, indices = types
    need_int("gather_nd", indices)
    batch, depth = attrs["batch_dims"], indices.shape[-1]
    if not isinstance(depth, int) or batch + depth > x.rank:
        raise Unsupported("gather_nd", f"indices {indices} do not fit {x} with batch_dims {batch}")
    if not same_shape(x.shape[:batch], indices.shape[:batch]):
        raise Unsupported("gather_nd", f"batch dims of {x} and {indices} differ")
    return TensorType(x.dtype, indices.shape[:-1] + x.shape[batch + depth :])


def _define_gather_nd(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, indices = inputs
    batch, outer = attrs["batch_dims"], len(indices.shape) - 1

    def value(*axes: Expr) -> Expr:
        picked = [
            wrapped_index(load(indices, *axes[:outer], k), x.shape[batch + k])
            for k in range(int(indices.shape[-1]))
        ]
        return load(x, *axes[:batch], *picked, *axes[outer:])

    return (compute("gather_nd", out.dtype, out.shape, value),)


operator("gather_nd", "injective", _infer_gather_nd, _define_gather_nd)


def _infer_one_hot(types: Types, attrs: Attrs) -> TensorType:
    indices, values = types
    axis = attrs["axis"]
    return tensor_type(values.dtype, (*indices.shape[:axis], attrs["depth"], *indices.shape[axis:]))


def _define_one_hot(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    indices, values = inputs
    axis, depth = attrs["axis"], dim_expr(attrs["depth"])

    def value(*axes: Expr) -> Expr:
        at = cast(load(indices, *axes[:axis], *axes[axis + 1 :]), i64)
        at = select(at < 0, at + depth, at)
        return select(eq(at, axes[axis]), load(values, 1), load(values, 0))

    return (compute("one_hot", out.dtype, out.shape, value),)


operator("one_hot", "injective", _infer_one_hot, _define_one_hot)


def _define_dims(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    dims = [dim_expr(dim) for dim in attrs["dims"]]

    def value(*axes: Expr) -> Expr:
        flat = wrap(0)
        for at, dim in zip(axes, out.shape, strict=True):
            flat = flat * dim + at
        result = dims[-1] if dims else wrap(0)
        for k in range(len(dims) - 2, -1, -1):
            result = select(eq(flat, k), dims[k], result)
        return result

    return (compute("dims", i64, out.shape, value),)


operator("dims", "injective", lambda types, attrs: TensorType(i64, attrs["shape"]), _define_dims)


def _define_range(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    def value(at: Expr) -> Expr:
        return cast(at, out.dtype) * attrs["step"] + attrs["start"]

    return (compute("range", out.dtype, out.shape, value),)


operator(
    "range",
    "injective",
    lambda types, attrs: tensor_type(attrs["dtype"], (attrs["size"],)),
    _define_range,
)


def _infer_diagonal(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    sizes: dict[int, Dim] = {}
    for axis, dim in zip(attrs["axes"], x.shape, strict=True):
        if not same_dim(sizes.setdefault(axis, dim), dim):
            raise Unsupported("diagonal", f"sides of the diagonal of {x} differ (or may differ)")
    return TensorType(x.dtype, tuple(sizes[axis] for axis in sorted(sizes)))


def _define_diagonal(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    def value(*axes: Expr) -> Expr:
        return load(inputs[0], *(axes[place] for place in attrs["axes"]))

    return (compute("diagonal", out.dtype, out.shape, value),)


operator("diagonal", "injective", _infer_diagonal, _define_diagonal)


def _infer_reverse(types: Types, attrs: Attrs) -> TensorType:
    x, lengths = types
    need_int("reverse_sequence", lengths)
    is_axis = {attrs["time"], attrs["batch"]} <= set(range(x.rank))
    if not is_axis or attrs["time"] == attrs["batch"]:
        raise Unsupported("reverse_sequence", f"time and batch are no two axes of {x}")
    if not same_shape(lengths.shape, (x.shape[attrs["batch"]],)):
        raise Unsupported("reverse_sequence", f"lengths {lengths} do not fit {x}")
    return x


def _define_reverse(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    x, lengths = inputs
    time = attrs["time"]

    def value(*axes: Expr) -> Expr:
        length = cast(load(lengths, axes[attrs["batch"]]), i64)
        mirrored = minimum(length - 1 - axes[time], dim_expr(x.shape[time]) - 1)
        at = select(axes[time] < length, maximum(mirrored, 0), axes[time])
        return load(x, *axes[:time], at, *axes[time + 1 :])

    return (compute("reverse_sequence", out.dtype, out.shape, value),)


operator("reverse_sequence", "injective", _infer_reverse, _define_reverse)
