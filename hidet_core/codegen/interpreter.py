"""Run a program in NumPy, task by task: slow, and strict about what kernels get wrong.

in:  any program without OnMapping, lowered or not, and the arrays of its parameters      out: the
arrays, changed Checked: every index against the buffer's bounds, reads of locals that were never
written, and tasks that touch an element another task writes. A violation is a ProgramError that
names the buffer, the index, the bounds and the author's line. The threads of a block take each step
together, those that a branch or a loop leaves out being switched off; checked is what they touch
between barriers (thread_memory.py), and that all of them reach each barrier. Where they wait at
barrier objects, the sides of a branch go on apart (roles.py).
"""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Sequence
from functools import partial
from typing import Any

import numpy as np

from hidet_core.base.errors import CompilerBug, ProgramError
from hidet_core.ir.expr import (
    Binary,
    Broadcast,
    Buffer,
    Cast,
    Const,
    Expr,
    Load,
    Ramp,
    Select,
    Unary,
    Var,
)
from hidet_core.ir.intrinsics import PREFETCH, PROGRAMMATIC
from hidet_core.ir.node import walk
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
)

from .calls import Copies, Operands, is_async, run_call
from .checked_memory import NOBODY, Site, flat_view
from .numpy_ops import binary_function, convert, rounded, unary_function
from .roles import Barriers, Roles, waits
from .thread_memory import ThreadMemory

Env = dict[int, Any]  # values of variables, by id
Value = Callable[[Env], Any]
Action = Callable[[Env], None]


def interpret(
    program: Program,
    arrays: Sequence[np.ndarray],
    scalars: Sequence[int] = (),
    tasks: Collection[int] | None = None,
    exclusive: bool = True,
) -> None:
    """Run the tasks (all, if not given) on C-contiguous arrays, one per parameter, in place.

    exclusive: an element stored by one task must not be touched by another.
    """
    if len(arrays) != len(program.params) or len(scalars) != len(program.scalars):
        wanted = f"{len(program.params)} arrays and {len(program.scalars)} scalars"
        raise ValueError(f"{program.name} takes {wanted}, got {len(arrays)} and {len(scalars)}")
    env: Env = {id(v): np.int64(n) for v, n in zip(program.scalars, scalars, strict=True)}
    machine = _Interpreter(program, arrays, env, exclusive)
    with np.errstate(all="ignore"):
        count = int(machine.expr(program.tasks)(env))
        body = machine.stmt(program.body)
        for task in range(count) if tasks is None else tasks:
            machine.start(task)
            env[id(program.task)] = np.int64(task)
            body(env)


class _Interpreter:
    """Turns expressions into functions of the variables and statements into actions, each once."""

    def __init__(
        self, program: Program, arrays: Sequence[np.ndarray], env: Env, exclusive: bool
    ) -> None:
        self.program = program
        self.site = Site(program.name)
        self.values: dict[int, Value] = {}
        self.memories: dict[int, ThreadMemory] = {}
        self.threads = _threads(program)
        self.copies = Copies(self.site, self.threads)
        self.roles = Roles(self.site)
        self.barriers = Barriers(self.site, self.roles, self._meet)
        for buffer, array in zip(program.params, arrays, strict=True):
            memory = self._memory(buffer, flat_view(buffer, array), env)
            memory.owner = np.full(array.size, NOBODY) if exclusive else None
        for buffer in program.locals:
            size = math.prod(self._dims(buffer.shape, env))
            size *= 1 if buffer.scope == "shared" else self.threads
            held = np.uint16 if buffer.dtype.name == "bf16" else buffer.dtype.numpy
            memory = self._memory(buffer, np.zeros(size, held), env)
            memory.written = np.zeros(size, bool)

    def _memory(self, buffer: Buffer, flat: np.ndarray, env: Env) -> ThreadMemory:
        shape = self._dims(buffer.shape, env)
        if buffer.strides is None:
            strides = [math.prod(shape[axis + 1 :]) for axis in range(len(shape))]
        else:
            strides = self._dims(buffer.strides, env)
        is_private = buffer.scope in ("local", "register")
        memory = ThreadMemory(buffer, flat, shape, strides, self.site, is_private=is_private)
        self.memories[id(buffer)] = memory
        return memory

    def _dims(self, dims: Sequence[int | Expr], env: Env) -> list[int]:
        return [int(self.expr(n)(env)) if isinstance(n, Expr) else n for n in dims]

    def start(self, task: int) -> None:
        """Locals are new in every task."""
        self.site.task = task
        self.copies.start()
        for memory in self.memories.values():
            memory.on_the_way[:] = False
        self._meet()
        for memory in self.memories.values():
            if memory.written is not None:
                memory.written[:] = False

    # statements

    def stmt(self, node: Stmt) -> Action:
        match node:
            case Seq(stmts):
                actions = [self.stmt(s) for s in stmts]
                return lambda env: [action(env) for action in actions] and None
            case Store():
                return self._store(node)
            case Prefetch():
                return lambda env: None
            case Barrier(where):
                return lambda env: self._barrier(where)
            case Call(name) if name in (*PROGRAMMATIC, PREFETCH):
                return lambda env: None  # kernels run one after the other here, and nothing late
            case Call():
                return self._call(node)
            case For(var, _, body, "threads"):
                return self._block(var, self.stmt(body))
            case For(var, extent, body):
                return self._for(var, self._located(node, extent), self.stmt(body))
            case If(cond, then, orelse):
                other = None if orelse is None else self.stmt(orelse)
                apart = other is not None and waits(node)
                return self._if(self._located(node, cond), self.stmt(then), other, apart)
            case Let(var, value, body):
                return self._let(var, self._located(node, value), self.stmt(body))
        raise CompilerBug("interpreter", f"cannot run {type(node).__name__}: lower it first")

    def _located(self, node: For | If | Let, expr: Expr) -> Value:
        """The value of a statement's expression; mistakes in it are the statement's."""
        where, value = node.where, self.expr(expr)
        if where is None:
            return value

        def located(env: Env) -> Any:
            self.site.where = where
            return value(env)

        return located

    def _for(self, var: Var, extent: Value, body: Action) -> Action:
        def run(env: Env) -> None:
            size, before = extent(env), self.site.active
            for i in range(int(np.max(size))):
                env[id(var)] = np.int64(i)
                if np.ndim(size):
                    self.site.active = before & (i < size)
                body(env)
            self.site.active = before

        return run

    def _block(self, var: Var, body: Action) -> Action:
        def run(env: Env) -> None:
            numbers = np.arange(self.threads).reshape(-1, 1)
            self.site.numbers, self.site.active = numbers, np.ones(numbers.shape, bool)
            env[id(var)] = numbers
            body(env)
            self.barriers.end()
            self.site.numbers, self.site.active = None, True
            self._meet()

        return run

    def _barrier(self, where: str | None) -> None:
        if not self.site.active.all():
            raise ProgramError(
                where or self.program.name, "some threads of the block do not reach this barrier"
            )
        self._meet()

    def _meet(self) -> None:
        for memory in self.memories.values():
            memory.meet()

    def _if(self, cond: Value, then: Action, orelse: Action | None, apart: bool) -> Action:
        """apart: threads that differ run as roles."""

        def run(env: Env) -> None:
            taken, before = cond(env), self.site.active
            sides = ((before & taken, then), (before & np.logical_not(taken), orelse))
            taking = [side for side in sides if side[1] is not None and np.any(side[0])]
            if apart and len(taking) > 1:
                self.roles.run([(active, partial(action, env)) for active, action in taking])
                taking = []
            for active, action in taking:
                self.site.active = active
                action(env)
            self.site.active = before

        return run

    def _let(self, var: Var, value: Value, body: Action) -> Action:
        def run(env: Env) -> None:
            env[id(var)] = value(env)
            body(env)

        return run

    def _store(self, node: Store) -> Action:
        memory, mask = self._memory_of(node.buffer), self._mask(node.mask)
        indices, value = [self.expr(i) for i in node.indices], self.expr(node.value)
        where = node.where or self.program.name

        def run(env: Env) -> None:
            self.site.where = where
            result = value(env)
            memory.write([index(env) for index in indices], mask(env), result)

        return run

    def _call(self, node: Call) -> Action:
        values: list[Value | None] = []
        places: list[tuple[ThreadMemory, list[Value], np.ndarray] | None] = []
        for operand in node.operands:
            is_place = isinstance(operand, Place)
            values.append(None if is_place else self.expr(operand))
            places.append(self._place(operand) if is_place else None)
        where = node.where or self.program.name

        def run(env: Env) -> None:
            self.site.where = where
            operands = Operands(
                [None if value is None else value(env) for value in values],
                [None if place is None else _indices(place, env) for place in places],
            )
            if node.name == "atomic_add":
                self._atomic(operands)
            elif self.barriers.runs(node):
                self.barriers.run(node, operands.values, operands.places)
            elif is_async(node):
                self.copies.run(node, operands)
            else:
                run_call(node, operands, self.site)

        return run

    def _atomic(self, operands: Operands) -> None:
        (out, to), (memory, indices), _ = operands.places
        out.write(to, True, memory.add(indices, operands.values[2]))
        for other in self.memories.values():
            other.publish()

    def _place(self, node: Place) -> tuple[ThreadMemory, list[Value], np.ndarray]:
        indices = [self.expr(index) for index in node.indices]
        return self._memory_of(node.buffer), indices, np.arange(node.count)

    # expressions

    def expr(self, node: Expr) -> Value:
        value = self.values.get(id(node))
        if value is None:
            value = self.values[id(node)] = self._expr(node)
        return value

    def _expr(self, node: Expr) -> Value:
        match node:
            case Const(value, dtype):
                return _constant(rounded(value, dtype), dtype.lanes)
            case Var():
                return self._var(node)
            case Binary(op, a, b, dtype):
                return self._binary(binary_function(op), self.expr(a), self.expr(b), dtype)
            case Unary(op, a, dtype):
                function, value = unary_function(op), self.expr(a)
                return lambda env: rounded(function(value(env)), dtype)
            case Cast(a, dtype):
                value = self.expr(a)
                return lambda env: convert(value(env), dtype)
            case Select(cond, a, b, _):
                return self._select(self.expr(cond), self.expr(a), self.expr(b))
            case Ramp(base, stride, dtype):
                first, step, numbers = self.expr(base), self.expr(stride), np.arange(dtype.lanes)
                return lambda env: first(env) + step(env) * numbers
            case Broadcast(a, dtype):
                value, lanes = self.expr(a), dtype.lanes
                return lambda env: _in_lanes(value(env), lanes)
            case Load():
                return self._load(node)
        raise CompilerBug("interpreter", f"cannot evaluate {type(node).__name__}")

    def _var(self, node: Var) -> Value:
        def value(env: Env) -> Any:
            if id(node) not in env:
                raise CompilerBug(
                    "interpreter", f"variable {node.name} is used where it is not bound"
                )
            return env[id(node)]

        return value

    def _binary(self, function: Callable[[Any, Any], Any], a: Value, b: Value, dtype: Any) -> Value:
        held = None if dtype.name == "bf16" else dtype.numpy

        def value(env: Env) -> Any:
            result = function(a(env), b(env))
            return result if result.dtype is held else rounded(result, dtype)

        return value

    def _select(self, cond: Value, a: Value, b: Value) -> Value:
        def value(env: Env) -> Any:
            chosen, before = cond(env), self.site.active
            if np.ndim(chosen) == 0:
                return a(env) if chosen else b(env)
            if self.site.numbers is None:
                return np.where(chosen, a(env), b(env))
            self.site.active = before & chosen
            yes = a(env)
            self.site.active = before & ~chosen
            result = np.where(chosen, yes, b(env))
            self.site.active = before
            return result

        return value

    def _load(self, node: Load) -> Value:
        memory, mask = self._memory_of(node.buffer), self._mask(node.mask)
        indices = [self.expr(i) for i in node.indices]
        return lambda env: memory.read([index(env) for index in indices], mask(env))

    def _mask(self, mask: Expr | None) -> Value:
        return (lambda env: True) if mask is None else self.expr(mask)

    def _memory_of(self, buffer: Buffer) -> ThreadMemory:
        memory = self.memories.get(id(buffer))
        if memory is None:
            raise CompilerBug(
                "interpreter", f"buffer {buffer.name} is neither a parameter nor a local"
            )
        return memory


def _indices(place: tuple[ThreadMemory, list[Value], np.ndarray], env: Env) -> Any:
    """(memory, indices of a place's elements)."""
    memory, values, steps = place
    *outer, last = (value(env) for value in values)
    return memory, [*outer, last + steps]


def _threads(program: Program) -> int:
    """The threads of a block; 1 in a program without."""
    for node in walk(program.body):
        if isinstance(node, For) and node.kind == "threads":
            return int(node.extent.value)  # type: ignore[attr-defined]
    return 1


def _in_lanes(value: Any, lanes: int) -> Any:
    return np.broadcast_to(value, (*np.shape(value)[:-1], lanes))


def _constant(value: Any, lanes: int) -> Value:
    held = np.full(lanes, value) if lanes > 1 else value
    return lambda env: held
