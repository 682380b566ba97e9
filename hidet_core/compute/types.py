"""The type of a tensor: its element type and its shape in dims (ints or expressions over
symbols)."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from hidet_core.ir.dtypes import DType

from .dims import Dim, Shape, product, same_shape, shape_text, simplify


@dataclass(frozen=True, eq=False)
class TensorType:
    """Compare with `same_type`: dims may be expressions."""

    dtype: DType
    shape: Shape

    @property
    def rank(self) -> int:
        return len(self.shape)

    @property
    def size(self) -> Dim:
        """The number of elements."""
        return product(self.shape)

    @property
    def is_static(self) -> bool:
        return all(isinstance(dim, int) for dim in self.shape)

    def __str__(self) -> str:
        return f"{self.dtype}{shape_text(self.shape)}"


def tensor_type(dtype: DType, shape: Iterable[Dim]) -> TensorType:
    """A type with canonical dims."""
    return TensorType(dtype, tuple(simplify(dim) for dim in shape))


def same_type(a: TensorType, b: TensorType) -> bool:
    return a.dtype == b.dtype and same_shape(a.shape, b.shape)
