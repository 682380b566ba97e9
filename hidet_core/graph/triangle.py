"""Which masks are causal: a value that depends on query i and key j only by j - i <= Sk - Sq.

takes: the values of a graph being built      gives: whether a mask of the scores says "not later"
Exporters make such masks as constants, as slices of a large constant triangle, by comparing ranges
of positions, and with Trilu.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from hidet_core.compute.dims import Dim, Shape, is_cut_of, product, same_dim, simplify
from hidet_core.ir.expr import is_const
from hidet_core.ir.halves import single

from .graph import Operator, Value

# scores that are lower than others by so much have a probability of exactly 0 in any float
NEVER = -1e4
VIEWS = ("reshape", "broadcast_to", "cast", "identity")
COMPARISONS = {"le": (False, 0), "lt": (False, 1), "ge": (True, 0), "gt": (True, 1)}


@dataclass(frozen=True, eq=False)
class Triangles:
    """producer and constants: of the graph, or of the builder that makes it."""

    producer: Mapping[Value, Operator]
    constants: Mapping[Value, np.ndarray]

    def keeps(self, mask: Value, sides: Shape) -> bool:
        """Whether a bool mask is true exactly where key j is seen; sides: (Sq, Sk)."""
        return self._is_triangle(mask, sides, True)

    def drops(self, mask: Value, sides: Shape) -> bool:
        """Whether a bool mask is false exactly there."""
        return self._is_triangle(mask, sides, False)

    def added(self, mask: Value, sides: Shape) -> bool:
        """Whether a float mask is 0 there, and low enough elsewhere."""
        array = self.constants.get(mask)
        if array is not None:
            array = single(array)
            if not np.isin(array, (0,)).any() or (array > 0).any():
                return False
            low = np.isneginf(array) | (array <= NEVER)
            return bool((low | (array == 0)).all()) and self._equals(array == 0, sides)
        made = self.producer.get(mask)
        if made is None or made.op.name not in ("trilu", "where", *VIEWS):
            return False
        if made.op.name in VIEWS:
            return self._same_plane(made) and self.added(made.inputs[0], sides)
        if made.op.name == "trilu":
            is_low = (number := self._number(made.inputs[0])) is not None and number <= NEVER
            cuts = self._cut(made, sides)
            return is_low and cuts == (True, 1)
        cond, a, b = (made.inputs[0], *map(self._number, made.inputs[1:]))
        if a is None or b is None:
            return False
        if a == 0 and b <= NEVER:
            return self.keeps(cond, sides)
        return b == 0 and a <= NEVER and self.drops(cond, sides)

    def _is_triangle(self, mask: Value, sides: Shape, sense: bool) -> bool:
        array = self.constants.get(mask)
        if array is not None:
            return array.dtype.kind == "b" and self._equals(array if sense else ~array, sides)
        made = self.producer.get(mask)
        name = made.op.name if made is not None else ""
        if made is None:
            return False
        if name in VIEWS:
            fits = self._same_plane(made) and made.inputs[0].type.dtype.is_bool
            return fits and self._is_triangle(made.inputs[0], sides, sense)
        if name == "not":
            return self._is_triangle(made.inputs[0], sides, not sense)
        if name == "slice":
            return sense and self._is_sliced(made, sides)
        if name == "trilu":
            cuts = (False, 0) if sense else (True, 1)
            return self._number(made.inputs[0]) == 1 and self._cut(made, sides) == cuts
        return name in COMPARISONS and self._compares(made, sides, sense)

    def _same_plane(self, view: Operator) -> bool:
        """Whether a view changes nothing about the last two dims."""
        ends = [v.type.shape[-2:] for v in (view.inputs[0], view.output)]
        return len(ends[0]) == 2 and all(same_dim(a, b) for a, b in zip(*ends, strict=True))

    def _equals(self, array: np.ndarray, sides: Shape) -> bool:
        """Whether a constant is one triangle of constant sides."""
        rows, cols = sides
        if not isinstance(rows, int) or not isinstance(cols, int) or cols < rows:
            return False
        plane = array.reshape(array.shape[-2:]) if array.size == rows * cols else None
        return plane is not None and np.array_equal(plane, np.tri(rows, cols, cols - rows, bool))

    def _is_sliced(self, cut: Operator, sides: Shape) -> bool:
        """The part of a constant triangle from (Sk - Sq, 0) on."""
        array = self.constants.get(cut.inputs[0])
        first = self.producer.get(cut.inputs[0])
        starts = [cut.attrs["starts"][-2:]]
        plain = set(cut.attrs["steps"]) <= {1}
        if array is None and first is not None and first.op.name == "slice":
            array = self.constants.get(first.inputs[0])
            plain = plain and set(first.attrs["steps"]) <= {1}
            starts.append(first.attrs["starts"][-2:])
        if array is None or not plain or array.dtype.kind != "b":
            return False
        size = array.shape[-1]
        if array.shape[-2:] != (size, size) or array.size != size * size:
            return False
        down, across = (simplify(sum((s[k] for s in starts), start=0)) for k in (0, 1))
        whole = np.array_equal(array.reshape(size, size), np.tri(size, dtype=bool))
        fits = same_dim(down, simplify(sides[1] - sides[0])) and is_const(across, 0)
        ends = zip(cut.output.type.shape[-2:], sides, strict=True)
        return whole and fits and all(same_dim(a, b) or is_cut_of(a, b) for a, b in ends)

    def _number(self, value: Value) -> float | None:
        """The one number that a constant consists of, maybe stretched."""
        array = self.constants.get(value)
        if array is not None:
            return float(single(array).reshape(-1)[0]) if array.size == 1 else None
        made = self.producer.get(value)
        if made is not None and made.op.name in VIEWS:
            return self._number(made.inputs[0])
        return None

    def _cut(self, trilu: Operator, sides: Shape) -> tuple[bool, int] | None:
        """(upper, k) of a triangle with equal sides."""
        shape = trilu.output.type.shape
        fits = same_dim(sides[0], sides[1]) and all(
            same_dim(a, b) for a, b in zip(shape[-2:], sides, strict=True)
        )
        return (bool(trilu.attrs["upper"]), trilu.attrs["k"]) if fits else None

    def _compares(self, made: Operator, sides: Shape, sense: bool) -> bool:
        """key <= query + Sk - Sq in any spelling, or its opposite; for integers a < b is
        a + 1 <= b.
        """
        swapped, strict = COMPARISONS[made.op.name]
        left, right = made.inputs[::-1] if swapped else made.inputs
        key, query = (left, right) if sense else (right, left)
        first_key = self._first(key, sides[1]) if _lies_along(key, -1) else None
        first_query = self._first(query, sides[0]) if _lies_along(query, -2) else None
        if first_key is None or first_query is None:
            return False
        apart = first_query - first_key + (-strict if sense else strict - 1)
        return same_dim(simplify(apart), simplify(sides[1] - sides[0]))

    def _first(self, value: Value, size: Dim) -> Dim | None:
        """The first of `size` integers that count up by 1; None where the value is another one."""
        array = self.constants.get(value)
        if array is not None:
            flat = array.reshape(-1)
            if flat.dtype.kind not in "iu" or not flat.size or not is_const(size, flat.size):
                return None
            return int(flat[0]) if np.array_equal(flat, flat[0] + np.arange(flat.size)) else None
        made = self.producer.get(value)
        if made is None or not same_dim(product(value.type.shape), size):
            return None
        if made.op.name in ("reshape", "identity", "cast") and made.output.type.dtype.is_int:
            return self._first(made.inputs[0], size)
        is_range = made.op.name == "range" and is_const(made.attrs["step"], 1)
        return made.attrs["start"] if is_range else None


def _lies_along(value: Value, axis: int) -> bool:
    """Whether all other axes of the scores are stretched."""
    shape = value.type.shape
    others = (dim for k, dim in enumerate(shape) if k != len(shape) + axis)
    return len(shape) >= -axis and all(is_const(dim, 1) for dim in others)
