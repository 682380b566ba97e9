"""Statements and programs.

A `Program` is one kernel: tensor parameters, scalar parameters (symbolic dims known at launch), the
number of parallel tasks, and a body run once per task. Statements are frozen dataclasses compared
by identity.

A scheduled program has task mappings, loops of any kind and scalar expressions, one index per dim;
a lowered one has serial loops, vectors and one flat index per access. ir/verify.py states and
checks the specs.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

from .expr import Buffer, Expr, Var
from .node import Node

FOR_KINDS = ("serial", "unroll", "lanes", "threads")


class Stmt(Node):
    """A statement. `where` is "file:line" of the program's author where it is known."""

    __slots__ = ()


@dataclass(frozen=True, eq=False)
class Seq(Stmt):
    """One after the other."""

    stmts: tuple[Stmt, ...]


@dataclass(frozen=True, eq=False)
class Store(Stmt):
    """buffer[indices] = value, in the lanes where `mask` is true."""

    buffer: Buffer = field(metadata={"leaf": True})
    indices: tuple[Expr, ...]
    value: Expr
    mask: Expr | None = None
    where: str | None = field(default=None, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Prefetch(Stmt):
    """Ask for the cache line of buffer[indices], which may lie outside of the buffer; no effect on
    values. level: of the cache it should come to, 1 nearest the core, 2 or 3.
    """

    buffer: Buffer = field(metadata={"leaf": True})
    indices: tuple[Expr, ...]
    level: int = field(default=2, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Barrier(Stmt):
    """All threads of the block come here before one goes on; what they stored before is seen after
    it by all of them. Every thread reaches it, or none.
    """

    where: str | None = field(default=None, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Place(Node):
    """`count` elements of a buffer that lie side by side, as an operand of a Call: the first at
    `indices`, the others after it along the last dim, in which memory must be contiguous.
    """

    buffer: Buffer = field(metadata={"leaf": True})
    indices: tuple[Expr, ...]
    count: int = field(default=1, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Call(Stmt):
    """An instruction of the hardware: a row of ir/intrinsics.py says what it does with its
    operands, which are places and values. immediates: constants that are part of the instruction.
    """

    name: str = field(metadata={"leaf": True})
    operands: tuple[Place | Expr, ...]
    immediates: tuple[int, ...] = field(default=(), metadata={"leaf": True})
    where: str | None = field(default=None, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class For(Stmt):
    """for var in range(extent): body.

    kind 'serial' is a loop; 'unroll' is expanded by lowering (constant extent); 'lanes' runs its
    iterations side by side in the lanes of vector registers (constant extent, no dependence between
    iterations); 'threads', once in a program, runs them at once in the threads of a block (constant
    extent), which share buffers of scope 'shared' and wait for each other at a Barrier.
    """

    var: Var
    extent: Expr
    body: Stmt
    kind: str = field(default="serial", metadata={"leaf": True})
    where: str | None = field(default=None, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class OnMapping(Stmt):
    """for vars in mapping.on(worker): body.  `worker` runs from 0 to mapping.num_workers - 1."""

    vars: tuple[Var, ...]
    mapping: Any = field(metadata={"leaf": True})
    worker: Expr
    body: Stmt
    unroll: bool = field(default=True, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class If(Stmt):
    """if cond: then else: orelse."""

    cond: Expr
    then: Stmt
    orelse: Stmt | None = None
    where: str | None = field(default=None, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Let(Stmt):
    """var = value, bound in body only; never assigned again."""

    var: Var
    value: Expr
    body: Stmt
    where: str | None = field(default=None, metadata={"leaf": True})


@dataclass(frozen=True, eq=False)
class Program(Node):
    """One kernel.

    params: tensor parameters in the order of the kernel's pointers (outputs included).  scalars:
    i64 variables given at launch.  tasks: the number of parallel tasks (over scalars); `task` is
    the i64 variable that tells a task its number.  locals: buffers of scope 'local' and 'register',
    private to a task (in a threads loop: to a thread), and of scope 'shared', common to the threads
    of a task, which is a block then; all uninitialised at its start. Accesses know their buffer by
    identity, so rewrites leave buffers alone.
    """

    name: str = field(metadata={"leaf": True})
    params: tuple[Buffer, ...] = field(metadata={"leaf": True})
    scalars: tuple[Var, ...]
    task: Var
    tasks: Expr
    locals: tuple[Buffer, ...] = field(metadata={"leaf": True})
    body: Stmt


def seq(*stmts: Stmt | None) -> Stmt:
    """One statement of several; nested Seqs are flattened, None is dropped."""
    flat: list[Stmt] = []
    for stmt in stmts:
        if isinstance(stmt, Seq):
            flat.extend(stmt.stmts)
        elif stmt is not None:
            flat.append(stmt)
    return flat[0] if len(flat) == 1 else Seq(tuple(flat))
