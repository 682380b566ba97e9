"""Elementwise operators: one function of the elements at the output's index, with NumPy
broadcasting.

`elementwise(name, function, result)` makes one from `function(attrs, *elements) -> element`.
`broadcast_load` and `broadcast_shapes` are the rule itself: dims are aligned at the right; 1
stretches; others must be the same dim.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute
from hidet_core.compute.dims import Shape, is_cut_of, same_dim, shape_text
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import DType, boolean
from hidet_core.ir.expr import Buffer, Expr, is_const, load

from .registry import Attrs, OpDef, Types, operator

Function = Callable[..., Expr]
ResultType = Callable[[Types, Attrs], DType]


def broadcast_shapes(what: str, *shapes: Shape) -> Shape:
    """The NumPy broadcast of shapes; Unsupported where dims differ or may differ. What is cut from
    a constant number of elements counts as the dim up to which it is cut.
    """
    rank = max(map(len, shapes), default=0)
    result: list = [1] * rank
    for shape in shapes:
        for position, dim in enumerate(shape, rank - len(shape)):
            if is_const(dim, 1) or same_dim(result[position], dim):
                continue
            if is_cut_of(dim, result[position]):
                continue  # a run in which they differ is refused (graph/size_checks.py)
            if not is_const(result[position], 1) and not is_cut_of(result[position], dim):
                shown = " and ".join(map(shape_text, shapes))
                raise Unsupported(what, f"shapes {shown} do not broadcast (or cannot be shown to)")
            result[position] = dim
    return tuple(result)


def broadcast_load(buffer: Buffer, axes: Sequence[Expr], shape: Shape) -> Expr:
    """The element of buffer that is broadcast to index `axes` of `shape`."""
    offset = len(shape) - len(buffer.shape)
    indices = [
        0 if is_const(dim, 1) and not is_const(shape[position], 1) else axes[position]
        for position, dim in enumerate(buffer.shape, offset)
    ]
    return load(buffer, *indices)


def same_dtype(types: Types, attrs: Attrs) -> DType:
    """The result has the operands' common dtype."""
    for other in types[1:]:
        if other.dtype != types[0].dtype:
            raise Unsupported(
                "elementwise", f"operands have different dtypes {types[0].dtype} and {other.dtype}"
            )
    return types[0].dtype


def first_dtype(types: Types, attrs: Attrs) -> DType:
    return types[0].dtype


def bool_dtype(types: Types, attrs: Attrs) -> DType:
    same_dtype(types, attrs)
    return boolean


def elementwise(name: str, function: Function, result: ResultType = same_dtype) -> OpDef:
    """Register an elementwise operator."""

    def infer(types: Types, attrs: Attrs) -> TensorType:
        return TensorType(result(types, attrs), broadcast_shapes(name, *(t.shape for t in types)))

    def define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
        def value(*axes: Expr) -> Expr:
            return function(attrs, *(broadcast_load(buffer, axes, out.shape) for buffer in inputs))

        return (compute(name, out.dtype, out.shape, value),)

    return operator(name, "injective", infer, define, elementwise=True)
