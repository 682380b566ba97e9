"""The step runner: shares, resumption, failures, limits, with steps that are small scripts."""

import json
import sys
import time

import pytest

from benchmarks.gpu.runner import (
    DONE,
    FAILED,
    PARTIAL,
    TIMEOUT,
    UNSTARTED,
    Step,
    run_steps,
)

WRITES = """
import json, pathlib, sys
out = pathlib.Path(sys.argv[sys.argv.index("--out") + 1])
seconds = float(sys.argv[sys.argv.index("--seconds") + 1])
def write(**result): out.write_text(json.dumps(result))
"""
TOUCHES = "import pathlib, time\nwhile True: pathlib.Path({!r}).touch(); time.sleep(0.05)"


def step(name, body, share=1.0, **environment):
    return Step(name, f"the step {name}", share, (sys.executable, "-c", WRITES + body), environment)


def run(steps, folder, seconds=60.0, key="key"):
    said = []
    records = run_steps(steps, folder, seconds, lambda _: key, said.append)
    return {record.step: record for record in records}, said


def counting(name, folder):
    """A step that leaves a mark each time it runs, and how many marks there are."""
    marks = folder / f"{name}.marks"
    return step(
        name, f"open({str(marks)!r}, 'a').write('x'); write(a=1)"
    ), lambda: len(marks.read_text()) if marks.exists() else 0


def test_a_record_holds_result_time_and_key(tmp_path):
    records, said = run([step("one", "write(figure=1.5)")], tmp_path / "new" / "folder")
    record = records["one"]
    assert (record.status, record.returncode, record.key) == (DONE, 0, "key")
    assert record.result == {"figure": 1.5} and record.tail == () and record.seconds > 0
    written = json.loads((tmp_path / "new" / "folder" / "one.json").read_text())
    assert written["result"] == {"figure": 1.5} and written["schema"] == 1
    assert [line.partition(":")[0] for line in said] == ["one", "one"]


def test_a_failing_step_does_not_stop_the_rest(tmp_path):
    steps = [
        step("fails", "write(half=True); print('a word'); sys.exit(3)"),
        step("missing", ""),
        Step("no_program", "", 1.0, (str(tmp_path / "nothing"),)),
        step("crashes", "import os; write(so_far=2); os.abort()"),
        step("garbage", "out.write_text('[1,')"),
        step("last", "write(ok=True)"),
    ]
    records, _ = run(steps, tmp_path)
    statuses = {name: record.status for name, record in records.items()}
    assert statuses == {**dict.fromkeys(statuses, FAILED), "last": DONE}
    assert records["fails"].returncode == 3 and records["fails"].tail == ("a word",)
    assert records["crashes"].result == {"so_far": 2}
    assert "nothing" in records["no_program"].tail[0]


def test_a_step_is_told_its_time_and_killed_at_its_limit_with_all_its_processes(tmp_path):
    alive = tmp_path / "alive"
    body = f"""
import subprocess, time
child = "import pathlib, time\\nwhile True: pathlib.Path({str(alive)!r}).touch(); time.sleep(0.05)"
subprocess.Popen([sys.executable, "-c", child])
write(seconds=seconds)
print("waiting", flush=True)
time.sleep(600)
"""
    start = time.monotonic()
    records, _ = run([step("hangs", body), step("last", "write(a=1)")], tmp_path, seconds=12.0)
    assert time.monotonic() - start < 30
    record = records["hangs"]
    assert record.status == TIMEOUT and record.returncode is None
    assert 2.0 < record.result["seconds"] < record.limit_s < 6.5
    assert record.tail == ("waiting",)
    assert records["last"].status == DONE
    alive.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not alive.exists()


def test_a_step_that_does_not_end_when_asked_is_killed(tmp_path):
    body = "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN); time.sleep(600)"
    records, _ = run([step("stubborn", body)], tmp_path, seconds=2.5)
    assert records["stubborn"].status == TIMEOUT
    assert records["stubborn"].seconds < 20


def test_processes_left_behind_are_killed(tmp_path):
    alive = tmp_path / "alive"
    child = (
        f"import pathlib, time\nwhile True: pathlib.Path({str(alive)!r}).touch(); time.sleep(0.05)"
    )
    body = f"import subprocess; subprocess.Popen([sys.executable, '-c', {child!r}]); write(a=1)"
    records, _ = run([step("leaves", body)], tmp_path)
    assert records["leaves"].status == DONE
    alive.unlink(missing_ok=True)
    time.sleep(0.3)
    assert not alive.exists()


def test_what_a_step_leaves_over_the_next_ones_get(tmp_path):
    steps = [step("quick", "write(a=1)", share=3.0), step("slow", "write(seconds=seconds)")]
    records, _ = run(steps, tmp_path, seconds=40.0)
    assert records["quick"].limit_s == pytest.approx(30.0, abs=1.0)
    assert records["slow"].limit_s > 30.0


def test_done_steps_are_not_run_again(tmp_path):
    first, count = counting("first", tmp_path)
    run([first], tmp_path)
    records, said = run([first], tmp_path)
    assert count() == 1 and said == ["first: done before"]
    assert records["first"].reused and records["first"].result == {"a": 1}


def test_the_time_of_steps_done_before_goes_to_the_others(tmp_path):
    first, _ = counting("first", tmp_path)
    run([first], tmp_path)
    records, _ = run([first, step("second", "write(a=1)")], tmp_path, seconds=40.0)
    assert records["second"].limit_s == pytest.approx(40.0, abs=1.0)


@pytest.mark.parametrize("spoil", ["key", "schema", "text", "status"])
def test_a_record_that_is_not_current_is_made_anew(tmp_path, spoil):
    first, count = counting("first", tmp_path)
    run([first], tmp_path)
    path = tmp_path / "first.json"
    if spoil == "text":
        path.write_text("{")
    else:
        path.write_text(json.dumps(json.loads(path.read_text()) | {spoil: "other"}))
    records, _ = run([first], tmp_path)
    assert count() == 2 and records["first"].status == DONE


def test_failed_and_partial_steps_are_run_again(tmp_path):
    marks = tmp_path / "marks"
    body = f"""
path = pathlib.Path({str(marks)!r})
path.write_text((path.read_text() if path.exists() else "") + "x")
write(whole=len(path.read_text()) > 2)
sys.exit(len(path.read_text()) == 1)
"""
    statuses = [run([step("first", body)], tmp_path)[0]["first"].status for _ in range(4)]
    assert statuses == [FAILED, PARTIAL, DONE, DONE]
    assert len(marks.read_text()) == 3


def test_without_time_a_step_is_not_started(tmp_path):
    first, count = counting("first", tmp_path)
    records, _ = run([first], tmp_path, seconds=0.0)
    assert records["first"].status == UNSTARTED and count() == 0
    assert run([first], tmp_path)[0]["first"].status == DONE


def test_an_old_result_is_not_taken_for_a_new_one(tmp_path):
    run([step("first", "write(a=1)")], tmp_path, key="old")
    records, _ = run([step("first", "sys.exit(1)")], tmp_path, key="new")
    assert records["first"].result is None and records["first"].status == FAILED


def test_the_environment_of_a_step(tmp_path):
    body = "import os; write(value=os.environ['OF_THIS_STEP'])"
    records, _ = run([step("first", body, OF_THIS_STEP="yes")], tmp_path)
    assert records["first"].result == {"value": "yes"}
