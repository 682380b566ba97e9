"""Records of measured schedules: reading, regret, the tuned table."""

import json
import subprocess
import sys

import pytest

from benchmarks.gpu import records
from benchmarks.gpu.facts import ROOT
from hidet_core.schedule import tuned


def record(key, config, predicted, median, problem=None, uses=1, **more):
    measured = None
    if median is not None:
        measured = {"median_ns": median, "p10_ns": median, "p90_ns": median, "runs": 5}
    return {
        "schema": records.SCHEMA,
        "target": "sm_90a",
        "device": "a device",
        "emulated": False,
        "key": key,
        "problem": problem or key,
        "uses": {"model": uses},
        "template": "Simt",
        "config": config,
        "predicted_ns": predicted,
        "measured": measured,
        "failure": None if median is not None else "spills",
    } | more


FOUR = [
    record("a", "x=1", 10.0, 3000.0, uses=3),
    record("a", "x=2", 20.0, 2000.0, uses=3),
    record("a", "x=3", 5.0, None, uses=3),
    record("b", "x=1", 10.0, 4000.0),
    record("b", "x=2", 20.0, 4300.0),
    record("alone", "x=1", 1.0, 1.0),
]


def test_regret_compares_the_first_choice_that_compiles_with_the_best():
    found = records.regret(FOUR)
    assert found["problems"] == 2
    assert found["within_10_percent"] == 0.5
    assert found["worst"] == pytest.approx(1.5)
    assert found["weighted"] == pytest.approx((3 * 3000 + 4000) / (3 * 2000 + 4000))
    assert [row["key"] for row in found["rows"]] == ["a", "b"]
    assert found["rows"][0]["best"] == "Simt x=2"


def test_regret_of_nothing():
    assert records.regret([])["within_10_percent"] is None


def test_a_file_that_was_cut_off_is_read_up_to_there(tmp_path):
    path = tmp_path / "records.jsonl"
    lines = [json.dumps(one) for one in (*FOUR, record("old", "", 1.0, 1.0, schema=0))]
    path.write_text("\n".join(lines) + "\n" + lines[0][:40])
    assert records.load(path) == FOUR
    assert records.load(tmp_path / "missing") == []


def test_the_table_has_the_config_that_is_best_in_all_kernels_of_a_problem(tmp_path, monkeypatch):
    measured = [
        record("p with relu", "x=1", 1.0, 10.0, "p"),
        record("p with relu", "x=2", 1.0, 12.0, "p"),
        record("p with relu", "x=3", 1.0, 1.0, "p"),  # not measured in the other kernel
        record("p with add", "x=1", 1.0, 30.0, "p"),
        record("p with add", "x=2", 1.0, 20.0, "p"),
    ]
    table = records.best_table(measured)
    assert table == {"schema": 1, "device": "a device", "best": {"p": ["Simt", "x=2"]}}
    (tmp_path / "sm_90a.json").write_text(json.dumps(table))
    assert tuned.table("sm_90a", tmp_path) == {"p": ("Simt", "x=2")}


@pytest.mark.parametrize(
    "more", [{"emulated": True}, {"device": "another"}, {"target": "sm_80"}], ids=str
)
def test_no_table_of_an_emulated_device_or_of_several(more):
    with pytest.raises(ValueError, match="expected records of one real device"):
        records.best_table([*FOUR, record("c", "x=1", 1.0, 1.0, **more)])


def test_the_command_line(tmp_path):
    path, table = tmp_path / "records.jsonl", tmp_path / "table.json"
    path.write_text("".join(json.dumps(one) + "\n" for one in FOUR))
    command = [sys.executable, "-m", "benchmarks.gpu.records", str(path), "--table", str(table)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    assert "1.50x" in done.stdout
    assert json.loads(table.read_text())["best"]["a"] == ["Simt", "x=2"]
