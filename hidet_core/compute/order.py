"""The order in which elements of a row are sorted."""

from __future__ import annotations

from hidet_core.ir.expr import Expr, binary, both, unary


def precedes(a: Expr, i: Expr, b: Expr, j: Expr, largest: bool) -> Expr:
    """Whether element a at position i comes before b at j, where i and j differ: the larger (or
    smaller) first, of equal ones that of the lower position. NaN is larger than all numbers, as for
    ONNX Runtime's CPU provider.
    """
    first, second = _beats(a, b, largest), _beats(b, a, largest)
    return binary("or", first, both(unary("not", second), i < j))


def _beats(a: Expr, b: Expr, largest: bool) -> Expr:
    better = binary("gt" if largest else "lt", a, b)
    if not a.dtype.is_float:
        return better
    nan, other = (a, b) if largest else (b, a)
    return binary("or", better, both(unary("isnan", nan), unary("not", unary("isnan", other))))
