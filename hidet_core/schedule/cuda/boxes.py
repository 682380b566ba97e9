"""The operands of contractions as tensors of which TMA copies boxes: rows of 128 bytes of depth,
swizzled as `wgmma` reads them.
"""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.base.errors import require
from hidet_core.compute.dims import Dim, same_dim, simplify
from hidet_core.ir.address import strides_of
from hidet_core.ir.expr import is_const, wrap
from hidet_core.ir.tensor_map import ALIGNMENT, TensorMap, tensor_map

from .contraction import Contraction, Operand

ROW_BYTES = 128  # of a box: the widest swizzle


def operand_maps(view: Contraction, block_m: int, block_n: int) -> tuple[TensorMap, TensorMap]:
    """Maps of a and b, of a product or of a convolution whose window is one pixel, with boxes of
    [block lines, 128 bytes of depth]. Raises Rejected where an operand is no matrix of such rows,
    or does not lie as TMA wants it.
    """
    require(is_const(wrap(view.groups), 1), "several groups")
    require(view.b.along == "k", "the depth of b is not contiguous")
    return _map(view.a, block_m), _map(view.b, block_n)


def _map(operand: Operand, lines: int) -> TensorMap:
    buffer = operand.buffer
    *shape, depth = buffer.shape
    *strides, last = strides_of(buffer)
    require(is_const(wrap(last), 1), f"the depth of {buffer.name} is not contiguous")
    require(buffer.alignment % ALIGNMENT == 0 < buffer.alignment, f"{buffer.name} is not aligned")
    rows, stride = joined(shape, strides)
    element = buffer.dtype.bytes
    fits = is_const(wrap(simplify(stride * element % ALIGNMENT)), 0)
    require(fits, f"rows of {buffer.name} are not multiples of {ALIGNMENT} bytes apart")
    return tensor_map(buffer, (rows, depth), (stride, 1), (lines, ROW_BYTES // element), ROW_BYTES)


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
