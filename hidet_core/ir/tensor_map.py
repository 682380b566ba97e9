"""Tensor maps: how the tensor memory accelerator (TMA) of GPUs sees a tensor.

A `TensorMap` is a parameter of a program in place of the tensor that it describes. Its boxes are
what `tensor_load` (ir/intrinsics.py) copies; its elements are addressed by no other statement. What
of a box lies outside of the tensor arrives as zeros. Rules are those of cuTensorMapEncodeTiled.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from .expr import Buffer

SCOPE = "map"
ALIGNMENT = 16  # bytes, of the tensor's first element, of its strides, of a box's rows
RANKS = range(1, 6)
MOST_BOX = 256  # elements of a box, each way
SWIZZLES = (0, 32, 64, 128)  # bytes of a row in shared memory within which chunks are exchanged


@dataclass(frozen=True, eq=False)
class TensorMap(Buffer):
    """tensor: what it describes, as a tensor of `shape` (the last dim contiguous; dims may be
    merged or split) with `strides` in elements. box: sizes of what is copied at once; swizzle: a
    row of the box has so many bytes (0: rows lie as they are).
    """

    tensor: Buffer | None = field(default=None, metadata={"leaf": True})
    box: tuple[int, ...] = field(default=(), metadata={"leaf": True})
    swizzle: int = field(default=0, metadata={"leaf": True})

    @property
    def box_elements(self) -> int:
        return math.prod(self.box)

    def misfit(self) -> str | None:
        """What is wrong with it, as far as sizes are known; None if nothing is."""
        rank, size = len(self.shape), self.dtype.bytes
        if rank not in RANKS or len(self.box) != rank or len(self.strides or ()) != rank:
            return f"1 to 5 dims, with a stride and a side of the box each, got {rank}"
        if not all(1 <= side <= MOST_BOX for side in self.box):
            return f"sides of the box of 1 to {MOST_BOX}, got {self.box}"
        assert self.strides is not None
        bytes_ = [stride * size for stride in self.strides[:-1] if isinstance(stride, int)]
        if self.strides[-1] != 1 or any(stride % ALIGNMENT for stride in bytes_):
            return f"a contiguous last dim and strides of {ALIGNMENT} bytes, got {self.strides}"
        row = self.box[-1] * size
        is_whole = row % ALIGNMENT == 0 and row == (self.swizzle or row)
        if self.swizzle not in SWIZZLES or not is_whole:
            return f"rows of the box as long as the swizzle, got {row} and {self.swizzle} bytes"
        return None


def tensor_map(
    tensor: Buffer,
    shape: tuple,
    strides: tuple,
    box: tuple[int, ...],
    swizzle: int = 0,
) -> TensorMap:
    """The map of a tensor in global memory, as a parameter of a program."""
    name = f"{tensor.name}_map"
    return TensorMap(
        name, tensor.dtype, shape, strides, SCOPE, tensor.alignment, tensor, box, swizzle
    )


def tensor_of(param: Buffer) -> Buffer:
    """The tensor that a parameter stands for: of a map what it describes, else itself."""
    return param.tensor if isinstance(param, TensorMap) and param.tensor else param
