"""Give every access one flat index and simplify the program under the ranges of its loops.

takes: spec "scheduled", no OnMapping
gives: spec "flat": one flat, simplified i64 index per access; decided branches are gone
rewrite:
    x[i, j]  ->  x[i*stride0 + j*stride1]          if i < n: s   ->  s        where i < n is known
"""

from __future__ import annotations

from hidet_core.base.errors import CompilerBug
from hidet_core.ir.address import flat, strides_of
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Const, Expr, Load, Var, is_const
from hidet_core.ir.node import rebuild, rewrite
from hidet_core.ir.simplify import Simplifier
from hidet_core.ir.stmt import (
    Barrier,
    Call,
    For,
    If,
    Let,
    Place,
    Prefetch,
    Program,
    Seq,
    Stmt,
    Store,
    seq,
)
from hidet_core.ir.substitute import substitute
from hidet_core.ir.tensor_map import TensorMap
from hidet_core.ir.verify import gives


@gives("flat")
def flatten_index(program: Program) -> Program:
    """Flatten and simplify."""
    simplifier = Simplifier()
    simplifier.bind(program.task, program.tasks)
    body = _Flatten(simplifier).stmt(program.body)
    return rebuild(program, {"body": body, "tasks": simplifier.simplify(program.tasks)})


class _Flatten:
    """One walk over the statements, with the ranges of all variables in scope."""

    def __init__(self, simplifier: Simplifier) -> None:
        self.simplifier = simplifier

    def expr(self, node: Expr) -> Expr:
        return self.simplifier.simplify(rewrite(node, _flat_load))

    def stmt(self, node: Stmt) -> Stmt:
        match node:
            case Seq(stmts):
                return seq(*(self.stmt(s) for s in stmts))
            case Store(buffer, indices, value, mask, _):
                index = self.expr(flat(buffer, indices))
                new_mask = None if mask is None else self.expr(mask)
                return rebuild(
                    node, {"indices": (index,), "value": self.expr(value), "mask": new_mask}
                )
            case Barrier():
                return node
            case Call(_, operands):
                return rebuild(node, {"operands": tuple(map(self._operand, operands))})
            case Prefetch(buffer, indices, _):
                return rebuild(node, {"indices": (self.expr(flat(buffer, indices)),)})
            case For(var, extent, body, _):
                return self._loop(node, var, extent, body)
            case If(cond, then, orelse):
                return self._branch(node, self.expr(cond), then, orelse)
            case Let(var, value, body):
                new = self.expr(value)
                if isinstance(new, (Const, Var)):
                    return self.stmt(substitute(body, {var: new}))
                self.simplifier.bind_value(var, new)
                return rebuild(node, {"value": new, "body": self.stmt(body)})
        raise TypeError(f"flatten_index: unexpected {type(node).__name__}")

    def _operand(self, node: Place | Expr) -> Place | Expr:
        if not isinstance(node, Place):
            return self.expr(node)
        if isinstance(node.buffer, TensorMap):  # coordinates are what the hardware takes
            return rebuild(node, {"indices": tuple(map(self.expr, node.indices))})
        step = strides_of(node.buffer)[-1]
        if node.count > 1 and not is_const(step, 1):
            raise CompilerBug("flatten_index", f"{node.buffer.name} is not contiguous")
        return rebuild(node, {"indices": (self.expr(flat(node.buffer, node.indices)),)})

    def _loop(self, node: For, var: Var, extent: Expr, body: Stmt) -> Stmt:
        size = self.expr(extent)
        if isinstance(size, Const) and size.value == 1 and node.kind != "threads":
            return self.stmt(substitute(body, {var: Const(0, i64)}))
        if isinstance(size, Const) and size.value <= 0:
            return seq()
        self.simplifier.bind(var, size, inner=node.kind == "serial")
        return rebuild(node, {"extent": size, "body": self.stmt(body)})

    def _branch(self, node: If, cond: Expr, then: Stmt, orelse: Stmt | None) -> Stmt:
        if isinstance(cond, Const):
            taken = then if cond.value else orelse
            return seq() if taken is None else self.stmt(taken)
        other = None if orelse is None else self.stmt(orelse)
        return rebuild(node, {"cond": cond, "then": self.stmt(then), "orelse": other})


def _flat_load(node: object) -> Expr | None:
    if isinstance(node, Load) and not (
        len(node.indices) == 1 and node.buffer.strides in (None, (1,))
    ):
        return rebuild(node, {"indices": (flat(node.buffer, node.indices),)})
    return None
