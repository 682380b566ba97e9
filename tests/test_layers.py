"""Imports point down: the table of docs and design as data, against every import in the tree.

Function-local imports count too and are errors by themselves, except of optional third-party
packages. The C++ side: the runtime includes neither ONNX Runtime nor Python, the plugin library
includes no Python, and nothing of hidet_core includes anything of ep.
"""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
CORE = ROOT / "hidet_core"

# package of hidet_core -> packages of hidet_core it may import
MAY_IMPORT: dict[str, str] = {
    "base": "",
    "target": "base",
    "mapping": "base",
    "ir": "base mapping",
    "lang": "base mapping ir",
    "compute": "base ir",
    "ops": "base ir compute",
    "graph": "base ir compute ops",
    "importer": "base ir compute ops graph",
    "schedule": "base ir lang mapping compute target",
    "fusion": "base ir mapping compute",
    "lower": "base ir mapping target",
    "codegen": "base ir target",
    "build": "base ir target emulator",
    "plan": "base ir",
    "emulator": "base",
    # the joints between the packages above, for pipeline.py
    "stages": "base ir compute ops graph schedule fusion plan target",
    # users' kernels on NumPy arrays
    "arrays": "base ir lang lower codegen build target stages",
}
TOP_MODULES = {"__init__", "__main__", "commands", "pipeline", "tune"}  # they know all stages

# third-party packages that only some machines have: these alone may be imported in a function
OPTIONAL = {"onnx", "onnxruntime", "cuda", "nvidia", "torch"}

THIRD_PARTY: dict[str, set[str]] = {
    "llvmlite": {"codegen", "build", "target"},
    "onnx": {"importer"},
    "onnxruntime": set(),
    "cuda": {"build"},
}

PYTHON_HEADER = re.compile(r"pybind11/|Python\.h")
ORT_HEADER = re.compile(r"onnxruntime|ort_(api|abi|c_api)", re.IGNORECASE)
EP_HEADER = re.compile(r"ep/|csrc/")
INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]', re.MULTILINE)


def _imports(path):
    """(line, absolute module, names, is local to a function) of every import of a file."""
    tree = ast.parse(path.read_text())
    local = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda))
        for node in ast.walk(function)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield node.lineno, alias.name, (), id(node) in local
        elif isinstance(node, ast.ImportFrom):
            names = tuple(alias.name for alias in node.names)
            yield node.lineno, _absolute(path, node), names, id(node) in local


def _absolute(path, node):
    if not node.level:
        return node.module
    parts = path.relative_to(ROOT).with_suffix("").parts
    if parts[0] == "ep":
        parts = parts[1:]
    base = ".".join(parts[: len(parts) - node.level])
    return f"{base}.{node.module}" if node.module else base


def _python(folder):
    return sorted(folder.rglob("*.py"))


def _package(path):
    """base, ir, ... of a file of hidet_core; pipeline, __init__ of a top-level module."""
    return path.relative_to(CORE).with_suffix("").parts[0]


def _where(path, line):
    return f"{path.relative_to(ROOT).as_posix()}:{line}"


def _core_targets(module, names):
    """Packages of hidet_core that `from module import names` reaches."""
    parts = module.split(".")
    if parts[0] != "hidet_core":
        return []
    return [parts[1]] if len(parts) > 1 else list(names) or ["__init__"]


def test_every_package_is_in_the_table():
    folders = {_package(path) for path in _python(CORE)}
    unknown = folders - set(MAY_IMPORT) - TOP_MODULES - {"runtime"}
    assert not unknown, f"{sorted(unknown)}: give each a row in MAY_IMPORT (and in docs/map.md)"


def test_the_table_has_no_cycle():
    rows = list(MAY_IMPORT)
    for package, allowed in MAY_IMPORT.items():
        below = allowed.split()
        assert set(below) <= set(rows), f"{package}: unknown package in {below}"
        assert not any(package in MAY_IMPORT[other].split() for other in below), package


def test_hidet_core_imports_point_down():
    found = []
    for path in _python(CORE):
        package = _package(path)
        if package in TOP_MODULES:
            continue
        allowed = {package, "_runtime", *MAY_IMPORT.get(package, "").split()}
        for line, module, names, _ in _imports(path):
            bad = [t for t in _core_targets(module, names) if t not in allowed]
            found += [f"{_where(path, line)}: {package} may not import {t}" for t in bad]
    assert not found, "\n".join(found)


def test_hidet_core_knows_nothing_of_the_ep():
    found = [
        f"{_where(path, line)}: {module}"
        for path in _python(CORE)
        for line, module, _, _ in _imports(path)
        if module.split(".")[0] in ("hidet_ep", "ep")
    ]
    assert not found, "\n".join(found)


def test_third_party_packages_stay_where_they_belong():
    found = []
    for path in _python(CORE):
        for line, module, _, _ in _imports(path):
            allowed = THIRD_PARTY.get(module.split(".")[0])
            if allowed is not None and _package(path) not in allowed:
                found.append(f"{_where(path, line)}: {module} belongs in {sorted(allowed)}")
    assert not found, "\n".join(found)


def test_no_imports_inside_functions():
    found = [
        f"{_where(path, line)}: import {module} inside a function"
        for path in _python(CORE) + _python(ROOT / "ep")
        for line, module, _, local in _imports(path)
        if local and module.split(".")[0] not in OPTIONAL
    ]
    assert not found, "\n".join(found)


def _exports():
    """Names that hidet_core/__init__ offers: its __all__, else what it binds."""
    tree = ast.parse((CORE / "__init__.py").read_text())
    for node in tree.body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "__all__":
            return set(ast.literal_eval(node.value))
    imports = [node for node in tree.body if isinstance(node, (ast.Import, ast.ImportFrom))]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_ep_imports_only_what_hidet_core_exports():
    exports, found = _exports(), []
    for path in _python(ROOT / "ep"):
        for line, module, names, _ in _imports(path):
            if module.split(".")[0] != "hidet_core":
                continue
            bad = [n for n in names if n not in exports] if module == "hidet_core" else [module]
            found += [f"{_where(path, line)}: {n} is not exported by hidet_core" for n in bad]
    assert not found, "\n".join(found)


def _includes(folder):
    for path in sorted(folder.rglob("*")):
        if path.suffix in (".h", ".hpp", ".cc", ".cpp"):
            for header in INCLUDE.findall(path.read_text()):
                yield path, header


def _is_binding(path):
    """The files that join C++ and Python, by name: they alone may see Python's headers."""
    return re.search(r"pybind|python|module|bridge", path.stem) is not None


@pytest.mark.parametrize(
    ("folder", "forbidden"),
    [("hidet_core", ORT_HEADER), ("hidet_core", EP_HEADER)],
    ids=["onnxruntime", "ep"],
)
def test_the_runtime_does_not_include(folder, forbidden):
    found = [f"{p.name}: {h}" for p, h in _includes(ROOT / folder) if forbidden.search(h)]
    assert not found, "\n".join(found)


def test_only_bindings_include_python():
    found = [
        f"{path.relative_to(ROOT).as_posix()}: {header}"
        for folder in ("hidet_core", "ep")
        for path, header in _includes(ROOT / folder)
        if PYTHON_HEADER.search(header) and not _is_binding(path)
    ]
    assert not found, "\n".join(found)
