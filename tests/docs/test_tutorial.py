"""The code of docs/tutorial.md runs, and prints what the page shows.

```python blocks run in order in one namespace; the ```text block after one is its output. A python
block that begins with `# file: name` is written to that file; in a ```console block every `$ ...`
line is run, in the folder of these files, and must print the lines below it.
"""

import contextlib
import io
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from hidet_core import lang

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "tutorial.md"
BLOCK = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
FILE = re.compile(r"# file: (\S+)\n")


def blocks():
    """(kind, code, number of its first line) of every block."""
    text = PAGE.read_text()
    for match in BLOCK.finditer(text):
        yield match[1], match[2], text.count("\n", 0, match.start(2)) + 1


@pytest.fixture(scope="module")
def printed():
    """What each block printed, by its line; None for those that are only written."""
    namespace = {"__name__": "tutorial"}
    result = {}
    for kind, code, line in blocks():
        if kind != "python" or FILE.match(code):
            continue
        out = io.StringIO()
        with contextlib.redirect_stdout(out):
            padded = "\n" * (line - 1) + code  # errors name the line of the page
            exec(compile(padded, str(PAGE), "exec"), namespace)
        result[line] = out.getvalue()
    return result


def test_the_code_runs(printed):
    assert len(printed) >= 10


def test_the_output_is_what_the_page_shows(printed):
    before, shown = None, 0
    for kind, code, line in blocks():
        if kind == "text":
            assert printed[before] == code, f"the output shown at line {line}"
            shown += 1
        before = line
    assert shown >= 4
    silent = [line for line, text in printed.items() if text]
    assert len(silent) == shown, "an output is not shown"


def commands():
    for kind, code, line in blocks():
        if kind == "console":
            for part in re.split(r"^\$ ", code, flags=re.MULTILINE)[1:]:
                command, _, output = part.partition("\n")
                yield pytest.param(command, output, id=f"line {line}: {command[:40]}")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tutorial")
    for kind, code, _ in blocks():
        if kind == "python" and (name := FILE.match(code)):
            (folder / name[1]).write_text(code)
    return folder


@pytest.mark.parametrize(("command", "output"), list(commands()))
def test_commands(command, output, folder):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = re.sub(r"^python ", f"{sys.executable} ", command)
    done = subprocess.run(
        command, shell=True, cwd=folder, env=environment, capture_output=True, text=True
    )
    said = (done.stdout + done.stderr).replace(f"{folder}/", "")
    assert said == output


def test_every_language_name_is_in_the_reference():
    text = PAGE.read_text()
    inner = {"Tensor", "TensorSpec", "TensorType", "both", "build", "program", "wrap"}
    missing = [name for name in lang.__all__ if name not in inner and name not in text]
    assert not missing
