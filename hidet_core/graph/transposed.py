"""Values held in another order of axes than the graph asks for: the state of sink_transposes.

A value is known as `Held(base, perm)`: value = transpose(base, perm), value axis k is base axis
perm[k]. Nothing is emitted until somebody needs the value itself or another order of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from hidet_core.compute.dims import Dim
from hidet_core.compute.reshaping import Segment, segments
from hidet_core.ir.expr import is_const

from .builder import GraphBuilder, replace_inputs
from .graph import Operator, Value

Perm = tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Held:
    """value = transpose(base, perm)."""

    base: Value
    perm: Perm

    @property
    def is_plain(self) -> bool:
        return self.perm == tuple(range(len(self.perm)))


def inverse(perm: Sequence[int]) -> Perm:
    return tuple(perm.index(axis) for axis in range(len(perm)))


def permute(items: Sequence, perm: Sequence[int]) -> tuple:
    return tuple(items[axis] for axis in perm)


class TransposedValues:
    """How each value of the old graph is held in the new one."""

    def __init__(self, builder: GraphBuilder) -> None:
        self.builder = builder
        self.held: dict[Value, Held] = {}
        self._made: dict[tuple[Value, Perm], Value] = {}

    def of(self, value: Value) -> Held:
        """Values nobody moved are held as they are."""
        return self.held.get(value) or Held(value, tuple(range(value.type.rank)))

    def hold(self, value: Value, base: Value, perm: Iterable[int]) -> None:
        self.held[value] = Held(base, tuple(perm))

    def ordered(self, base: Value, perm: Perm) -> Value:
        """transpose(base, perm), made once."""
        key = (base, perm)
        if key not in self._made:
            self._made[key] = self.builder.permuted(base, perm) if len(perm) > 1 else base
        return self._made[key]

    def value(self, value: Value) -> Value:
        """The value itself, in its own order of axes."""
        held = self.of(value)
        return self.ordered(held.base, held.perm)

    def in_order(self, value: Value, perm: Perm) -> Value:
        """What to hold so that transpose(it, perm) is the value."""
        held = self.of(value)
        return self.ordered(held.base, permute(held.perm, inverse(perm)))

    def keep(self, operator: Operator) -> None:
        """Emit the operator as it is, reading its inputs in their own order."""
        mapping = {value: self.value(value) for value in operator.inputs}
        self.builder.append(replace_inputs(operator, mapping))


@dataclass(frozen=True, eq=False)
class ReshapePlan:
    """A reshape of a held value: put base axes in `order`, reshape to `shape`, hold with `perm`.

    is_free: `order` moves no data.  parts: the segments in base order.
    """

    order: Perm
    shape: tuple[Dim, ...]
    perm: Perm
    is_free: bool
    parts: tuple[Segment, ...]


def plan_reshape(held: Held, shape: Sequence[Dim]) -> ReshapePlan | None:
    """How to reshape transpose(base, perm) to shape while moving as little as possible.

    Each segment of the reshape (see compute/reshaping.py) is a block of axes that can stay where
    the base has it; within a block the axes must be in the value's order.
    """
    source = permute(held.base.type.shape, held.perm)
    found = segments(source, tuple(shape))
    if found is None or any(not ours or not theirs for ours, theirs in found):
        return None
    parts = sorted(found, key=lambda part: _position(part, held, source))
    order = tuple(held.perm[k] for ours, _ in parts for k in ours)
    axes = [k for _, theirs in parts for k in theirs]
    moving = [axis for axis in order if not is_const(held.base.type.shape[axis], 1)]
    is_free = moving == sorted(moving)
    target = tuple(shape[k] for k in axes)
    return ReshapePlan(order, target, inverse(axes), is_free, tuple(parts))


def _position(part: Segment, held: Held, source: Sequence[Dim]) -> int:
    """Where the base has a segment: at its innermost axis that is not 1, so that stays inside."""
    ours = [k for k in part[0] if not is_const(source[k], 1)] or list(part[0])
    return max(held.perm[k] for k in ours)
