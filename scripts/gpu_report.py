#!/usr/bin/env python3
"""Build, test and measure HidetEP on a machine with an NVIDIA GPU and no network, from a checkout.

usage: scripts/gpu_report.py --minutes 9 --out DIR      again, to go on where it ended
Each step runs in a process of its own, within its share of the time; what fails or takes too long
does not stop the rest. DIR/report.md is for people, DIR/report.json holds everything, and
DIR/schedules.jsonl the measured schedules. docs/measuring.md says more.
"""

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.gpu import facts, report
from benchmarks.gpu.runner import DONE, Record, Step, run_steps
from benchmarks.gpu.steps import Choices, steps

SPARE_SECONDS = 5.0  # to write the report


def parser() -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(
        description=__doc__.partition("\n")[0],
        epilog="HIDET_CUDA_DRIVER=emulated: a dry run with no GPU, of the smallest sizes.",
    )
    add = args.add_argument
    add("--minutes", type=float, required=True, help="of this run, all steps together")
    add("--out", type=Path, required=True, metavar="DIR", help="records, logs and the report")
    add("--wheels", type=Path, metavar="DIR", help="wheels for the comparison: onnxruntime-gpu")
    add("--models", nargs="+", default=[], help="of the zoo (default: all)")
    add("--steps", nargs="+", default=[], metavar="STEP", help="only these")
    add("--leave-out", nargs="+", default=[], metavar="STEP", help="not these")
    return args


def main(argv: Sequence[str] | None = None, run: Sequence[Step] | None = None) -> int:
    """0: all steps are done; 1: some are not; 2: wrong arguments. run: in place of the steps."""
    args = parser().parse_args(argv)
    folder = args.out.resolve()
    choices = Choices(
        folder,
        facts.is_emulated(),
        args.wheels.resolve() if args.wheels else None,
        tuple(args.models),
    )
    every = list(steps(choices) if run is None else run)
    unknown = {*args.steps, *args.leave_out} - {step.name for step in every}
    if unknown:
        names = ", ".join(step.name for step in every)
        print(f"error: no step {', '.join(sorted(unknown))}; there are {names}", file=sys.stderr)
        return 2
    chosen = [s for s in every if s.name not in args.leave_out]
    chosen = [s for s in chosen if not args.steps or s.name in args.steps]
    known = {**facts.machine(), "commit": facts.commit(), "tree": facts.tree_hash()}
    records = run_steps(
        chosen,
        folder,
        max(0.0, 60 * args.minutes - SPARE_SECONDS),
        lambda step: key(step, known, folder),
        _say,
    )
    report.write(folder, known, records)
    print(_summary(folder, records))
    return 0 if all(record.status == DONE for record in records) else 1


def key(step: Step, known: dict, folder: Path) -> str:
    """What a record depends on: the sources, the device, the step's arguments."""
    gpu = known["gpu"]
    device = gpu if isinstance(gpu, str) else gpu.get("name", "none")
    arguments = " ".join(step.command[1:]).replace(str(folder), "DIR")
    return f"{known['tree']} {device} {arguments}"


def _summary(folder: Path, records: Sequence[Record]) -> str:
    lines = [f"{record.step:12} {record.status:12} {record.seconds:7.1f} s" for record in records]
    return "\n".join([*lines, f"report: {folder / 'report.md'}"])


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
