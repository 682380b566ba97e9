"""Step "tune": the schedule space of the models' distinct problems, measured.

Breadth first: of every problem the next few configs that the cost model likes best, the dearest
problems first, until the time is over or the space is done; records (records.py) are appended to a
file as they come, so a later run goes on where this one ended. The measuring itself happens in a
child process: a kernel that fails poisons its context, and one that hangs is killed; both become
records.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.measuring import MEASURED, TRYING, MeasureArguments
from benchmarks.gpu.records import load, regret
from benchmarks.gpu.step import Output, main

STALL_SECONDS = 90.0  # without a new record: something hangs
POLL_SECONDS = 0.25
MAX_CRASHES = 20
ROWS_SHOWN = 40


def run(output: Output, args: argparse.Namespace) -> int:
    args.records.parent.mkdir(parents=True, exist_ok=True)
    crashes, status = 0, 1
    while output.left > 1 and crashes < MAX_CRASHES:
        status = _child(output, args)
        if status in (MEASURED, 0):
            break
        crashes += 1
        if not _blame(args.records, status):
            break  # it failed before it measured anything
    records = load(args.records)
    report = regret(records)
    report["rows"] = report["rows"][:ROWS_SHOWN]
    measured = sum(record["measured"] is not None for record in records)
    output.note(
        whole=status == 0,
        records=len(records),
        measured=measured,
        failed=len(records) - measured,
        crashes=crashes,
        regret=report,
    )
    return 0 if measured else 1


def _child(output: Output, args: argparse.Namespace) -> int:
    """The exit status of a child: 0, the space is done; MEASURED, the time is over."""
    arguments = MeasureArguments.of(args, output.left)
    process = subprocess.Popen([sys.executable, "-m", "benchmarks.gpu.measuring", *arguments.argv])
    while True:
        try:
            return process.wait(POLL_SECONDS)
        except subprocess.TimeoutExpired:
            if time.time() - _last_sign(args.records) > STALL_SECONDS + args.slack:
                process.kill()
                return process.wait()


def _last_sign(records: Path) -> float:
    """When something was last written."""
    paths = (records, records.with_suffix(TRYING))
    return max((path.stat().st_mtime for path in paths if path.exists()), default=time.time())


def _blame(records: Path, status: int) -> bool:
    """The config that was being tried becomes a record of a failure; False where none was."""
    trying = records.with_suffix(TRYING)
    if not trying.exists():
        return False
    record = json.loads(trying.read_text())
    record["failure"] = record.get("failure") or f"the process ended with status {status}"
    with records.open("a") as stream:
        stream.write(json.dumps(record) + "\n")
    trying.unlink()
    return True


def add(parser: argparse.ArgumentParser) -> None:
    MeasureArguments.add(parser)
    parser.add_argument("--slack", type=float, default=0.0, help="more seconds before it hangs")


if __name__ == "__main__":
    sys.exit(main(run, add))
