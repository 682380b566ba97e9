"""16-bit floats are computed in float32 (ir/widen.py), across the statements of a program too.

    let y: f16 = a + b              let y: f32 = f32(a) + f32(b)
    out[i] = y * c            ->    out[i] = f16(y * f32(c))

Programs without 16-bit arithmetic come back as they are. Buffers keep their dtype: what is stored,
in registers too, is rounded.
"""

from __future__ import annotations

from typing import Any

from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Expr, Var
from hidet_core.ir.node import Node, child_fields, rebuild, walk
from hidet_core.ir.stmt import Let, Program, Stmt
from hidet_core.ir.verify import gives
from hidet_core.ir.widen import Widener


@gives("scheduled")
def widen_halves(program: Program) -> Program:
    if not any(isinstance(node, Expr) and node.dtype.is_half for node in walk(program.body)):
        return program
    return rebuild(program, {"body": _Statements().rewrite(program.body)})


class _Statements:
    """Rewrites statements, definitions of variables before their uses."""

    def __init__(self) -> None:
        self.widener = Widener()

    def rewrite(self, node: Any) -> Any:
        if isinstance(node, Let):
            return self._lets(node)
        if not isinstance(node, Stmt):
            return self.widener.plain(node)
        changed: dict[str, Any] = {}
        for name in child_fields(type(node)):
            child = getattr(node, name)
            if isinstance(child, tuple):
                new = tuple(self.rewrite(item) for item in child)
                same = all(a is b for a, b in zip(new, child, strict=True))
                changed[name] = child if same else new
            elif isinstance(child, Node):
                changed[name] = self.rewrite(child)
        return rebuild(node, changed)

    def _lets(self, node: Stmt) -> Stmt:
        """A chain of Lets, which may be thousands long, without recursion."""
        chain: list[tuple[Let, dict[str, Any]]] = []
        while isinstance(node, Let):
            chain.append((node, self._bound(node)))
            node = node.body
        body = self.rewrite(node)
        for let, changed in reversed(chain):
            body = rebuild(let, {**changed, "body": body})
        return body

    def _bound(self, node: Let) -> dict[str, Any]:
        if not (node.var.dtype.is_half and self.widener.is_computed(node.value)):
            return {"value": self.widener.plain(node.value)}
        value = self.widener.single(node.value)
        var = Var(node.var.name, f32.vector(node.var.dtype.lanes))
        self.widener.wide[node.var] = var
        return {"var": var, "value": value}
