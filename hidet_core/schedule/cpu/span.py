"""The elements of a row in the lanes of vector registers: whole vectors, then the rest masked."""

from __future__ import annotations

from collections.abc import Iterator

from hidet_core.ir.expr import Expr, is_const, wrap
from hidet_core.lang import lanes, range_, spatial, when


def span(extent: int | Expr, width: int) -> Iterator[Expr]:
    """`for k in span(n, 16)`: each k in [0, n) once, `width` at a time; the body is written twice
    where a rest may be left.
    """
    whole, rest = extent // width, extent % width
    if not is_const(wrap(whole), 0):
        for block in range_(whole, "b"):
            for (lane,) in lanes(spatial(width)):
                yield block * width + lane
    if is_const(wrap(rest), 0):
        return
    for (lane,) in lanes(spatial(width)):
        k = wrap(whole) * width + lane
        with when(k < extent):
            yield k
