"""What kind of map a definition is (Hidet, ASPLOS'23, section 5.1): found from its loads alone.

injective: no Reduce. elementwise in an input: that input is read exactly at the output's index.
bijective in an input: every element of it goes to exactly one place of the output; `inverse_map`
gives that place where the index map permutes axes and drops or adds dims of 1. Reshapes and
concats state theirs themselves (`OpDef.scatter`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

from hidet_core.ir.expr import Buffer, Expr, Var, is_const, wrap
from hidet_core.ir.structure import same

from .definition import Definition, loads, the_reduce
from .dims import same_dim

Index = tuple[Expr, ...]


def is_injective(definitions: Iterable[Definition]) -> bool:
    """Whether no definition reduces."""
    return all(the_reduce(definition) is None for definition in definitions)


def index_maps(definition: Definition, buffer: Buffer) -> list[Index]:
    """The different indices at which a buffer is read."""
    found: list[Index] = []
    for load in loads(definition):
        if load.buffer is buffer and not any(_same_index(load.indices, known) for known in found):
            found.append(load.indices)
    return found


def is_elementwise_in(definition: Definition, buffer: Buffer) -> bool:
    """Whether a buffer of the output's shape is read only at the output's own index."""
    maps = index_maps(definition, buffer)
    return bool(maps) and all(_same_index(index, definition.axes) for index in maps)


def inverse_map(definition: Definition, buffer: Buffer) -> Callable[[Sequence[Expr]], Index] | None:
    """Where in the output the element at an index of the buffer goes, None where not known."""
    maps = index_maps(definition, buffer)
    if len(maps) != 1 or the_reduce(definition) is not None:
        return None
    source = _sources(definition, buffer, maps[0])
    if source is None:
        return None
    return lambda index: tuple(wrap(0) if place is None else index[place] for place in source)


def _sources(definition: Definition, buffer: Buffer, index: Index) -> list[int | None] | None:
    """For each output axis the buffer's axis it runs along; None in it for output dims of 1."""
    place = {axis: k for k, axis in enumerate(definition.axes)}
    source: list[int | None] = [None] * len(definition.axes)
    for k, expr in enumerate(index):
        if is_const(buffer.shape[k], 1) and is_const(expr, 0):
            continue
        axis = place.get(expr) if isinstance(expr, Var) else None
        if axis is None or source[axis] is not None:
            return None
        if not same_dim(buffer.shape[k], definition.out.shape[axis]):
            return None
        source[axis] = k
    lost = (k for k, axis in enumerate(source) if axis is None)
    return source if all(is_const(definition.out.shape[k], 1) for k in lost) else None


def _same_index(a: Sequence[Expr], b: Sequence[Expr]) -> bool:
    return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
