"""Small things that all templates need: the scalars of a program, sizes for estimates."""

from __future__ import annotations

import math

from hidet_core.ir.expr import Buffer, Expr, Var, free_vars, is_const, wrap

TYPICAL_DIM = 64  # what a symbolic dim is taken for in estimates


def scalars_of(*buffers: Buffer) -> tuple[Var, ...]:
    """The symbols in shapes and strides of the buffers, each once, in a stable order."""
    found: dict[Var, None] = {}
    for buffer in buffers:
        for dim in (*buffer.shape, *(buffer.strides or ())):
            if isinstance(dim, Expr):
                found.update(dict.fromkeys(free_vars(dim)))
    return tuple(found)


def estimate(dims: tuple[int | Expr, ...]) -> int:
    """A number of elements for estimates."""
    return math.prod(dim if isinstance(dim, int) else TYPICAL_DIM for dim in dims)


def unravel(flat: Expr, shape: tuple[int | Expr, ...]) -> tuple[Expr, ...]:
    """The index of the flat-th element of a row-major box; the outermost index is taken as it comes
    (flat is in range).
    """
    index: list[Expr] = []
    rest = flat
    for axis in range(len(shape) - 1, -1, -1):
        extent = wrap(shape[axis])
        if is_const(extent, 1):
            index.append(wrap(0))
            continue
        outermost = all(is_const(wrap(dim), 1) for dim in shape[:axis])
        index.append(rest if outermost else rest % extent)
        rest = rest // extent
    return tuple(reversed(index))
