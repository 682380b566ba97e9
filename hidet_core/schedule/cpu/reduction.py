"""Reductions inside a task: accumulate a box of values, in lanes where one axis of the box runs
along memory.

Shared by the templates of reductions, row normalisations and pooling. All of it is written from a
definition's Reduce node, so every operator whose maths has that form is covered.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import (
    Binary,
    Buffer,
    Const,
    Expr,
    Load,
    Reduce,
    Var,
    binary,
    select,
    unary,
    wrap,
)
from hidet_core.ir.node import rewrite, walk
from hidet_core.ir.substitute import substitute
from hidet_core.lang import lanes, let, range_, register, spatial

_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "min", "any": "or", "all": "and"}


def identity(op: str, dtype: DType) -> Const:
    """The neutral element of a reduction."""
    lowest = -math.inf if dtype.is_float else (-(1 << dtype.bits - 1) if dtype.kind == "i" else 0)
    highest = math.inf if dtype.is_float else (1 << dtype.bits - (dtype.kind == "i")) - 1
    values = {"sum": 0, "prod": 1, "max": lowest, "min": highest, "any": False, "all": True}
    value = values[op]
    return Const(float(value) if dtype.is_float else value, dtype)


def combine(op: str, a: Expr, b: Expr) -> Expr:
    """One step of a reduction from the total a so far. max and min keep NaN, as NumPy and ONNX
    Runtime do: the comparison lets a NaN in, the outer select keeps it.
    """
    if op in ("max", "min") and a.dtype.is_float:
        better = binary("gt" if op == "max" else "lt", a, b)
        return select(unary("isnan", a), a, select(better, a, b))
    return binary(_COMBINE[op], a, b)


def find_reduce(value: Expr) -> Reduce | None:
    """The Reduce of a definition's value, None if it has none."""
    return next((node for node in walk(value) if isinstance(node, Reduce)), None)


def instantiate(value: Expr, axes: Mapping[Var, Expr], known: Mapping[Buffer, Expr]) -> Expr:
    """value with its axes replaced, and loads of intermediate buffers by what is known of them at
    this point.
    """
    body = rewrite(value, lambda node: known.get(node.buffer) if isinstance(node, Load) else None)
    return substitute(body, axes, fresh=True)


def with_total(value: Expr, node: Reduce, total: Expr) -> Expr:
    """value with its Reduce replaced by the reduced total."""
    return rewrite(value, lambda other: total if other is node else None)


def lane_axis(node: Reduce) -> int | None:
    """The axis of a Reduce along which some load is contiguous (its last index is the axis)."""
    for load in walk(node.value):
        if isinstance(load, Load) and load.indices and load.indices[-1] in node.axes:
            return node.axes.index(load.indices[-1])  # type: ignore[arg-type]
    return None


def reduce_in_lanes(node: Reduce, axis: int, width: int) -> Expr:
    """The reduction with `axis` in lanes; returns a scalar."""
    extent = node.extents[axis]
    others = [k for k in range(len(node.axes)) if k != axis]
    acc = register(node.dtype, [width], "part")
    for (lane,) in lanes(spatial(width)):
        acc[lane] = identity(node.op, node.dtype)

    def step(position: Callable[[Expr], Expr], guard: bool, outer: Mapping[Var, Expr]) -> None:
        for (lane,) in lanes(spatial(width)):
            at = position(lane)
            value = substitute(node.value, {**outer, node.axes[axis]: at}, fresh=True)
            if guard:
                inside = at < wrap(extent)
                value = select(inside, _masked(value, inside), identity(node.op, node.dtype))
            acc[lane] = combine(node.op, acc[lane], value)

    def nest(outer: dict[Var, Expr]) -> None:
        if len(outer) < len(others):
            k = others[len(outer)]
            for index in range_(node.extents[k], "r"):
                nest({**outer, node.axes[k]: index})
            return
        whole, rest = extent // width, extent % width
        for block in range_(whole, "b"):
            step(lambda lane: block * width + lane, False, outer)
        if not (isinstance(rest, int) and rest == 0):
            step(lambda lane: whole * width + lane, True, outer)

    nest({})
    return _across(node.op, [acc[lane] for lane in range(width)])


def _masked(value: Expr, inside: Expr) -> Expr:
    """value whose loads happen only where `inside` holds."""

    def rule(node: object) -> Expr | None:
        if isinstance(node, Load):
            mask = inside if node.mask is None else Binary("and", node.mask, inside, inside.dtype)
            return Load(node.buffer, node.indices, node.dtype, mask)
        return None

    return rewrite(value, rule)


def _across(op: str, values: Sequence[Expr]) -> Expr:
    """A tree of pairs."""
    level = list(values)
    while len(level) > 1:
        level = [
            let("sum", combine(op, a, b)) for a, b in zip(level[::2], level[1::2], strict=True)
        ]
    return level[0]


def reduce_serial(node: Reduce, acc: Callable[[], tuple[Expr, Callable[[Expr], None]]]) -> None:
    """The reduction as plain loops around one accumulator (which may itself be a lane of a
    register).
    """

    def nest(outer: dict[Var, Expr]) -> None:
        if len(outer) < len(node.axes):
            k = len(outer)
            for index in range_(node.extents[k], "r"):
                nest({**outer, node.axes[k]: index})
            return
        current, assign = acc()
        assign(combine(node.op, current, substitute(node.value, outer, fresh=True)))

    nest({})
