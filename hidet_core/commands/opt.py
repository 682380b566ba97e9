"""`opt program.py -p expand_mapping,flatten_index`: lowering passes on the program of a file."""

from __future__ import annotations

import runpy
from collections.abc import Callable
from pathlib import Path

from hidet_core.arrays import ArrayKernel
from hidet_core.base.errors import BadOption
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Program
from hidet_core.lower import LOWERING

Pass = Callable[[Program], Program]
PASSES: dict[str, Pass] = {lower.__name__: lower for lower in LOWERING}


def opt(file: Path, passes: str | None, name: str | None, print_between: bool) -> None:
    """Print the program after the passes (all of the lowering, if not given), or after each."""
    program = find_program(file, name)
    if print_between:
        print(f"== {program.name}\n{text(program)}")
    for lower in parse_passes(passes):
        before = program
        program = lower(program)
        if print_between:
            shown = "(unchanged)\n" if program is before else text(program)
            print(f"== {lower.__name__}\n{shown}")
    if not print_between:
        print(text(program), end="")


def parse_passes(names: str | None) -> list[Pass]:
    """Passes by name, separated by commas. Raises BadOption for an unknown one."""
    if names is None:
        return list(PASSES.values())
    chosen = [name.strip() for name in names.split(",") if name.strip()]
    for name in chosen:
        if name not in PASSES:
            raise BadOption("passes", name, tuple(PASSES))
    return [PASSES[name] for name in chosen]


def find_program(file: Path, name: str | None) -> Program:
    """The program or kernel that a Python file defines. Raises BadOption where it is not clear."""
    found: dict[str, Program] = {}
    for key, value in runpy.run_path(str(file)).items():
        if isinstance(value, ArrayKernel):
            found[key] = value.program
        elif isinstance(value, Program):
            found[key] = value
    if name is None and len(found) == 1:
        return next(iter(found.values()))
    if name not in found:
        raise BadOption("program", name, tuple(found) or f"{file} defines no program")
    return found[name]
