"""The README's generated parts are what the files they come from say."""

import importlib.util
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "update_readme.py"
MARKED = "above\n<!-- generated: {} -->\nold\n<!-- end -->\nbelow\n"


@pytest.fixture(scope="module")
def update_readme():
    spec = importlib.util.spec_from_file_location("update_readme", SCRIPT)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_readme_is_up_to_date(update_readme):
    text = update_readme.README.read_text()
    assert text == update_readme.generate(text), "run scripts/update_readme.py"


def test_only_what_is_between_marks_changes(update_readme):
    text = update_readme.generate(MARKED.format("options"))
    assert text.startswith("above\n<!-- generated: options -->\n")
    assert text.endswith("<!-- end -->\nbelow\n")
    assert "`tuning`" in text and "old" not in text
    assert update_readme.generate(text) == text


def test_a_missing_result_is_said(update_readme):
    assert "Not measured yet." in update_readme.generate(MARKED.format("benchmark none.json"))


def test_an_unknown_mark_is_an_error(update_readme):
    with pytest.raises(ValueError, match="mark 'opinions' is unknown"):
        update_readme.generate(MARKED.format("opinions"))


def test_every_result_can_be_read(update_readme):
    for path in update_readme.RESULTS.glob("*.json"):
        assert "CPU" in update_readme.benchmark(path.name)
