"""The errors of the compiler, each with a next step for whoever catches it.

`Unsupported`: the node stays with ONNX Runtime's CPU provider and the log says why.  `BadOption`:
the user corrects an option.  `Rejected`: the tuner takes the next config.  `ProgramError`: a
mistake in a tensor program, reported with the file and line of the program's author.
`CompilerBug`: an invariant of ours broke.
"""

from __future__ import annotations

from collections.abc import Iterable


class HidetError(Exception):
    """Base of all errors raised on purpose by hidet_core."""


class Unsupported(HidetError):
    """A node (or a group of nodes) that cannot be compiled; `why` says what is missing."""

    def __init__(self, node: str, why: str) -> None:
        super().__init__(f"{node}: {why}")
        self.node = node
        self.why = why


class BadOption(HidetError, ValueError):
    """An option with an unknown name or a value that is not allowed."""

    def __init__(self, key: str, value: object, allowed: Iterable[str] | str) -> None:
        shown = allowed if isinstance(allowed, str) else ", ".join(allowed)
        super().__init__(f"option {key!r}: got {value!r}, allowed: {shown}")
        self.key = key
        self.value = value
        self.allowed = shown


class Rejected(HidetError):
    """A schedule config that breaks a rule of its template or a limit of the target."""


class ProgramError(HidetError):
    """A mistake in a tensor program; `where` is "file:line" of the program's author."""

    def __init__(self, where: str, why: str) -> None:
        super().__init__(f"{where}: {why}")
        self.where = where
        self.why = why


class CompilerBug(HidetError):
    """A broken invariant: the stage, what was wrong, and where the dump is (if any)."""

    def __init__(self, stage: str, why: str, dump_dir: str | None = None) -> None:
        hint = f" (dump: {dump_dir})" if dump_dir else " (set HIDET_DUMP=dir to see every stage)"
        super().__init__(f"internal error in {stage}: {why}{hint}")
        self.stage = stage
        self.why = why
        self.dump_dir = dump_dir


def require(condition: bool, rule: str) -> None:
    """Raise `Rejected(rule)` unless the condition holds."""
    if not condition:
        raise Rejected(rule)
