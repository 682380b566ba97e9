"""What an import function sees of its node: inputs, attributes, constants, known dims, and the
builder.

Besides graph values there are shape values: small integer tensors whose elements are dims, maybe
symbolic (`Known`). Shape arithmetic stays with them; one that is needed as data becomes a constant
or a `dims` operator.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, NoReturn

import numpy as np

from hidet_core.base.errors import Unsupported
from hidet_core.compute.dims import Dim, simplify
from hidet_core.graph.builder import GraphBuilder
from hidet_core.graph.graph import Value
from hidet_core.ir.dtypes import DType, f32, i64

from .onnx_graph import OnnxNode

KNOWN_ELEMENTS = 1024


@dataclass(frozen=True, eq=False)
class Known:
    """An integer tensor with known elements: an object array of dims."""

    elements: np.ndarray
    dtype: DType = i64


Entry = Value | Known


def known(elements: Any, dtype: DType = i64) -> Known:
    """A shape value of dims (a sequence: 1-D; one dim: 0-D), simplified."""
    array = np.empty(np.shape(elements) if isinstance(elements, np.ndarray) else (), object)
    if isinstance(elements, (list, tuple)):
        array = np.empty(len(elements), object)
    flat = list(elements.flat) if isinstance(elements, np.ndarray) else elements
    flat = list(flat) if isinstance(flat, (list, tuple)) else [flat]
    for place, dim in enumerate(flat):
        array.flat[place] = simplify(int(dim) if isinstance(dim, (int, np.integer)) else dim)
    return Known(array, dtype)


def materialize(builder: GraphBuilder, entry: Entry) -> Value:
    """The entry as a graph value."""
    if isinstance(entry, Value):
        return entry
    elements = [simplify(dim) for dim in entry.elements.flat]
    if all(isinstance(dim, int) for dim in elements):
        array = np.array(elements, entry.dtype.numpy).reshape(entry.elements.shape)
        return builder.constant(array, "shape")
    value = builder.emit("dims", dims=tuple(elements), shape=tuple(entry.elements.shape))
    return builder.cast(value, entry.dtype)


class Context:
    """One node being imported. `entries` are its inputs in order, None where absent."""

    def __init__(
        self, node: OnnxNode, builder: GraphBuilder, entries: Sequence[Entry | None]
    ) -> None:
        self.node = node
        self.builder = builder
        self.entries = entries
        self.version = node.since_version

    @property
    def count(self) -> int:
        """How many inputs are present."""
        return sum(entry is not None for entry in self.entries)

    def fail(self, why: str) -> NoReturn:
        raise Unsupported(self.node.name or self.node.op_type, why)

    # inputs

    def has(self, place: int) -> bool:
        return place < len(self.entries) and self.entries[place] is not None

    def entry(self, place: int) -> Entry:
        if not self.has(place):
            self.fail(f"input {place} is missing")
        entry = self.entries[place]
        assert entry is not None, "has() said so"
        return entry

    def value(self, place: int) -> Value:
        """Input as a graph value."""
        return materialize(self.builder, self.entry(place))

    def optional(self, place: int) -> Value | None:
        return self.value(place) if self.has(place) else None

    def values(self) -> list[Value]:
        """All inputs that are present."""
        return [self.value(place) for place in range(len(self.entries)) if self.has(place)]

    def array(self, place: int) -> np.ndarray | None:
        """The constant array of an input, None if it is not constant."""
        entry = self.entry(place)
        if isinstance(entry, Known):
            entry = materialize(self.builder, entry)
        return self.builder.constants.get(entry)

    def constant(self, place: int, what: str) -> np.ndarray:
        """The constant array of an input that has to be one."""
        array = self.array(place)
        if array is None:
            self.fail(f"{what} (input {place}) is not a constant")
        return array

    def known(self, place: int) -> np.ndarray | None:
        """Elements of an integer input as dims (an object array), None where they are not known."""
        entry = self.entry(place)
        if isinstance(entry, Known):
            return entry.elements
        array = self.builder.constants.get(entry)
        if array is None or array.dtype.kind not in "iub" or array.size > KNOWN_ELEMENTS:
            return None
        return known(array).elements

    def dims(self, place: int, what: str) -> tuple[Dim, ...]:
        """Elements of a 1-D (or 0-D) integer input that has to be known."""
        elements = self.known(place)
        if elements is None:
            self.fail(f"{what} (input {place}) is not known at compile time")
        return tuple(elements.flat)

    def ints(self, place: int, what: str) -> tuple[int, ...]:
        """Like dims, but plain ints only."""
        dims = self.dims(place, what)
        if not all(isinstance(dim, int) for dim in dims):
            self.fail(f"{what} (input {place}) depends on symbolic dims")
        return tuple(int(dim) for dim in dims)

    def all_known(self) -> list[np.ndarray] | None:
        """Elements of all inputs if every one is known and one depends on symbols, else None."""
        if not self.is_symbolic():
            return None
        found = [self.known(place) for place in range(len(self.entries)) if self.has(place)]
        whole = [array for array in found if array is not None]
        return whole if len(whole) == len(found) else None

    def is_symbolic(self) -> bool:
        """Whether an input is a shape value with symbolic elements."""
        return any(
            isinstance(entry, Known)
            and not all(isinstance(dim, int) for dim in entry.elements.flat)
            for entry in self.entries
        )

    # attributes

    def attr(self, name: str, default: Any = None) -> Any:
        value = self.node.attributes.get(name, default)
        return value.decode() if isinstance(value, bytes) else value

    def int_list(self, name: str, default: Sequence[int]) -> list[int]:
        value = self.node.attributes.get(name)
        return [int(n) for n in (default if value is None or len(value) == 0 else value)]

    def axis(self, rank: int, default: int, name: str = "axis") -> int:
        return self.normal_axis(int(self.attr(name, default)), rank)

    def normal_axis(self, axis: int, rank: int) -> int:
        """An axis counted from the start."""
        if not -rank <= axis < max(rank, 1):
            self.fail(f"axis {axis} is out of range for {rank} dims")
        return axis % rank if rank else 0

    def axes(self, place: int, rank: int, since_input: int) -> tuple[int, ...] | None:
        """Axes from the attribute, or from input `place` since a version; None where absent."""
        if self.version >= since_input:
            found = self.ints(place, "axes") if self.has(place) else None
        else:
            found = self.attr("axes")
        if found is None:
            return None
        return tuple(sorted(self.normal_axis(int(axis), rank) for axis in found))

    # output

    def emit(self, op: str, /, *inputs: Value, **attrs: Any) -> Value:
        return self.builder.emit(op, *inputs, **attrs)

    def wide(self, value: Value) -> Value:
        """A value of 16-bit floats as f32, any other as it is: for nodes of several operators,
        whose intermediate values ONNX Runtime does not round either.
        """
        return self.builder.cast(value, f32) if value.type.dtype.is_half else value

    def scalar(self, number: Any, like: Value) -> Value:
        return self.builder.scalar(number, like)

    def move_axis_last(self, value: Value, axis: int) -> tuple[Value, tuple[int, ...]]:
        """The value with an axis moved to the end, and the permutation that moves it back."""
        rank = value.type.rank
        perm = [k for k in range(rank) if k != axis] + [axis]
        back = tuple(perm.index(k) for k in range(rank))
        return self.builder.transpose(value, perm), back
