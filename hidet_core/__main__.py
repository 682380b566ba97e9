"""python -m hidet_core draw | opt | repro: tools for whoever writes or debugs kernels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from .base.errors import HidetError
from .commands.draw import draw
from .commands.opt import PASSES, opt
from .commands.repro import repro


def main(arguments: Sequence[str] | None = None) -> int:
    """Run a command; 1 where it says what is wrong."""
    options, rest = _parser().parse_known_args(arguments)
    if rest and options.command != "repro":
        _parser().error(f"unrecognized arguments: {' '.join(rest)}")
    try:
        match options.command:
            case "draw":
                draw(options.mapping, options.svg)
            case "opt":
                opt(options.file, options.passes, options.program, options.print_between)
            case "repro":
                repro(options.folder, rest)
    except (HidetError, ValueError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m hidet_core", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)

    command = commands.add_parser("draw", help="the picture of a task mapping")
    command.add_argument("mapping", help="such as 'spatial(4, 8) * repeat(2, 4)'")
    command.add_argument("--svg", type=Path, help="write an SVG file instead")

    command = commands.add_parser("opt", help="lowering passes on the program of a Python file")
    command.add_argument("file", type=Path)
    command.add_argument("-p", "--passes", help=f"of {', '.join(PASSES)} (default: all, in order)")
    command.add_argument("--program", help="which one, where the file defines several")
    command.add_argument("--print-between", action="store_true", help="show every step")

    command = commands.add_parser("repro", help="compile, compare and time a dumped kernel")
    command.add_argument("folder", type=Path, help="dump/<graph>/kernel_NNN_<name>")
    return parser


if __name__ == "__main__":
    sys.exit(main())
