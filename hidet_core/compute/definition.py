"""Definitions: a tensor given by the value of each of its elements (Hidet, ASPLOS'23, section 4.1).

`out[axes] = value`; value loads input buffers, or the `out` of earlier definitions of the same
operator, and holds at most one Reduce. Every load is in bounds at every point of the box of axes
(and of the Reduce), also under a `select` whose condition is false, so a definition may be
evaluated speculatively and in vectors.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import DType, i64
from hidet_core.ir.expr import Buffer, Expr, Load, Reduce, Var
from hidet_core.ir.expr import reduce as reduce_expr
from hidet_core.ir.node import walk

from .dims import Dim, Shape, simplify


@dataclass(frozen=True, eq=False)
class Definition:
    """out[axes] = value for every point of out's shape."""

    out: Buffer
    axes: tuple[Var, ...]
    value: Expr


def compute(name: str, dtype: DType, shape: Shape, body: Callable[..., Expr]) -> Definition:
    """Definition of a tensor; body(*axes) is the value at an index."""
    axes = tuple(Var(f"i{k}", i64) for k in range(len(shape)))
    value = body(*axes)
    if value.dtype != dtype:
        raise CompilerBug("compute", f"{name} is declared {dtype} but its value is {value.dtype}")
    return Definition(Buffer(name, dtype, tuple(simplify(dim) for dim in shape)), axes, value)


def reduce_over(op: str, extents: tuple[Dim, ...], body: Callable[..., Expr]) -> Reduce:
    """op of body(*axes) over a box of the given extents."""
    axes = tuple(Var(f"r{k}", i64) for k in range(len(extents)))
    return reduce_expr(op, axes, tuple(simplify(dim) for dim in extents), body(*axes))


def loads(definition: Definition) -> Iterator[Load]:
    """The loads of a definition, each object once."""
    return (node for node in walk(definition.value) if isinstance(node, Load))


def the_reduce(definition: Definition) -> Reduce | None:
    """The one Reduce of a definition, None if it has none."""
    found = [node for node in walk(definition.value) if isinstance(node, Reduce)]
    if len(found) > 1:
        raise CompilerBug(
            "compute",
            f"{definition.out.name} holds {len(found)} reductions, at most one is allowed",
        )
    return found[0] if found else None
