"""Expand loops of kind 'unroll' into copies of their bodies.

takes: spec "flat", no For of kind 'lanes'        gives: spec "lowered"
rewrite:
    for i in unroll(2): s(i)   ->   s(0); s(1)
"""

from __future__ import annotations

from typing import Any

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Const
from hidet_core.ir.node import rewrite
from hidet_core.ir.stmt import For, Program, Stmt, seq
from hidet_core.ir.substitute import substitute
from hidet_core.ir.verify import gives


@gives("lowered")
def unroll_loops(program: Program) -> Program:
    """Unroll, inner loops first."""

    def rule(node: Any) -> Any:
        return _unroll(node) if isinstance(node, For) and node.kind == "unroll" else None

    return rewrite(program, rule)


def _unroll(loop: For) -> Stmt:
    if not isinstance(loop.extent, Const):
        raise CompilerBug("unroll_loops", f"the extent of {loop.var.name} is not a constant")
    copies = (
        substitute(loop.body, {loop.var: Const(i, i64)}, fresh=True)
        for i in range(int(loop.extent.value))
    )
    return seq(*copies)
