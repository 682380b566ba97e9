"""Views: transpose, reshape, broadcast_to. Every element of the output is an element of the input,
found by index.

transpose attrs: perm (output axis k is input axis perm[k]).  reshape attrs: shape (dims).
broadcast_to attrs: shape.
"""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import same_shape, shape_text
from hidet_core.compute.reshaping import reshape_index, segments
from hidet_core.compute.types import TensorType, tensor_type
from hidet_core.ir.expr import Buffer, Expr, load

from .elementwise import broadcast_load, broadcast_shapes
from .registry import Attrs, Types, operator


def _infer_transpose(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    if sorted(attrs["perm"]) != list(range(x.rank)):
        raise Unsupported("transpose", f"perm {attrs['perm']} is no permutation of the axes of {x}")
    return TensorType(x.dtype, tuple(x.shape[axis] for axis in attrs["perm"]))


def _define_transpose(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    perm = attrs["perm"]

    def value(*axes: Expr) -> Expr:
        return load(inputs[0], *(axes[perm.index(axis)] for axis in range(len(perm))))

    return (compute("transpose", out.dtype, out.shape, value),)


def _scatter_transpose(
    k: int, index: Sequence[Expr], types: Types, out: TensorType, attrs: Attrs
) -> tuple[Expr, ...]:
    return tuple(index[axis] for axis in attrs["perm"])


operator("transpose", "injective", _infer_transpose, _define_transpose, _scatter_transpose)


def _infer_reshape(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    result = tensor_type(x.dtype, attrs["shape"])
    if segments(x.shape, result.shape) is None:
        raise Unsupported(
            "reshape", f"cannot show that {x} has the size of {shape_text(result.shape)}"
        )
    return result


def _define_reshape(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    (x,) = inputs

    def value(*axes: Expr) -> Expr:
        return load(x, *reshape_index(x.shape, out.shape, axes))

    return (compute("reshape", out.dtype, out.shape, value),)


def _scatter_reshape(
    k: int, index: Sequence[Expr], types: Types, out: TensorType, attrs: Attrs
) -> tuple[Expr, ...]:
    return reshape_index(out.shape, types[0].shape, index)


operator("reshape", "injective", _infer_reshape, _define_reshape, _scatter_reshape)


def _infer_broadcast(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    result = tensor_type(x.dtype, attrs["shape"])
    if not same_shape(broadcast_shapes("broadcast_to", x.shape, result.shape), result.shape):
        raise Unsupported("broadcast_to", f"{x} does not stretch to {shape_text(result.shape)}")
    return result


def _define_broadcast(
    inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs
) -> tuple[Definition, ...]:
    def value(*axes: Expr) -> Expr:
        return broadcast_load(inputs[0], axes, out.shape)

    return (compute("broadcast_to", out.dtype, out.shape, value),)


operator("broadcast_to", "injective", _infer_broadcast, _define_broadcast)
