"""Reshapes as index maps, cut into independent segments so that untouched dims keep their index.

`segments` pairs runs of dims of both shapes with equal products, as short as possible: [N, 6, H]
-> [N, 2, 3, H] is N-N, 6-(2, 3), H-H. Within a segment an index is flattened and cut anew
(row-major); dims of 1 take no part.
"""

from __future__ import annotations

from collections.abc import Sequence

from hidet_core.ir.expr import Expr, is_const, wrap

from .dims import Dim, Shape, exact_div, product, same_dim

Segment = tuple[tuple[int, ...], tuple[int, ...]]


def segments(source: Shape, target: Shape) -> list[Segment] | None:
    """Pairs (dims of source, dims of target) in order; None where sizes differ or may differ."""
    if any(is_const(dim, 0) for dim in (*source, *target)):
        whole = (tuple(range(len(source))), tuple(range(len(target))))
        return [whole] if is_const(product(source), 0) and is_const(product(target), 0) else None
    found: list[Segment] = []
    i = j = 0
    while i < len(source) and j < len(target):
        cut = _segment(source[i:], target[j:])
        if cut is None:
            return None
        found.append((tuple(range(i, i + cut[0])), tuple(range(j, j + cut[1]))))
        i, j = i + cut[0], j + cut[1]
    if not all(is_const(dim, 1) for dim in (*source[i:], *target[j:])):
        return None
    rest = (tuple(range(i, len(source))), tuple(range(j, len(target))))
    if found and (rest[0] or rest[1]):
        found[-1] = (found[-1][0] + rest[0], found[-1][1] + rest[1])
        return found
    return found or [rest]


def _segment(source: Shape, target: Shape) -> tuple[int, int] | None:
    """Lengths of the shortest prefixes with equal products."""
    i = j = 1
    left, right = source[0], target[0]
    while not same_dim(left, right):
        if _is_below(left, right):
            if i == len(source):
                return None
            left, i = product((left, source[i])), i + 1
        elif _is_below(right, left):
            if j == len(target):
                return None
            right, j = product((right, target[j])), j + 1
        elif same_dim(product(source), product(target)):
            return len(source), len(target)
        else:
            return None
    return i, j


def _is_below(a: Dim, b: Dim) -> bool:
    if isinstance(a, int) and isinstance(b, int):
        return a < b
    return exact_div(b, a) is not None


def reshape_index(source: Shape, target: Shape, index: Sequence[Expr]) -> tuple[Expr, ...]:
    """Where in source the element at `index` of target lies (same row-major order)."""
    result: list[Expr] = [wrap(0)] * len(source)
    for ours, theirs in segments(source, target) or [
        (tuple(range(len(source))), tuple(range(len(target))))
    ]:
        ours = tuple(k for k in ours if not is_const(source[k], 1))
        theirs = tuple(k for k in theirs if not is_const(target[k], 1))
        for k, value in zip(ours, _cut(_flatten(target, theirs, index), source, ours), strict=True):
            result[k] = value
    return tuple(result)


def _flatten(shape: Shape, dims: Sequence[int], index: Sequence[Expr]) -> Expr:
    flat = wrap(0)
    for k in dims:
        flat = flat * shape[k] + index[k]
    return flat


def _cut(flat: Expr, shape: Shape, dims: Sequence[int]) -> list[Expr]:
    result = []
    for place, k in enumerate(dims):
        stride = product(shape[n] for n in dims[place + 1 :])
        value = flat // stride
        result.append(value if place == 0 else value % shape[k])
    return result
