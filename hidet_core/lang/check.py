"""Mistakes that show only when a user's program is complete, located where they were made.

Checked: a variable or let-bound value is used where it is bound (Python lets it be used after its
loop); a loop over lanes has none inside, and loops inside it run as often in every lane; threads
are one loop, and reach each barrier all or none, lanes of a warp each collective.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from hidet_core.base.errors import ProgramError
from hidet_core.ir.expr import Expr, Var, free_vars
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import (
    Barrier,
    Call,
    For,
    If,
    Let,
    OnMapping,
    Prefetch,
    Program,
    Seq,
    Stmt,
    Store,
)
from hidet_core.ir.uniform import divergent_barrier, divergent_call


@dataclass(frozen=True)
class Scope:
    """bound: variables that may be used; lanes: those whose value differs between lanes, None
    outside of a loop over lanes; where: the author's line of the statement around.
    """

    bound: frozenset[Var]
    lanes: frozenset[Var] | None
    where: str

    def bind(self, variables: tuple[Var, ...], differs: bool) -> Scope:
        """With more variables."""
        lanes = self.lanes
        if differs and lanes is not None:
            lanes = lanes.union(variables)
        return replace(self, bound=self.bound.union(variables), lanes=lanes)


def check(program: Program) -> None:
    """Raises ProgramError with the file and line of the first mistake."""
    bound = frozenset((*program.scalars, program.task))
    _check(program.body, Scope(bound, None, program.name))
    _check_threads(program)


def _check_threads(program: Program) -> None:
    loops = [n for n in walk(program.body) if isinstance(n, For) and n.kind == "threads"]
    if len(loops) > 1:
        raise ProgramError(loops[1].where or program.name, "threads(...) stands here twice")
    inside = set(walk(loops[0].body)) if loops else set()
    for node in walk(program.body):
        buffer = getattr(node, "buffer", None)
        is_shared = buffer is not None and buffer.scope == "shared"
        if (is_shared or isinstance(node, (Barrier, Call))) and node not in inside:
            what = "barrier()" if buffer is None else f"shared {buffer.name}"
            what = f"{node.name}()" if isinstance(node, Call) else what
            place = getattr(node, "where", None) or program.name
            raise ProgramError(place, f"{what} stands outside of a threads(...) loop")
    apart = divergent_barrier(program)
    if apart is not None:
        why = "some threads of the block may not reach this barrier, or reach it more often"
        raise ProgramError(apart.where or program.name, why)
    call = divergent_call(program)
    if call is not None:
        why = f"some lanes of a warp may not reach this {call.name}, or reach it more often"
        raise ProgramError(call.where or program.name, why)


def _check(node: Stmt, scope: Scope) -> None:
    scope = replace(scope, where=getattr(node, "where", None) or scope.where)
    match node:
        case Seq(stmts):
            for stmt in stmts:
                _check(stmt, scope)
        case Store(_, indices, value, mask):
            _uses(scope, *indices, value, *(() if mask is None else (mask,)))
        case Prefetch(_, indices):
            _uses(scope, *indices)
        case Call(_, operands):
            if scope.lanes is not None:
                raise ProgramError(scope.where, f"{node.name} stands inside of lanes(...)")
            for operand in operands:
                _uses(scope, *([operand] if isinstance(operand, Expr) else operand.indices))
        case For(var, extent, body):
            differs = _uses(scope, extent)
            if differs:
                raise ProgramError(scope.where, "this loop does not run as often in every lane")
            if node.kind == "lanes":
                scope = _enter_lanes(scope)
            _check(body, scope.bind((var,), node.kind == "lanes"))
        case OnMapping(names, _, worker, body):
            _check(body, scope.bind(names, _uses(scope, worker)))
        case If(cond, then, orelse):
            _uses(scope, cond)
            _check(then, scope)
            if orelse is not None:
                _check(orelse, scope)
        case Let(var, value, body):
            _check(body, scope.bind((var,), _uses(scope, value)))


def _enter_lanes(scope: Scope) -> Scope:
    if scope.lanes is not None:
        raise ProgramError(scope.where, "lanes(...) inside of lanes(...): give one of them a loop")
    return replace(scope, lanes=frozenset())


def _uses(scope: Scope, *exprs: Expr) -> bool:
    """Whether a value differs between lanes, all variables being bound."""
    used = {var for expr in exprs for var in free_vars(expr)}
    for var in used - scope.bound:
        why = f"{var.name} is used outside of the loop or block that it belongs to"
        raise ProgramError(scope.where, why)
    return scope.lanes is not None and not used.isdisjoint(scope.lanes)
