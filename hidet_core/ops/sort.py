"""top_k(x) attrs: k (an int >= 0), axis, largest: the positions (i64) of the k largest (smallest)
elements along an axis, in order; see compute/order.py for ties and NaN.
"""

from __future__ import annotations

from hidet_core.base.errors import Unsupported
from hidet_core.compute.definition import Definition, compute, reduce_over
from hidet_core.compute.order import precedes
from hidet_core.compute.types import TensorType
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Expr, both, cast, eq, load, ne, select
from hidet_core.ir.widen import wide_load

from .registry import Attrs, Types, operator


def _infer(types: Types, attrs: Attrs) -> TensorType:
    (x,) = types
    axis, k = attrs["axis"], attrs["k"]
    if x.dtype.is_bool or x.rank == 0:
        raise Unsupported("top_k", f"expected numbers with at least one dim, got {x}")
    size = x.shape[axis]
    if isinstance(size, int) and not 0 <= k <= size:
        raise Unsupported("top_k", f"k is {k}, axis {axis} of {x} has {size} elements")
    return TensorType(i64, (*x.shape[:axis], k, *x.shape[axis + 1 :]))


def _define(inputs: tuple[Buffer, ...], out: TensorType, attrs: Attrs) -> tuple[Definition, ...]:
    """How many elements come before each, then the one with a given number of them."""
    (x,) = inputs
    axis, size = attrs["axis"], x.shape[attrs["axis"]]

    def rank(*axes: Expr) -> Expr:
        here, position = wide_load(x, *axes), axes[axis]

        def term(other: Expr) -> Expr:
            element = wide_load(x, *axes[:axis], other, *axes[axis + 1 :])
            before = precedes(element, other, here, position, attrs["largest"])
            return cast(both(before, ne(other, position)), i64)

        return reduce_over("sum", (size,), term)

    ranks = compute("rank", i64, x.shape, rank)

    def value(*axes: Expr) -> Expr:
        def term(position: Expr) -> Expr:
            found = load(ranks.out, *axes[:axis], position, *axes[axis + 1 :])
            return select(eq(found, axes[axis]), position, -1)

        return reduce_over("max", (size,), term)

    return ranks, compute("top_k", i64, out.shape, value)


operator("top_k", "anchor", _infer, _define)
