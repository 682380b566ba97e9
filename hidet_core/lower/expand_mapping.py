"""Expand task mappings into loops and index arithmetic.

takes: spec "scheduled"        gives: spec "scheduled", no OnMapping
rewrite:
    for i, j in (repeat(2, 4) * spatial(1, 16)).on(w): body(i, j)
 -> for a in unroll(2): for b in unroll(4): body(a, b*16 + w)
"""

from __future__ import annotations

import itertools
from typing import Any

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Const, Var, wrap
from hidet_core.ir.node import rewrite
from hidet_core.ir.stmt import For, OnMapping, Program, Stmt, seq
from hidet_core.ir.substitute import substitute
from hidet_core.ir.verify import gives
from hidet_core.mapping import Compose, Custom, TaskMapping


@gives("scheduled")
def expand_mapping(program: Program) -> Program:
    """Replace every OnMapping by the loops of one worker."""
    return rewrite(program, lambda node: _expand(node) if isinstance(node, OnMapping) else None)


def _has_custom(mapping: TaskMapping) -> bool:
    match mapping:
        case Custom():
            return True
        case Compose(outer, inner):
            return _has_custom(outer) or _has_custom(inner)
    return False


def _expand(node: OnMapping) -> Stmt:
    mapping = node.mapping
    if _has_custom(mapping):
        steps = itertools.product(*map(range, mapping.step_shape))
        return seq(*(_body(node, mapping.task(node.worker, step), fresh=True) for step in steps))
    variables = tuple(Var(f"s{level}", i64) for level, _ in enumerate(mapping.step_shape))
    stmt = _body(node, mapping.task(node.worker, variables), fresh=False)
    kind = "unroll" if node.unroll else "serial"
    for var, extent in reversed(list(zip(variables, mapping.step_shape, strict=True))):
        if extent == 1:
            stmt = substitute(stmt, {var: Const(0, i64)})
        else:
            stmt = For(var, Const(extent, i64), stmt, kind)
    return stmt


def _body(node: OnMapping, task: tuple[Any, ...], fresh: bool) -> Stmt:
    values = {var: wrap(index, i64) for var, index in zip(node.vars, task, strict=True)}
    return substitute(node.body, values, fresh)
