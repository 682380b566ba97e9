"""The size budget: no file, function, nesting, argument list or line longer than a reader likes.

Python is measured with ast; C++ by file length and line length. An exception has a name, a number
and a reason in EXCEPTIONS; it may only be as large as it needs to be now.
"""

import ast
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
LIMITS = {"file": 400, "function": 60, "nesting": 4, "arguments": 7, "line": 100}
PYTHON_DIRS = ("hidet_core", "ep", "scripts", "tests", "docs", "benchmarks")
CPP_DIRS = ("hidet_core", "ep", "tests")
CPP_SUFFIXES = {".cc", ".cpp", ".h", ".hpp"}

# (path, what, name) -> (limit, reason); name is "" for "file" and "line"
EXCEPTIONS: dict[tuple[str, str, str], tuple[int, str]] = {}

BLOCKS = (ast.For, ast.While, ast.If, ast.With, ast.Try, ast.Match, ast.AsyncFor, ast.AsyncWith)
FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef)


def _sources(dirs, suffixes):
    found = [path for name in dirs for path in (ROOT / name).rglob("*") if path.is_file()]
    return sorted(
        path
        for path in found
        if path.suffix in suffixes and not {"build", ".venv"} & set(path.relative_to(ROOT).parts)
    )


def _python_files():
    scripts = [p for p in (ROOT / "scripts").glob("*") if p.is_file() and p.suffix == ""]
    shebang = [p for p in scripts if "python" in p.read_text().split("\n", 1)[0]]
    return _sources(PYTHON_DIRS, {".py"}) + shebang + sorted(ROOT.glob("*.py"))


def _nesting(node, depth=0):
    """Deepest block below node; an `elif` does not count as deeper, a nested def starts anew."""
    deepest = depth
    for field, value in ast.iter_fields(node):
        children = value if isinstance(value, list) else [value]
        is_elif = field == "orelse" and len(children) == 1 and isinstance(children[0], ast.If)
        for child in (c for c in children if isinstance(c, ast.AST)):
            if isinstance(child, (*FUNCTIONS, ast.ClassDef)):
                continue
            step = isinstance(child, BLOCKS) and not (is_elif and isinstance(node, ast.If))
            deepest = max(deepest, _nesting(child, depth + step))
    return deepest


def _arguments(function):
    spec = function.args
    every = [*spec.posonlyargs, *spec.args, *spec.kwonlyargs]
    return len([arg for arg in every if arg.arg not in ("self", "cls")])


def _over(path, what, name, size):
    key = (path.relative_to(ROOT).as_posix(), what, name)
    limit = EXCEPTIONS.get(key, (LIMITS[what], ""))[0]
    return [f"{key[0]}: {what} {name or ''} {size} > {limit}"] if size > limit else []


def _measure_text(path):
    lines = path.read_text().splitlines()
    longest = max(map(len, lines), default=0)
    return _over(path, "file", "", len(lines)) + _over(path, "line", "", longest)


def _measure_function(path, node):
    length = node.end_lineno - node.lineno + 1
    return [
        *_over(path, "function", node.name, length),
        *_over(path, "nesting", node.name, _nesting(node)),
        *_over(path, "arguments", node.name, _arguments(node)),
    ]


def test_python_fits_the_budget():
    found = []
    for path in _python_files():
        found += _measure_text(path)
        functions = [n for n in ast.walk(ast.parse(path.read_text())) if isinstance(n, FUNCTIONS)]
        for node in functions:
            found += _measure_function(path, node)
    assert not found, "over the size budget:\n" + "\n".join(found)


def test_cpp_fits_the_budget():
    found = []
    for path in _sources(CPP_DIRS, CPP_SUFFIXES):
        found += _measure_text(path)
    assert not found, "over the size budget:\n" + "\n".join(found)


def test_python_modules_have_a_docstring():
    ours = _sources(("hidet_core", "ep"), {".py"})
    bare = [p.relative_to(ROOT).as_posix() for p in ours if not _docstring(p)]
    assert not bare, "modules without an opening docstring:\n" + "\n".join(bare)


def _docstring(path):
    tree = ast.parse(path.read_text())
    return ast.get_docstring(tree) or not tree.body


def test_exceptions_are_still_needed():
    gone = [key for key in EXCEPTIONS if not (ROOT / key[0]).exists()]
    assert not gone, f"exceptions for files that do not exist: {gone}"
    assert all(reason for _, reason in EXCEPTIONS.values()), "an exception needs a reason"


@pytest.mark.parametrize(
    ("source", "depth"),
    [
        ("def f():\n  pass", 0),
        ("def f():\n  if a:\n    b\n  elif c:\n    d\n  else:\n    e", 1),
        ("def f():\n  for a in b:\n    if c:\n      while d:\n        e", 3),
    ],
)
def test_nesting_counts_blocks(source, depth):
    assert _nesting(ast.parse(source).body[0]) == depth
