"""Measuring schedules when a kernel fails or hangs: the child dies, the measuring goes on."""

import argparse
import json
import sys
import time

import pytest

from benchmarks.gpu import tune
from benchmarks.gpu.measuring import MEASURED, contents
from benchmarks.gpu.records import load
from benchmarks.gpu.step import Output
from hidet_core.ir.dtypes import bf16, f16, f32, i64
from tests.benchmarks.gpu.test_records import record

RECORDS = [record("a", f"x={number}", 1.0 + number, 1000.0 * number) for number in (1, 2, 3)]
CHILD = """
import json, os, pathlib, sys, time
path = pathlib.Path({path!r})
done = path.read_text().splitlines() if path.exists() else []
records = {records!r}
for number, record in enumerate(records):
    if number < len(done):
        continue
    path.with_suffix(".trying").write_text(json.dumps(record | {{"measured": None}}))
    if number == 1:
        {trouble}
    with path.open("a") as stream:
        stream.write(json.dumps(record) + chr(10))
    path.with_suffix(".trying").unlink()
sys.exit({status})
"""


@pytest.fixture
def measure(tmp_path, monkeypatch):
    """measure(trouble, status): the result, the records, how often a child was started."""
    started = []
    original = tune.subprocess.Popen

    def run(trouble, status=0, seconds=60.0):
        path = tmp_path / "records.jsonl"
        code = CHILD.format(path=str(path), records=RECORDS, trouble=trouble, status=status)

        def popen(command):
            started.append(command)
            return original([sys.executable, "-c", code])

        monkeypatch.setattr(tune.subprocess, "Popen", popen)
        names = {"records": path, "models": ["m"], "image": 32, "problems": 0, "configs": 0}
        args = argparse.Namespace(**names, batch=8, slack=0.0)
        output = Output(tmp_path / "out.json", seconds)
        code = tune.run(output, args)
        return code, json.loads((tmp_path / "out.json").read_text()), load(path), len(started)

    return run


def test_all_is_measured(measure):
    code, result, records, started = measure("pass")
    assert (code, started, records) == (0, 1, RECORDS)
    assert result["whole"] and result["measured"] == 3 and result["failed"] == 0


def test_a_kernel_that_kills_its_process_is_a_record_of_a_failure(measure):
    code, result, records, started = measure("os.abort()")
    assert code == 0 and started == 2
    assert [one["measured"] is None for one in records] == [False, True, False]
    assert "ended with status -6" in records[1]["failure"]
    assert (result["measured"], result["failed"], result["crashes"]) == (2, 1, 1)


def test_a_kernel_that_hangs_is_killed(measure, monkeypatch):
    monkeypatch.setattr(tune, "STALL_SECONDS", 1.0)
    start = time.monotonic()
    code, result, _, _ = measure("time.sleep(600)")
    assert time.monotonic() - start < 30
    assert code == 0 and result["crashes"] == 1 and result["measured"] == 2


def test_when_the_time_is_over_there_is_more_to_measure(measure):
    code, result, _, started = measure("pass", status=MEASURED)
    assert code == 0 and started == 1 and not result["whole"]


def test_a_child_that_cannot_begin_is_a_failure(measure, monkeypatch):
    monkeypatch.setattr(sys.modules[__name__], "RECORDS", [])
    code, result, _, started = measure("pass", status=1)
    assert code == 1 and started == 1 and result["measured"] == 0


@pytest.mark.parametrize("dtype", [f32, f16, bf16, i64], ids=str)
def test_contents_are_numbers_for_floats_and_zero_for_indices(dtype):
    raw = contents(dtype, 1 << 18)
    assert raw.nbytes == 1 << 18
    assert raw.any() == dtype.is_float
