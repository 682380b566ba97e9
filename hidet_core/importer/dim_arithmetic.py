"""Arithmetic on dims: what exporters compute of sizes, as expressions that the plan evaluates.

A comparison is 1 or 0 as an expression of min and max, so that a choice between two sizes is one
too. Symbols are 0 or more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import reduce
from typing import Any

import numpy as np

from hidet_core.compute.dims import Dim, exact_div, same_dim, simplify
from hidet_core.ir.expr import Binary, Const, Var, maximum, minimum


def is_natural(dim: Dim) -> bool:
    """Whether a dim is certainly not negative."""
    match dim:
        case int() | Const(value=int()):
            return (dim if isinstance(dim, int) else dim.value) >= 0
        case Var():
            return True
        case Binary(op="add" | "mul" | "min" | "floordiv" | "mod", a=a, b=b):
            return is_natural(a) and is_natural(b)
        case Binary(op="max", a=a, b=b):
            return is_natural(a) or is_natural(b)
    return False


def from_start(bound: Dim, size: Dim) -> Dim:
    """A bound that counts from the end if it is negative, counted from the start."""
    return bound - size * _least(_most(bound, -1), 0)


def _most(a: Dim, b: Dim) -> Dim:
    return max(a, b) if isinstance(a, int) and isinstance(b, int) else maximum(a, b)


def _least(a: Dim, b: Dim) -> Dim:
    return min(a, b) if isinstance(a, int) and isinstance(b, int) else minimum(a, b)


def _divided(a: Dim, b: Dim) -> Dim | None:
    """ONNX rounds towards zero: the same where nothing is negative."""
    exact = exact_div(a, b)
    if exact is not None:
        return exact
    is_divisor = isinstance(b, int) and b > 0
    return a // b if is_natural(a) and (is_divisor or not isinstance(b, int)) else None


def _remainder(a: Dim, b: Dim) -> Dim | None:
    is_divisor = isinstance(b, int) and b > 0
    return a - b * (a // b) if is_natural(a) and is_divisor else None


def _is_more(a: Dim, b: Dim) -> Dim:
    """1 if a > b, else 0."""
    return _least(_most(simplify(a - b), 0), 1)


def _is_equal(a: Dim, b: Dim) -> Dim:
    if same_dim(a, b):
        return 1
    if any(isinstance(x, int) and x < 0 and is_natural(y) for x, y in ((a, b), (b, a))):
        return 0
    apart = simplify(a - b)
    return 1 - _least(_most(apart, -apart if isinstance(apart, int) else apart * -1), 1)


def _choice(condition: Dim, a: Dim, b: Dim) -> Dim:
    if isinstance(condition, int):
        return a if condition else b
    return b + condition * (a - b)


TRUTHS = ("eq", "gt", "lt", "ge", "le")
ARITHMETIC: dict[str, Callable[..., Any]] = {
    "add": lambda a, b: a + b,
    "sub": lambda a, b: a - b,
    "mul": lambda a, b: a * b,
    "div": _divided,
    "mod": _remainder,
    "neg": lambda a: a * -1,
    "maximum": _most,
    "minimum": _least,
    "eq": _is_equal,
    "gt": _is_more,
    "lt": lambda a, b: _is_more(b, a),
    "ge": lambda a, b: 1 - _is_more(b, a),
    "le": lambda a, b: 1 - _is_more(a, b),
    "where": _choice,
}


def on_dims(op: str, arrays: Sequence[np.ndarray]) -> np.ndarray | None:
    """The elements of the result, None where they are no expressions of ours."""
    function = ARITHMETIC.get(op)
    if function is None:
        return None
    count = {"neg": 1, "where": 3}.get(op, 2)
    each = np.frompyfunc(lambda *dims: None if any(d is None for d in dims) else function(*dims),
                         count, 1)  # fmt: skip
    result = each(*arrays) if count == len(arrays) else reduce(each, arrays)
    elements = np.asarray(result, object)
    return None if any(element is None for element in elements.flat) else elements
