"""The command `hidet-ep`: look into what HidetEP makes of a model, run it, time it, its cache.

One module for each command; each has `add(commands)`, which declares the arguments, and a function
of the parsed arguments that prints and gives the exit status: 0 fine, 1 a finding (wrong numbers),
2 a mistake of the caller (no such file, bad option), said in one line.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from hidet_ep import bench
from hidet_ep._version import __version__
from hidet_ep.cli import cache, inspect, operators, options, run, tune

COMMANDS = (inspect, run, tune, cache, options, operators)


def parser() -> argparse.ArgumentParser:
    made = argparse.ArgumentParser("hidet-ep", description=__doc__.partition("\n\n")[0])
    made.add_argument("--version", action="version", version=__version__)
    made.add_argument("--traceback", action="store_true", help="show where an error came from")
    commands = made.add_subparsers(metavar="command", required=True)
    for module in COMMANDS:
        module.add(commands)
    commands.add_parser("bench", add_help=False, help="compare providers on models, interleaved")
    return made


def main(argv: Sequence[str] | None = None) -> int:
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["bench"]:
        return bench.main(arguments[1:], prog="hidet-ep bench")
    args = parser().parse_args(arguments)
    try:
        return args.command(args)
    except BrokenPipeError:
        return 0  # the reader of our output has seen enough
    except Exception as error:  # onnxruntime's errors have no common base but this
        if args.traceback:
            raise
        print(f"hidet-ep: {error}", file=sys.stderr)
        return 2
