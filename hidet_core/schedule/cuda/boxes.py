"""The operands of contractions as tensors of which TMA copies boxes: rows of 128 bytes, swizzled as
`wgmma` reads them.

An operand whose depth is contiguous comes in one box of [lines, depth]. Of one whose lines are (b
of a product, as it is), boxes of [depth, 64 lines] come side by side, and `wgmma` turns them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hidet_core.base.errors import require
from hidet_core.compute.dims import Dim, same_dim, simplify
from hidet_core.ir.address import strides_of
from hidet_core.ir.expr import Expr, is_const, wrap
from hidet_core.ir.intrinsics import TURNED_COLS
from hidet_core.ir.tensor_map import ALIGNMENT, TensorMap, tensor_map
from hidet_core.lang import Tensor, shared, tensor_load

from .contraction import Contraction, Operand

ROW_BYTES = 128  # of a box: the widest swizzle
BLOCK_K = ROW_BYTES // 2  # depth of a tile, in elements of 16 bits


@dataclass(frozen=True, eq=False)
class Boxes:
    """An operand's tiles of `lines` x BLOCK_K. map: dims are (group, if there are several;) line,
    depth, the last two exchanged where is_turned.
    """

    map: TensorMap
    lines: int
    is_turned: bool

    def ring(self, stages: int, name: str) -> Tensor:
        """Shared memory for tiles."""
        tile = [self.lines // TURNED_COLS, BLOCK_K, TURNED_COLS]
        shape = tile if self.is_turned else [self.lines, BLOCK_K]
        return shared(self.map.dtype, [stages, *shape], name)

    def load(self, ring: Tensor, stage: Expr, at: tuple[Expr, Expr, Expr], full: Expr) -> None:
        """Copy the tile that begins at (group, line, depth) to a stage; by one thread."""
        group, line, k = at
        groups = (group,) if len(self.map.shape) > 2 else ()
        if not self.is_turned:
            tensor_load(ring[stage, 0, 0], self.map, (*groups, line, k), full)
            return
        for box in range(self.lines // TURNED_COLS):
            first = (*groups, k, line + box * TURNED_COLS)
            tensor_load(ring[stage, box, 0, 0], self.map, first, full)


def operand_boxes(view: Contraction, block_m: int, block_n: int) -> tuple[Boxes, Boxes]:
    """Those of a and b, of a product or of a convolution whose window is one pixel. Raises Rejected
    where an operand does not lie as TMA wants it.
    """
    return _boxes(view, view.a, block_m), _boxes(view, view.b, block_n)


def _boxes(view: Contraction, operand: Operand, lines: int) -> Boxes:
    buffer, is_turned = operand.buffer, operand.along == "line"
    shape, strides = buffer.shape, strides_of(buffer)
    require(is_const(wrap(strides[-1]), 1), f"rows of {buffer.name} are not contiguous")
    require(buffer.alignment % ALIGNMENT == 0 < buffer.alignment, f"{buffer.name} is not aligned")
    require(not is_turned or lines % TURNED_COLS == 0, f"{lines} of {TURNED_COLS} columns each")
    has_groups = not is_const(wrap(view.groups), 1)
    outer = len(shape) - 2 if has_groups else 0
    axes = [joined(shape[outer:-1], strides[outer:-1]), (shape[-1], 1)]
    box = [BLOCK_K, TURNED_COLS] if is_turned else [lines, BLOCK_K]
    if has_groups:
        groups, stride = joined(shape[:outer], strides[:outer])
        require(same_dim(groups, view.groups), f"groups share parts of {buffer.name}")
        axes, box = [(groups, stride), *axes], [1, *box]
    for _, stride in axes[:-1]:
        fits = is_const(wrap(simplify(stride * buffer.dtype.bytes % ALIGNMENT)), 0)
        require(fits, f"rows of {buffer.name} are not multiples of {ALIGNMENT} bytes apart")
    sizes, steps = zip(*axes, strict=True)
    return Boxes(tensor_map(buffer, sizes, steps, tuple(box), ROW_BYTES), lines, is_turned)


def joined(shape: Sequence[Dim], strides: Sequence[Dim]) -> tuple[Dim, Dim]:
    """(size, stride) of several dims seen as one. Raises Rejected where they don't lie so."""
    size: Dim = 1
    stride: Dim | None = None
    for dim, step in zip(reversed(shape), reversed(strides), strict=True):
        if is_const(wrap(dim), 1):
            continue
        if stride is None:
            size, stride = dim, step
            continue
        require(same_dim(step, simplify(stride * size)), "rows are not evenly spaced")
        size = simplify(size * dim)
    return size, ALIGNMENT if stride is None else stride
