"""What kind of access an index means."""

from __future__ import annotations

from hidet_core.ir.expr import Broadcast, Const, Expr, Ramp, is_const


def one_place(index: Expr) -> Expr | None:
    """The scalar index of a vector access whose lanes all mean one element, else None."""
    if isinstance(index, Broadcast):
        return index.a
    return index.base if isinstance(index, Ramp) and is_const(index.stride, 0) else None


def contiguous(index: Expr) -> bool:
    return isinstance(index, Ramp) and is_const(index.stride, 1)


def constant_base(index: Expr) -> int:
    """The first element of an access whose place is a literal."""
    if isinstance(index, Ramp):
        index = index.base
    elif isinstance(index, Broadcast):
        index = index.a
    assert isinstance(index, Const), "Registers lets only constant indices through"
    return index.value
