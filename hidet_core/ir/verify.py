"""The specs of programs: what holds between the stages, checked (HIDET_VERIFY=1).

open        what fusion works on: a scheduled program whose signature may lack the tensors of the
            fused operators and their symbols
scheduled   mappings and loops of any kind, scalar expressions, one index per dim of the buffer
flat        after `flatten_index`: no mappings, exactly one index, vectors and masks allowed
lowered     what code generation takes: flat, and no loops but serial ones, and that of the threads
            of a block

In all of them a variable is bound once and before it is used, operands have one dtype, an index is
i64, a value has the dtype of the buffer it is stored to, and a buffer is a parameter or a local.
Shared buffers, barriers and calls stand in a threads loop, and its threads reach each barrier all
or none, as the lanes of a warp do each of its collectives.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

from hidet_core.base.errors import CompilerBug

from .dtypes import i64
from .expr import Buffer, Const, Expr, Load, Ramp, Var, free_vars, is_const
from .intrinsics import INTRINSICS, PROGRAMMATIC, TOGETHER, roles
from .node import walk
from .printer import text
from .stmt import (
    FOR_KINDS,
    Barrier,
    Call,
    For,
    If,
    Let,
    OnMapping,
    Place,
    Prefetch,
    Program,
    Seq,
    Stmt,
    Store,
)
from .tensor_map import SCOPE as MAP
from .tensor_map import TensorMap
from .types import Misfit, Types
from .uniform import divergent_barrier, divergent_call

SPECS = ("open", "scheduled", "flat", "lowered")
PassT = TypeVar("PassT")
GIVEN = ("global", MAP)  # scopes of parameters
SHOWN = 200  # characters of a node in a message


def gives(spec: str) -> Any:
    """Decorator of a pass: the spec that its result keeps, as `pass.gives`."""

    def mark(lowering: PassT) -> PassT:
        lowering.gives = spec  # type: ignore[attr-defined]
        return lowering

    return mark


def verify(program: Program, spec: str, stage: str = "verify") -> None:
    """Check a program against one of SPECS. Raises CompilerBug, which names the stage, the node,
    what was expected and what came.
    """
    if spec not in SPECS:
        raise ValueError(f"unknown spec {spec!r}, known: {', '.join(SPECS)}")
    try:
        _Verifier(program, spec).program()
    except Misfit as misfit:
        raise CompilerBug(stage, f"not a {spec} program: {misfit}") from None


class _Verifier:
    """One walk over a program, with the variables in scope."""

    def __init__(self, program: Program, spec: str) -> None:
        self.whole, self.spec = program, spec
        self.is_flat = spec in ("flat", "lowered")
        self.types = Types(vectors=self.is_flat)
        self.buffers = {*program.params, *program.locals}
        self.scope: set[Var] = set()
        self.bound: set[Var] = set()  # ever, to find what is bound twice
        self.in_lanes = False
        self.threads: For | None = None  # the threads loop, once it was met
        self.in_threads = False

    def program(self) -> None:
        program = self.whole
        for var in program.scalars:
            self.bind(var, f"scalar {var.name}")
        for buffer in program.params:
            is_given = buffer.scope in GIVEN
            self.expect(is_given, buffer, "a parameter of scope global or map", buffer.scope)
            wrong = buffer.misfit() if isinstance(buffer, TensorMap) else None
            self.expect(wrong is None, buffer, wrong, "another")
            for dim in (*buffer.shape, *(buffer.strides or ())):
                self.expr(dim, buffer)
        for buffer in program.locals:
            is_ours = buffer.scope in ("local", "register", "shared")
            self.expect(is_ours, buffer, "a scope of local, register or shared", buffer.scope)
            is_sized = all(isinstance(dim, int) or is_const(dim) for dim in buffer.shape)
            self.expect(is_sized, buffer, "a local of constant shape", "symbols")
        self.scalar(program.tasks, "tasks")
        is_pure = not any(isinstance(node, Load) for node in self.types.parts(program.tasks))
        self.expect(is_pure, program.tasks, "tasks over scalars only", "a load")
        self.bind(program.task, "task")
        if self.spec == "open":
            self.add_fused()
        self.stmt(program.body)
        apart = None if self.threads is None else divergent_barrier(program)
        self.expect(apart is None, apart, "a barrier that all threads reach", "some do not")
        call = None if self.threads is None else divergent_call(program)
        self.expect(call is None, call, "a collective that all lanes reach", "some do not")

    def add_fused(self) -> None:
        """Take the tensors that the body uses, and their symbols, as part of the signature."""
        for node in walk(self.whole.body):
            if isinstance(node, (Load, Store, Place)) and node.buffer.scope in GIVEN:
                self.buffers.add(node.buffer)
        for buffer in self.buffers:
            self.scope.update(free_vars((buffer.shape, buffer.strides or ())))

    # what is checked of a node

    def expect(self, holds: bool, node: Any, expected: str, got: Any) -> None:
        if not holds:
            raise Misfit(f"{_shown(node)}: expected {expected}, got {got}")

    def bind(self, var: Var, node: Any) -> None:
        self.expect(var not in self.bound, node, f"{var.name} bound once", "a second binding")
        self.bound.add(var)
        self.scope.add(var)

    def expr(self, value: Any, node: Any) -> None:
        """An expression whose types fit and whose variables are bound here."""
        if not isinstance(value, Expr):
            self.expect(isinstance(value, int), node, "an expression or an int", repr(value))
            return
        facts = self.types.of(value)
        unbound = facts.free - self.scope
        names = ", ".join(sorted(var.name for var in unbound))
        self.expect(not unbound, node, "variables that are bound here", f"{names} unbound")
        strange = facts.buffers - self.buffers
        names = ", ".join(sorted(buffer.name for buffer in strange))
        self.expect(not strange, node, "parameters and locals of the program", names)
        if not self.is_flat:
            self.expect(value.dtype.lanes == 1, node, "scalars", value.dtype)

    def scalar(self, value: Expr, node: Any) -> None:
        """A number of iterations, tasks or a worker."""
        self.expr(value, node)
        self.expect(value.dtype == i64, node, "an i64", value.dtype)

    def access(self, node: Load | Store | Prefetch | Place) -> None:
        """The indices of an access."""
        buffer, indices = node.buffer, node.indices
        self.expect(buffer in self.buffers, node, "a parameter or local", buffer.name)
        is_shared = buffer.scope == "shared"
        self.expect(self.in_threads or not is_shared, node, "a threads loop around", buffer.name)
        dims = 1 if self.is_flat and buffer.scope != MAP else len(buffer.shape)
        self.expect(len(indices) == dims, node, f"{dims} indices of {buffer.name}", len(indices))
        for index in indices:
            self.expect(index.dtype.scalar == i64, node, "indices of i64", index.dtype)
        always = getattr(node, "mask", None) is None
        if dims == 1 and always and buffer.scope not in GIVEN:
            size = _size(buffer)
            last = getattr(node, "count", 1) - 1
            for place in (place + step for place in _ends(indices[0]) for step in {0, last}):
                inside = size is None or 0 <= place < size
                self.expect(inside, node, f"an index in [0, {size})", place)

    # statements

    def stmt(self, root: Stmt) -> None:
        work: list[Any] = [root]  # a list, because Let chains are deep
        while work:
            item = work.pop()
            if callable(item):
                item()
            else:
                work.extend(reversed(self.step(item)))

    def step(self, node: Stmt) -> list[Any]:
        """Check one statement; what to do after it, in order."""
        match node:
            case Seq(stmts):
                return list(stmts)
            case Store() | Prefetch():
                self.write(node)
                return []
            case Barrier():
                self.expect(self.in_threads, node, "a threads loop around", "none")
                return []
            case Call():
                self.call(node)
                return []
            case If(cond, then, orelse):
                self.expr(cond, node)
                self.expect(str(cond.dtype) == "bool", node, "a condition of bool", cond.dtype)
                return [then] if orelse is None else [then, orelse]
            case Let(var, value, body):
                self.expr(value, node)
                self.expect(value.dtype == var.dtype, node, f"a {var.dtype}", value.dtype)
                return self.scoped(node, (var,), body)
            case For():
                return self.loop(node)
            case OnMapping(names, mapping, worker, body, _):
                self.expect(not self.is_flat, node, "no mapping", str(mapping))
                self.scalar(worker, node)
                fits = len(names) == len(mapping.shape)
                self.expect(fits, node, f"{len(mapping.shape)} variables", len(names))
                return self.scoped(node, names, body)
        raise Misfit(f"{type(node).__name__} is no statement")

    def scoped(self, node: Stmt, names: tuple[Var, ...], body: Stmt) -> list[Any]:
        for var in names:
            self.bind(var, node)
        return [body, lambda: self.scope.difference_update(names)]

    def loop(self, node: For) -> list[Any]:
        self.scalar(node.extent, node)
        kinds = ("serial", "threads") if self.spec == "lowered" else FOR_KINDS
        self.expect(node.kind in kinds, node, f"a loop that is {' or '.join(kinds)}", node.kind)
        if node.kind != "serial":
            is_known = is_const(node.extent)
            self.expect(is_known, node, "a constant extent", _shown(node.extent))
        self.expect(node.var.dtype == i64, node, "a variable of i64", node.var.dtype)
        inner = self.scoped(node, (node.var,), node.body)
        if node.kind == "threads":
            return self.block(node, inner)
        if node.kind != "lanes":
            return inner
        self.expect(not self.in_lanes, node, "no lanes inside of lanes", "two")
        self.in_lanes = True
        return [*inner, self._leave_lanes]

    def _leave_lanes(self) -> None:
        self.in_lanes = False

    def block(self, node: For, inner: list[Any]) -> list[Any]:
        """The threads loop: one in a program, around all that its threads do."""
        self.expect(self.threads is None, node, "one threads loop in a program", "two")
        self.expect(not self.in_lanes, node, "no threads inside of lanes", "some")
        self.threads, self.in_threads = node, True
        return [*inner, self._leave_threads]

    def _leave_threads(self) -> None:
        self.in_threads = False

    def write(self, node: Store | Prefetch) -> None:
        for index in node.indices:
            self.expr(index, node)
        self.access(node)
        parts = list(node.indices)
        if isinstance(node, Prefetch):
            self.expect(node.level in (1, 2, 3), node, "a level of 1 to 3", node.level)
        else:
            parts += self.value(node)
        for part in parts:
            for load in self.types.loads(part):
                self.access(load)

    def call(self, node: Call) -> None:
        """An instruction and its operands."""
        row = INTRINSICS.get(node.name)
        self.expect(row is not None, node, "an instruction of ir/intrinsics.py", node.name)
        assert row is not None
        fits = self.in_threads or node.name in PROGRAMMATIC
        self.expect(fits, node, "a threads loop around", "none")
        self.expect(not self.in_lanes, node, "no lanes around", "some")
        if self.threads is not None:
            size, threads = TOGETHER[row.by], self.threads.extent
            whole = threads.value % size == 0  # type: ignore
            self.expect(whole, node, f"threads in {row.by}s of {size}", _shown(threads))
        shape = len(row.operands), row.immediates
        got = len(node.operands), len(node.immediates)
        self.expect(got == shape, node, f"{shape} operands and immediates", got)
        for role, operand in roles(node):
            dtype = operand.buffer.dtype if isinstance(operand, Place) else operand.dtype
            known = not role.dtypes or dtype in role.dtypes
            names = " or ".join(map(str, role.dtypes))
            self.expect(known, node, names, dtype)
            if role.access == "value":
                self.expr(operand, node)
                parts = [operand]
            else:
                self.expect(isinstance(operand, Place), node, "a place", _shown(operand))
                got_place = operand.buffer.scope, operand.count
                wanted = role.scope, role.count or operand.count
                self.expect(got_place == wanted, node, wanted, got_place)
                self.access(operand)
                parts = list(operand.indices)
            for part in parts:
                self.expr(part, node)
                for load in self.types.loads(part):
                    self.access(load)
        wrong = row.misfit(node)
        self.expect(wrong is None, node, wrong, "another")

    def value(self, node: Store) -> Iterator[Expr]:
        """The value and mask of a store."""
        lanes = node.indices[0].dtype.lanes if node.indices else 1
        self.expr(node.value, node)
        dtype = node.value.dtype
        self.expect(dtype.scalar == node.buffer.dtype, node, str(node.buffer.dtype), dtype)
        self.expect(dtype.lanes in (1, lanes), node, f"1 or {lanes} lanes", dtype)
        yield node.value
        if node.mask is not None:
            self.expr(node.mask, node)
            mask = node.mask.dtype
            self.expect(mask.is_bool, node, "a mask of bool", mask)
            self.expect(mask.lanes in (1, lanes), node, f"a mask of 1 or {lanes} lanes", mask)
            yield node.mask


def _size(buffer: Buffer) -> int | None:
    """The elements of a contiguous buffer of constant shape."""
    total = 1
    for dim in buffer.shape:
        plain = dim.value if isinstance(dim, Const) else dim
        if not isinstance(plain, int) or buffer.strides is not None:
            return None
        total *= plain
    return total


def _ends(index: Expr) -> tuple[int, ...]:
    """The first and last place of an access where they are literals."""
    match index:
        case Const(place, _):
            return (place,)
        case Ramp(Const(base, _), Const(stride, _), dtype):
            return base, base + stride * (dtype.lanes - 1)
    return ()


def _shown(node: Any) -> str:
    """A node's text on one line: of a loop or branch its heading."""
    plain = node if isinstance(node, str) else text(node).split("\n", 1)[0]
    place = getattr(node, "where", None)
    short = plain if len(plain) <= SHOWN else plain[:SHOWN] + "..."
    return f"`{short.strip()}`" + (f" ({place})" if place else "")
