"""How the sums of products of 16 x 8 on tensor cores, in registers of a warp, come to memory."""

from __future__ import annotations

from hidet_core.ir.expr import Expr, wrap
from hidet_core.ir.widen import narrowed
from hidet_core.lang import Tensor, let, unroll, when

from .contraction import Contraction
from .tile_copy import elements

SHAPE_M, SHAPE_N = 16, 8  # of a product


def store_sums(
    view: Contraction, group: Expr, first: tuple[Expr, Expr], sums: Tensor, lane: Expr
) -> None:
    """The sums of a warp, [products down, 4 * products across], whose first element is at (row,
    column): a thread has two side by side in each of two rows, 8 apart, of every product.
    """
    row, col = first
    for i in unroll(int(sums.shape[0]), "i"):
        for half in unroll(2, "half"):
            m = let("m", row + i * SHAPE_M + half * 8 + lane // 4)
            with when(m < wrap(view.rows)):
                place = view.out.row(group, m)
                for j in unroll(int(sums.shape[1]) // 4, "j"):
                    n = col + j * SHAPE_N + lane % 4 * 2
                    _store_pair(view, place, n, sums, (i, j * 4 + half * 2))


def _store_pair(
    view: Contraction, place: tuple[Expr, ...], n: Expr, sums: Tensor, at: tuple[Expr, Expr]
) -> None:
    out, (i, j) = view.out, at
    vector, dtype = min(out.vector, 2), out.buffer.dtype
    for step in range(0, 2, vector):
        with when(n + step < wrap(view.cols)):
            for lane in elements(vector):
                out.store(place, n + step + lane, narrowed(sums[i, j + step + lane], dtype))
