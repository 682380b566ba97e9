"""The builder behind the language: Python runs the user's function once, and what it does is
recorded.

Loops are generators that yield once: the statements run between two `next` calls are the loop's
body. Where a mistake is made, the error names the file and line of the nearest frame outside this
package.
"""

from __future__ import annotations

import contextlib
import os
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from hidet_core.base.errors import ProgramError
from hidet_core.ir import expr
from hidet_core.ir.expr import Expr, Var
from hidet_core.ir.stmt import Let, Stmt, seq
from hidet_core.mapping import mapping

# not the author's: this package, and what calls back into it
_FOLDER = str(Path(__file__).parent) + os.sep
_FILES = (contextlib.__file__, expr.__file__, mapping.__file__)


def where() -> str:
    """The author's "file:line": the nearest frame outside lang and outside mapping's `.on`."""
    frame = sys._getframe(1)
    while frame is not None:
        path = frame.f_code.co_filename
        if not path.startswith(_FOLDER) and path not in _FILES:
            return f"{path}:{frame.f_lineno}"
        frame = frame.f_back
    return "<unknown>"


class Builder:
    """Collects the statements of one program. `blocks` is the stack of open bodies."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.blocks: list[list[Stmt | Let]] = [[]]
        self.counts: dict[str, int] = {}
        self.locals: list[Any] = []
        self.grid: tuple[Var, list[Expr]] | None = None
        self.closed = False  # the grid of parallel tasks has ended
        self.open: list[tuple[str, str]] = []  # (what, "file:line") of each open block

    def emit(self, stmt: Stmt | Let) -> None:
        if self.closed:
            raise ProgramError(where(), "a statement after parallel(...): it belongs inside")
        self.blocks[-1].append(stmt)

    def fresh(self, name: str) -> str:
        """name, or name with a number where the program has it already."""
        count = self.counts.get(name, 0)
        self.counts[name] = count + 1
        return name if count == 0 else f"{name}{count}"

    def let(self, name: str, value: Expr) -> Var:
        """Bind value to a new variable from here to the end of the block."""
        var = Var(self.fresh(name), value.dtype)
        self.emit(Let(var, value, seq(), where()))
        return var

    @contextmanager
    def block(self, what: str) -> Iterator[list[Stmt]]:
        """Open a body; the list holds its one statement when the block is closed."""
        self.open.append((what, where()))
        self.blocks.append([])
        result: list[Stmt] = []
        yield result
        self.open.pop()
        result.append(close(self.blocks.pop()))


def close(stmts: list[Stmt]) -> Stmt:
    """A block's statements as one, lets nested around what follows them."""
    body = seq()
    for stmt in reversed(stmts):
        body = replace(stmt, body=body) if isinstance(stmt, Let) else seq(stmt, body)
    return body


class _Writing(threading.local):
    """The programs that this thread is writing, one inside the other: threads compile at once."""

    def __init__(self) -> None:
        self.builders: list[Builder] = []


_writing = _Writing()


def current() -> Builder:
    """The program being written. Raises ProgramError outside one."""
    if not _writing.builders:
        raise ProgramError(
            where(), "no program is being written: use this inside a function marked @program"
        )
    return _writing.builders[-1]


@contextmanager
def writing(name: str) -> Iterator[Builder]:
    """Write a program: statements go to this builder until the block ends."""
    builder = Builder(name)
    _writing.builders.append(builder)
    try:
        yield builder
    finally:
        _writing.builders.pop()
    if len(builder.blocks) != 1:
        what, place = builder.open[-1]
        raise ProgramError(place, f"this {what} was left early: break or return inside")


@contextmanager
def located() -> Iterator[None]:
    """Mistakes found while a node is built become errors with the author's file and line."""
    try:
        yield
    except (TypeError, ValueError, KeyError, IndexError) as error:
        raise ProgramError(where(), str(error)) from error
