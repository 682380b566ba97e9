#!/usr/bin/env python3
"""Writes the generated parts of README.md and docs/: figures come from files, never from memory.

before:  <!-- generated: benchmark zoo.json -->  anything  <!-- end -->
after:   the same marks around the table of benchmarks/results/zoo.json
`options`: the provider's options; `knobs`: the environment variables; `operators`: what the
importer takes; `dump graph/import`: a stage
of docs/example.py compiled for AVX2; `files matmul`: the files of a kernel's dump. --check changes
nothing and fails if a page is not what this script would write.
"""

import argparse
import functools
import json
import re
import runpy
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from unittest.mock import patch

from hidet_core.base.knobs import KNOBS
from hidet_core.target import AVX2
from hidet_ep.bench import Report, markdown_table
from hidet_ep.bench.report import headline
from hidet_ep.bench.tables import render_markdown
from hidet_ep.cli.operators import rows as operator_rows
from hidet_ep.options import describe

ROOT = Path(__file__).resolve().parent.parent
README = ROOT / "README.md"
PAGES = (README, *sorted((ROOT / "docs").glob("*.md")))
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


def knobs(_: str) -> str:
    rows = []
    for knob in KNOBS:
        default = "" if knob.default is None else f"`{knob.default}`"
        if knob.kind == "switch":
            default = "`on`" if knob.default else "`off`"
        code = "yes" if knob.alters_code else ""
        rows.append([f"`{knob.name}`", default, code, knob.help])
    return render_markdown(["variable", "default", "changes code", "meaning"], rows, left=True)


def operators(_: str) -> str:
    header = ["operator", "opsets", "element types of the first input", "left to ONNX Runtime"]
    return render_markdown(header, operator_rows(), left=True)


@functools.cache
def example() -> dict[str, str]:
    """The dump of docs/example.py, the same on every machine: path below the model -> text."""
    compile_example = runpy.run_path(str(ROOT / "docs" / "example.py"))["compile_example"]
    on_avx2 = patch("hidet_core.pipeline.resolve", lambda *_: AVX2)
    with tempfile.TemporaryDirectory() as folder, on_avx2:
        compile_example(folder)
        (model,) = Path(folder).iterdir()
        files = [path for path in model.rglob("*") if path.is_file()]
        return {str(path.relative_to(model)): path.read_text() for path in files}


def dump(argument: str) -> str:
    kernel, stage = argument.split("/")
    pattern = re.compile(rf"(kernel_\d+_)?{kernel}/\d+_{stage}\.txt")
    (text,) = (text for path, text in example().items() if pattern.fullmatch(path))
    return f"```text\n{text.rstrip()}\n```"


def files(kernel: str) -> str:
    pattern = re.compile(rf"(kernel_\d+_)?{kernel}/.*")
    found = sorted(path for path in example() if pattern.fullmatch(path))
    names = " ".join(path.rpartition("/")[2] for path in found)
    return f"`{found[0].rpartition('/')[0]}/`: {names}"


KINDS: dict[str, Callable[[str], str]] = {
    "benchmark": benchmark,
    "dump": dump,
    "files": files,
    "knobs": knobs,
    "operators": operators,
    "options": options,
}


def generate(text: str) -> str:
    """The text with everything between marks made anew."""

    def fill(match: re.Match) -> str:
        kind = match["kind"]
        if kind not in KINDS:
            raise ValueError(f"mark {kind!r} is unknown; there are {', '.join(KINDS)}")
        return f"{match['begin']}\n{KINDS[kind](match['argument'])}\n\n{match['end']}"

    return MARKS.sub(fill, text)


def main() -> int:
    args = argparse.ArgumentParser(description="Write the generated parts of README.md and docs/.")
    args.add_argument("--check", action="store_true", help="only say whether they are up to date")
    check = args.parse_args().check
    stale = []
    for page in PAGES:
        old = page.read_text()
        new = generate(old)
        if old != new:
            stale.append(page.name)
            if not check:
                page.write_text(new)
    if check and stale:
        print(f"out of date: {', '.join(stale)}; run scripts/update_readme.py", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
