"""Reductions inside a task: accumulate a box of values, in lanes where one axis of the box runs
along memory.

Shared by the templates of reductions, row normalisations and pooling. All of it is written from a
definition's Reduce node, so every operator whose maths has that form is covered.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from hidet_core.ir.expr import Binary, Expr, Load, Reduce, Var, select, wrap
from hidet_core.ir.node import rewrite, walk
from hidet_core.ir.substitute import substitute
from hidet_core.lang import lanes, let, range_, register, spatial

from ..reducing import combine, identity


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
