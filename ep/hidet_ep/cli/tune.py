"""`hidet-ep tune`: measure schedules for a model on this machine and keep what is faster.

Later sessions on this machine use what was found. Ctrl-C stops; all that was measured is kept, and
the same command goes on from there.
"""

from __future__ import annotations

import argparse
import sys
from typing import Any, TextIO

from hidet_core import TuneProgress, TuneReport
from hidet_ep.bench.providers import Provider, open_session
from hidet_ep.cli.common import add_model_arguments, hidet_provider, model_path
from hidet_ep.tuning import watch

FATAL_ONLY = 4
BAR = 24
INTERRUPTED = 130  # as shells report SIGINT


def add(commands: Any) -> None:
    command = commands.add_parser("tune", help="measure schedules, keep the faster ones")
    add_model_arguments(command)
    command.add_argument("--effort", choices=("fast", "full"), default="fast")
    command.add_argument(
        "--size",
        action="append",
        default=[],
        metavar="NAME=N",
        help="a symbolic dim's size to measure with",
    )
    command.set_defaults(command=tune)


def tune(args: argparse.Namespace) -> int:
    args.option = [*args.option, f"tuning={args.effort}", f"tuning_sizes={' '.join(args.size)}"]
    provider: Provider = hidet_provider(args)
    bar = Bar(sys.stderr)
    with watch(bar) as watcher:
        open_session(model_path(args), provider, args.threads, FATAL_ONLY)
    bar.end()
    for report in watcher.reports:
        print("\n".join(_lines(report)))
    if watcher.interrupted:
        print("interrupted: what was measured is kept, and counts next time", file=sys.stderr)
        return INTERRUPTED
    if not watcher.reports:
        print("nothing to tune: HidetEP takes no nodes of this model", file=sys.stderr)
    return 0 if watcher.reports else 1


class Bar:
    """One line that is written over, or on a file a line for each quarter."""

    def __init__(self, stream: TextIO) -> None:
        self.stream = stream
        self.is_terminal = stream.isatty()
        self.quarter, self.open = 0, False

    def __call__(self, progress: TuneProgress) -> None:
        share = progress.done / max(progress.planned, progress.done, 1)
        text = (
            f"[{'#' * int(share * BAR):{BAR}}] {progress.done}/{progress.planned} rounds, "
            f"{progress.seconds_left:.0f} s left, {1 / progress.ratio:.2f}x so far"
        )
        if self.is_terminal:
            self.stream.write(f"\r{text}\x1b[K")
            self.open = True
        elif int(share * 4) > self.quarter:
            self.quarter = int(share * 4)
            self.stream.write(f"{text}\n")
        self.stream.flush()

    def end(self) -> None:
        if self.open:
            self.stream.write("\n")
        self.open = False


def _lines(report: TuneReport) -> list[str]:
    if not report.measured:
        return [f"{report.problems} problems: all searched before, or without a choice"]
    lines = [
        f"{report.problems} problems, {report.measured} of {report.configs} configs measured in "
        f"{report.seconds:.0f} s; {len(report.changed)} problems changed: "
        f"{1 / report.ratio:.3f}x"
    ]
    for problem, (default, best) in report.changed.items():
        lines += [f"  {problem}", f"    {default.template} {default.config}",
                  f"    -> {best.template} {best.config}"]  # fmt: skip
    return lines
