"""Step "tests": pytest on the tests marked `cuda`, which need a device (the emulated one does)."""

import argparse
import subprocess
import sys
import tempfile
from pathlib import Path
from xml.etree import ElementTree

from benchmarks.gpu.facts import ROOT
from benchmarks.gpu.step import Output, main

NO_TESTS = 5  # pytest's exit status
MAX_MESSAGE = 300


def run(output: Output, args: argparse.Namespace) -> int:
    with tempfile.TemporaryDirectory() as folder:
        report = Path(folder) / "tests.xml"
        command = [sys.executable, "-m", "pytest", "-q", "-m", args.mark, f"--junitxml={report}"]
        # without workers: the device's time is what is measured elsewhere
        command += ["-p", "no:cacheprovider", *(args.tests or ["tests"])]
        command += ["-k", args.only] if args.only else []
        code = subprocess.run(command, cwd=ROOT).returncode
        output.note(returncode=code)
        if report.exists():
            output.note(**summary(report))
    return 0 if code == NO_TESTS else code


def summary(report: Path) -> dict[str, object]:
    """Counts, and what failed, of a JUnit file."""
    cases = list(ElementTree.parse(report).getroot().iter("testcase"))
    failed = [case for case in cases if _of(case, "failure", "error") is not None]
    skipped = sum(_of(case, "skipped") is not None for case in cases)
    return {
        "run": len(cases) - skipped,
        "skipped": skipped,
        "failed": len(failed),
        "failures": {
            f"{case.get('classname')}::{case.get('name')}": _message(case) for case in failed
        },
    }


def _of(case: ElementTree.Element, *tags: str) -> ElementTree.Element | None:
    return next((child for child in case if child.tag in tags), None)


def _message(case: ElementTree.Element) -> str:
    found = _of(case, "failure", "error")
    return "" if found is None else (found.get("message") or "")[:MAX_MESSAGE]


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--mark", default="cuda", help="expression of pytest's marks")
    parser.add_argument("--tests", nargs="*", help="files (default: all)")
    parser.add_argument("--only", help="expression of pytest's -k")


if __name__ == "__main__":
    sys.exit(main(run, add))
