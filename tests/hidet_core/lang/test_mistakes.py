"""Mistakes in a program are reported with the author's file and line, and a reason."""

import importlib.util

import pytest

from hidet_core import ProgramError

TEMPLATE = """
import math
from hidet_core.lang import *

@program
def wrong(x: f32["n"], y: f32["n", 4]):
    for (i,) in parallel(x.shape[0]):
        {}
"""
LINE = 8

MISTAKES = {
    "y[i] = x[i]": "y has 2 dims, got 1 indices",
    "y[i, 4] = x[i]": "y: index 1 is 4, expected 0 <= index < 4",
    "y[i, 0] = x[-1]": "x: index 0 is -1, expected 0 <= index < n",
    "y[i, x[i]] = 1.0": "y: index 1 is f32, expected an integer",
    "y[i, 'a'] = 1.0": "y: index 1 is a str, expected an integer",
    "y[i, 0] = i": "y holds f32, got a value of i64: cast(value, 'f32')",
    "y[i, 0] = math.sin(x[i])": "must be real number",
    "y[i, 0] = z[i]": "NameError: name 'z' is not defined",
    "y[i, 1 // 0] = x[i]": "ZeroDivisionError",
    "for k in range(x.shape[0]): pass": "'Var' object cannot be interpreted as an integer",
    "if x[i] > 0: y[i, 0] = x[i]": "has no truth value while the program is written",
    "for k in range_(4): break": "this loop over i was left early: break or return inside",
    "for k in range_(x[i]): pass": "an extent is an integer, got a value of f32",
    "for k in unroll(x.shape[0]): pass": "unroll needs a constant extent",
    "for a, b in spatial(4).on(i): pass": "not enough values to unpack",
    "spatial(4) * repeat(2, 2)": "cannot compose spatial(4) with repeat(2, 2)",
    "register('f32', [x.shape[0]])": "extents of a register buffer are positive ints, got [n]",
    "local('f33', [4])": "unknown dtype 'f33', known: f32",
    "for (k,) in parallel(4): pass": "parallel(...) stands here twice",
    "prefetch(x, i, level=4)": "level is 1, 2 or 3, got 4",
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_a_mistake_is_located(mistake, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(TEMPLATE.format(mistake))
    spec = importlib.util.spec_from_file_location("wrong", path)
    with pytest.raises(ProgramError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    assert caught.value.where == f"{path}:{LINE}"
    assert MISTAKES[mistake] in caught.value.why


LATE_MISTAKES = {
    "for k in range_(4): pass\n        y[i, k] = 0.0": (
        9,
        "i is used outside of the loop or block",
    ),
    "with when(i > 0): v = let('v', x[i] * 2.0)\n        y[i, 0] = v": (9, "v is used outside of"),
    "for k in lanes(spatial(4)): pass\n        y[i, k[0]] = 0.0": (9, "t0 is used outside of"),
    "for k in lanes(spatial(4)):\n            for j in lanes(spatial(4)): y[i, 0] = 0.0": (
        9,
        "lanes(...) inside of lanes(...)",
    ),
    "for (k,) in lanes(spatial(4)):\n            for j in range_(k): y[i, j] = 0.0": (
        9,
        "this loop does not run as often in every lane",
    ),
    "pass\n    y[0, 0] = 0.0": (9, "a statement after parallel(...): it belongs inside"),
    "pass\n    let('v', x[0] * 2.0)": (9, "a statement after parallel(...)"),
}


@pytest.mark.parametrize("mistake", LATE_MISTAKES)
def test_a_mistake_that_shows_late_is_located(mistake, tmp_path):
    path = tmp_path / "wrong.py"
    path.write_text(TEMPLATE.format(mistake))
    spec = importlib.util.spec_from_file_location("wrong", path)
    with pytest.raises(ProgramError) as caught:
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
    line, why = LATE_MISTAKES[mistake]
    assert caught.value.where == f"{path}:{line}"
    assert why in caught.value.why


def test_a_parameter_without_annotation(tmp_path):
    path = tmp_path / "bare.py"
    path.write_text("from hidet_core.lang import *\n\n@program\ndef bare(x):\n    pass\n")
    spec = importlib.util.spec_from_file_location("bare", path)
    with pytest.raises(ProgramError, match=r"bare.py:3: parameter 'x' of bare needs a tensor ann"):
        spec.loader.exec_module(importlib.util.module_from_spec(spec))
