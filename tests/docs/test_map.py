"""docs/map.md names every folder and the imports that tests/test_layers.py allows."""

import importlib.util
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
ROW = re.compile(r"^\| `(\w+)` \| ([\w ]*)\|$", re.MULTILINE)


@pytest.fixture(scope="module")
def page():
    return (ROOT / "docs" / "map.md").read_text()


@pytest.fixture(scope="module")
def layers():
    path = ROOT / "tests" / "test_layers.py"
    spec = importlib.util.spec_from_file_location("layers", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_import_table_is_the_tested_one(page, layers):
    table = {package: " ".join(below.split()) for package, below in ROW.findall(page)}
    assert table == layers.MAY_IMPORT


def test_every_folder_is_on_the_map(page):
    folders = [path for path in (ROOT / "hidet_core").iterdir() if any(path.glob("*.py"))]
    missing = [path.name for path in folders if f"[hidet_core/{path.name}]" not in page]
    assert not missing


def test_the_example_is_small():
    assert len((ROOT / "docs" / "example.py").read_text().splitlines()) <= 40
