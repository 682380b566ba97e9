"""The generated parts of README.md and docs/ are what the files they come from say."""

import importlib.util
import json
import re
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parent.parent / "scripts" / "update_readme.py"
LINK = re.compile(r"\]\((?!https?:)([^)#]+)[^)]*\)")
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


def test_the_docs_are_up_to_date(update_readme):
    assert len(update_readme.PAGES) >= 4
    for page in update_readme.PAGES[1:]:
        text = page.read_text()
        assert text == update_readme.generate(text), f"{page.name}: run scripts/update_readme.py"


def test_every_knob_is_documented(update_readme):
    text = (update_readme.ROOT / "docs" / "debugging.md").read_text()
    table = update_readme.knobs("")
    assert table in text
    assert all(f"`{knob.name}`" in table for knob in update_readme.KNOBS)


def test_links_between_pages_lead_somewhere(update_readme):
    for page in update_readme.PAGES:
        for target in LINK.findall(page.read_text()):
            assert (page.parent / target).exists(), f"{page.name}: {target}"


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
    reports = {path.name for path in update_readme.RESULTS.glob("*.json")} - {"sgemm.json"}
    for name in reports:
        assert "CPU" in update_readme.benchmark(name)


def test_the_result_of_sgemm(update_readme):
    report = json.loads((update_readme.RESULTS / "sgemm.json").read_text())
    assert report["machine"]["cpu"]
    for result in report["results"]:
        assert result["share"] == pytest.approx(result["gflops"] / result["peak"], abs=1e-3)
        assert result["error"] < 1e-5
