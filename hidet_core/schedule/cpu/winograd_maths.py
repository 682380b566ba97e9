"""Winograd's minimal filtering F(m, 3): m outputs of a 3-tap filter by m + 2 multiplications (Lavin
and Gray, "Fast Algorithms for Convolutional Neural Networks", 2015).

    y = AT ((G g) * (BT d))     d: m + 2 inputs, g: 3 taps; in two dims each matrix is used twice

F(4, 3) uses the points 0, 1, -1, 2, -2. In float32 it is less exact than a direct sum: see
`error_bound`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from hidet_core.ir.expr import Const, Expr, wrap
from hidet_core.lang import let

Matrix = tuple[tuple[float, ...], ...]

BT: dict[int, Matrix] = {
    2: ((1, 0, -1, 0), (0, 1, 1, 0), (0, -1, 1, 0), (0, 1, 0, -1)),
    4: (
        (4, 0, -5, 0, 1, 0),
        (0, -4, -4, 1, 1, 0),
        (0, 4, -4, -1, 1, 0),
        (0, -2, -1, 2, 1, 0),
        (0, 2, -1, -2, 1, 0),
        (0, 4, 0, -5, 0, 1),
    ),
}
G: dict[int, Matrix] = {
    2: ((1, 0, 0), (1 / 2, 1 / 2, 1 / 2), (1 / 2, -1 / 2, 1 / 2), (0, 0, 1)),
    4: (
        (1 / 4, 0, 0),
        (-1 / 6, -1 / 6, -1 / 6),
        (-1 / 6, 1 / 6, -1 / 6),
        (1 / 24, 1 / 12, 1 / 6),
        (1 / 24, -1 / 12, 1 / 6),
        (0, 0, 1),
    ),
}
AT: dict[int, Matrix] = {
    2: ((1, 1, 1, 0), (0, 1, -1, -1)),
    4: ((1, 1, 1, 1, 1, 0), (0, 1, -1, 2, -2, 0), (0, 1, 1, 4, 4, 0), (0, 1, -1, 8, -8, 1)),
}


def transform_weights(weights: np.ndarray, m: int) -> np.ndarray:
    """[3, 3, C, O] -> [(m + 2)^2, C * O]."""
    g = np.array(G[m], np.float64)
    both = np.kron(g, g).astype(np.float32)
    return both @ np.ascontiguousarray(weights).reshape(9, -1)


def error_bound(m: int, channels: int) -> float:
    """A bound of the error relative to max |x| * sum |w|, in float32: the largest growth of
    rounding errors through the three transforms, and the sum over the channels.
    """
    growth = 1.0
    for matrix in (AT[m], BT[m], G[m]):
        growth *= max(sum(map(abs, row)) for row in matrix) ** 2
    return float(np.finfo(np.float32).eps) * growth * (channels + 16)


def apply(matrix: Matrix, values: Sequence[Expr]) -> list[Expr]:
    """matrix times a vector of values. Neighbouring rows that differ in the sign of one half of
    their terms share both halves, as do neighbouring columns of equal size.
    """
    columns = [list(column) for column in zip(*matrix, strict=True)]
    if all(_are_opposite(columns[k], columns[k + 1]) for k in range(1, len(columns) - 1, 2)):
        return _by_columns(matrix, values)
    results: list[Expr] = []
    while len(results) < len(matrix):
        row = matrix[len(results)]
        below = matrix[len(results) + 1] if len(results) + 1 < len(matrix) else ()
        if below and _are_opposite(row, below):
            same = [a if a == b else 0.0 for a, b in zip(row, below, strict=True)]
            other = [a if a != b else 0.0 for a, b in zip(row, below, strict=True)]
            left, right = let("p", _sum(same, values)), let("q", _sum(other, values))
            results += [left + right, left - right]
        else:
            results.append(_sum(row, values))
    return results


def _are_opposite(a: Sequence[float], b: Sequence[float]) -> bool:
    """Whether entries are equal up to their signs, and some signs are equal, some not."""
    pairs = list(zip(a, b, strict=True))
    equal_size = all(abs(x) == abs(y) for x, y in pairs)
    return equal_size and any(x == y != 0 for x, y in pairs) and any(x != y for x, y in pairs)


def _by_columns(matrix: Matrix, values: Sequence[Expr]) -> list[Expr]:
    """Columns 1 and 2, 3 and 4, ... as sums and differences of their values."""
    mixed, shared = [values[0]], list(range(1, len(values) - 1, 2))
    for k in shared:
        mixed += [let("s", values[k] + values[k + 1]), let("d", values[k] - values[k + 1])]
    mixed.append(values[-1])
    results = []
    for row in matrix:
        factors = [row[0]]
        for k in shared:
            even = row[k] == row[k + 1]
            factors += [row[k] if even else 0.0, 0.0 if even else row[k]]
        results.append(_sum([*factors, row[-1]], mixed))
    return results


def _sum(factors: Sequence[float], values: Sequence[Expr]) -> Expr:
    """Terms with a factor of 1 first, so that the others are multiply-adds."""
    terms = [(f, v) for f, v in zip(factors, values, strict=True) if f != 0]
    terms.sort(key=lambda term: (abs(term[0]) != 1, term[0] < 0))
    (first, value), *rest = terms
    total = value if first == 1 else value * Const(float(first), value.dtype)
    for factor, value in rest:
        if abs(factor) == 1:
            total = total + value if factor > 0 else total - value
        else:
            total = total + value * wrap(float(factor), value.dtype)
    return total
