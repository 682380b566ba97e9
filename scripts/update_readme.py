#!/usr/bin/env python3
"""Writes the generated parts of README.md: figures come from files, never from memory.

before:  <!-- generated: benchmark zoo.json -->  anything  <!-- end -->
after:   the same marks around the table of benchmarks/results/zoo.json
`generated: options` is the table of the provider's options. --check changes nothing and fails if
README.md is not what this script would write.
"""

import argparse
import json
import re
import sys
from collections.abc import Callable
from pathlib import Path

from hidet_ep.bench import Report, markdown_table
from hidet_ep.bench.report import headline
from hidet_ep.bench.tables import render_markdown
from hidet_ep.options import describe

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
RESULTS = ROOT / "benchmarks" / "results"
MARKS = re.compile(
    r"(?P<begin><!-- generated: (?P<kind>\w+) ?(?P<argument>\S*) -->\n).*?(?P<end><!-- end -->)",
    re.DOTALL,
)


def benchmark(file: str) -> str:
    path = RESULTS / file
    if not path.exists():
        return "Not measured yet."
    report = Report.from_json(json.loads(path.read_text()))
    return f"{report.date}. {headline(report)}.\n\n{markdown_table(report)}"


def options(_: str) -> str:
    header = ["option", "default", "allowed", "meaning"]
    rows = [
        [f"`{key}`", f"`{default}`" if default else "", *rest] for key, default, *rest in describe()
    ]
    return render_markdown(header, rows, left=True)


KINDS: dict[str, Callable[[str], str]] = {"benchmark": benchmark, "options": options}


def generate(text: str) -> str:
    """The text with everything between marks made anew."""

    def fill(match: re.Match) -> str:
        kind = match["kind"]
        if kind not in KINDS:
            raise ValueError(f"README mark {kind!r} is unknown; there are {', '.join(KINDS)}")
        return f"{match['begin']}\n{KINDS[kind](match['argument'])}\n\n{match['end']}"

    return MARKS.sub(fill, text)


def main() -> int:
    args = argparse.ArgumentParser(description="Write the generated parts of README.md.")
    args.add_argument("--check", action="store_true", help="only say whether it is up to date")
    check = args.parse_args().check
    old = README.read_text()
    new = generate(old)
    if check and old != new:
        print("README.md is out of date: run scripts/update_readme.py", file=sys.stderr)
        return 1
    if old != new:
        README.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
