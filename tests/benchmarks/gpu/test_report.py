"""scripts/gpu_report.py: a dry run on the emulated device; its command line with small steps."""

import json
import os
import subprocess
import sys

import numpy as np
import pytest

from benchmarks.gpu import facts, report
from benchmarks.gpu.facts import ROOT
from benchmarks.gpu.runner import DONE, FAILED, Record, Step
from hidet_core.emulator import compiler
from scripts import gpu_report

SCRIPT = ROOT / "scripts" / "gpu_report.py"
MACHINE = {"gpu": {"name": "GPU"}, "cpu": "CPU", "cores": 2, "os": "Linux", "python": "3"}
MACHINE |= {"versions": {"numpy": "2"}, "commit": "", "tree": "0123"}
WRITE = "import sys; open(sys.argv[sys.argv.index('--out') + 1], 'w').write('{\"x\": 1.5}')"


def small(name, code=WRITE):
    return Step(name, f"the step {name}", 1.0, (sys.executable, "-c", code))


@pytest.fixture
def quick(monkeypatch, tmp_path):
    """main(*arguments) with small steps in place of the real ones."""
    monkeypatch.setattr(facts, "machine", lambda: dict(MACHINE))
    monkeypatch.setattr(facts, "tree_hash", lambda: "0123")
    given = [small("one"), small("two", "import sys; print('why'); sys.exit(1)"), small("three")]
    folder = tmp_path / "report"

    def main(*arguments):
        return gpu_report.main(["--minutes", "1", "--out", str(folder), *arguments], given)

    main.folder = folder
    return main


def test_a_failing_step_is_in_the_report_with_its_log(quick):
    assert quick() == 1
    whole = json.loads((quick.folder / "report.json").read_text())
    assert [step["status"] for step in whole["steps"]] == [DONE, FAILED, DONE]
    assert whole["machine"]["tree"] == "0123"
    text = (quick.folder / "report.md").read_text()
    assert "| two | failed |" in text and "\nwhy\n" in text
    assert "emulated" not in text


def test_the_second_run_goes_on_where_the_first_ended(quick, capsys):
    quick("--steps", "one")
    assert quick("--leave-out", "two") == 0
    said = capsys.readouterr().err
    assert "one: done before" in said and "three: done after" in said


def test_other_sources_are_measured_again(quick, monkeypatch, capsys):
    quick("--steps", "one")
    monkeypatch.setattr(facts, "tree_hash", lambda: "4567")
    quick("--steps", "one")
    assert "done before" not in capsys.readouterr().err


def test_a_step_that_is_not_there(quick, capsys):
    assert quick("--steps", "four") == 2
    assert "no step four; there are one, two, three" in capsys.readouterr().err


def test_the_hash_of_the_sources(tmp_path):
    (tmp_path / "hidet_core").mkdir()
    source = tmp_path / "hidet_core" / "a.py"
    source.write_text("1")
    first = facts.tree_hash(tmp_path)
    (tmp_path / "hidet_core" / "built.so").write_text("x")
    assert facts.tree_hash(tmp_path) == first
    source.write_text("2")
    second = facts.tree_hash(tmp_path)
    source.rename(tmp_path / "hidet_core" / "b.py")
    assert len({first, second, facts.tree_hash(tmp_path)}) == 3


def test_half_a_result_is_shown_as_it_is():
    half = Record("tune", "title", FAILED, "key", result={"measured": 3}, tail=("stopped",))
    text = report.markdown(MACHINE, [half])
    assert "| measured | 3 |" in text and "stopped" in text


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_a_dry_run_on_the_emulated_device(tmp_path):
    """All steps but the build (it would build under the feet of other tests), end to end."""
    command = [sys.executable, str(SCRIPT), "--minutes", "15", "--out", str(tmp_path)]
    environment = {**os.environ, "HIDET_CUDA_DRIVER": "emulated"}
    done = subprocess.run(
        [*command, "--leave-out", "build"],
        env=environment,
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    text = (tmp_path / "report.md").read_text()
    assert done.returncode == 0, f"{done.stdout}\n{done.stderr}\n{text}"
    assert "**emulated: times mean nothing.**" in text
    steps = {
        step["step"]: step["result"]
        for step in json.loads((tmp_path / "report.json").read_text())["steps"]
    }
    conformance = steps["conformance"]
    assert (conformance["wrong"], conformance["bits"]) == ({}, {})
    assert len(np.load(tmp_path / "conformance.npz").files) == conformance["run"] > 3
    assert steps["micro"]["emulated"]
    assert not [name for name, found in steps["micro"].items() if "failure" in str(found)]
    assert steps["tests"]["run"] > 0 and steps["tests"]["failed"] == 0
    assert steps["zoo"]["wrong"] == 0 and steps["zoo"]["models"][0]["claimed"] == 8
    assert steps["compile"]["cold"]["kernels"] >= 3 and "seconds" in steps["compile"]["warm"]
    hidet = steps["bench"]["hot"]["models"][0]["results"][1]
    assert hidet["provider"].startswith("HidetEP target=cuda") and hidet["claimed"] == 1.0
    assert steps["bench"]["hot"]["machine"]["gpu"] == "emulated: times mean nothing"
    assert steps["tune"]["measured"] == 4 and steps["tune"]["regret"]["problems"] == 2
    records = (tmp_path / "schedules.jsonl").read_text().splitlines()
    assert all(json.loads(line)["emulated"] for line in records)
