"""python -m hidet_core: draw a mapping, run passes on a file; repro has tests of its own."""

import subprocess
import sys
import xml.etree.ElementTree as ElementTree

import pytest

from hidet_core.__main__ import main

PROGRAM = """
from hidet_core import kernel
from hidet_core.lang import *

@program
def fill(y: f32["n"]):
    for (block,) in parallel(ceildiv(y.shape[0], 8)):
        for (i,) in lanes(spatial(8)):
            with when(block * 8 + i < y.shape[0]):
                y[block * 8 + i] = 1.0
"""
SECOND = """
@kernel
def clear(y: f32[4]):
    for (i,) in parallel(4):
        y[i] = 0.0
"""


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "fill.py"
    path.write_text(PROGRAM)
    return path


def test_draw(capsys):
    assert main(["draw", "spatial(2, 2) * repeat(1, 2)"]) == 0
    assert capsys.readouterr().out == (
        "spatial(2, 2) * repeat(1, 2)   (4 workers x 2 tasks, worker:step)\n"
        "0:0 0:1 1:0 1:1\n"
        "2:0 2:1 3:0 3:1\n"
    )


def test_draw_svg(tmp_path, capsys):
    path = tmp_path / "out.svg"
    assert main(["draw", "spatial(4,8)*repeat(2,4)", "--svg", str(path)]) == 0
    assert "out.svg: spatial(4, 8) * repeat(2, 4)" in capsys.readouterr().out
    shapes = [element.tag.rpartition("}")[2] for element in ElementTree.parse(path).iter()]
    assert shapes.count("rect") == 8 * 32


@pytest.mark.parametrize("text", ["spatial(", "print('x')", "spatial(0, 4)", "repeat(2) * 3"])
def test_draw_refuses_what_is_no_mapping(text, capsys):
    assert main(["draw", text]) == 1
    assert capsys.readouterr().err.startswith("error: ")


def test_opt_runs_all_of_the_lowering(file, capsys):
    assert main(["opt", str(file)]) == 0
    out = capsys.readouterr().out
    assert out.startswith("program fill(") and "ramp(" in out


def test_opt_runs_the_passes_given(file, capsys):
    assert main(["opt", str(file), "-p", "expand_mapping, flatten_index"]) == 0
    out = capsys.readouterr().out
    assert "in lanes(8)" in out and "spatial" not in out


def test_opt_prints_between(file, capsys):
    assert main(["opt", str(file), "-p", "expand_mapping,unroll_loops", "--print-between"]) == 0
    heads = [line for line in capsys.readouterr().out.splitlines() if line.startswith("==")]
    assert heads == ["== fill", "== expand_mapping", "== unroll_loops"]


def test_opt_wants_to_know_which_program(file, capsys):
    file.write_text(PROGRAM + SECOND)
    assert main(["opt", str(file)]) == 1
    assert "allowed: fill, clear" in capsys.readouterr().err
    assert main(["opt", str(file), "--program", "clear"]) == 0
    assert capsys.readouterr().out.startswith("program clear(")


@pytest.mark.parametrize(
    ("content", "arguments", "why"),
    [
        (PROGRAM, ["-p", "flatten"], "allowed: widen_halves, expand_mapping, flatten_index"),
        ("x = 1", [], "defines no program"),
        (PROGRAM.replace("ceildiv(y", "ceildiv(z"), [], "fill.py:7: NameError: name 'z'"),
    ],
)
def test_opt_says_what_is_wrong(file, content, arguments, why, capsys):
    file.write_text(content)
    assert main(["opt", str(file), *arguments]) == 1
    assert why in capsys.readouterr().err


def test_a_missing_file(tmp_path, capsys):
    assert main(["opt", str(tmp_path / "none.py")]) == 1
    assert "none.py" in capsys.readouterr().err


def test_unknown_arguments():
    with pytest.raises(SystemExit):
        main(["draw", "spatial(4)", "--colour"])


def test_it_is_a_module():
    done = subprocess.run(
        [sys.executable, "-m", "hidet_core", "draw", "repeat(2)"], capture_output=True, text=True
    )
    assert done.returncode == 0 and "0:0 0:1" in done.stdout, done.stderr
