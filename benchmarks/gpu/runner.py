"""Steps one after the other, each in a process of its own and within its share of the time.

in:  steps, a folder, seconds      out: a Record of each, in FOLDER/NAME.json, and its log beside it
A step whose record says "done" and has the same key (sources, device, arguments) is not run again.
The group of a step's processes is killed at its limit; what it wrote until then is kept. Whatever
happens to a step, the next one runs.
"""

import contextlib
import datetime
import json
import os
import signal
import subprocess
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

SCHEMA = 1
GRACE_SECONDS = 3.0  # between asking and killing
MIN_SECONDS = 2.0  # a step with less is not started
TAIL_LINES = 25
DONE, PARTIAL, FAILED, TIMEOUT, UNSTARTED = "done", "partial", "failed", "out of time", "no time"


@dataclass(frozen=True)
class Step:
    """command: gets `--out FILE --seconds S` behind it and writes its result to FILE as JSON, any
    number of times; `"whole": false` in it says that more time would give more.

    share: of the time, relative to the steps that follow. environment: added to ours.
    """

    name: str
    title: str
    share: float
    command: tuple[str, ...]
    environment: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What came of a step. tail: the end of its log, where it is not done."""

    step: str
    title: str
    status: str
    key: str
    began: str = ""
    seconds: float = 0.0
    limit_s: float = 0.0
    returncode: int | None = None
    result: dict[str, object] | None = None
    tail: tuple[str, ...] = ()
    schema: int = SCHEMA
    reused: bool = False  # from an earlier run into this folder


def run_steps(
    steps: Sequence[Step],
    folder: Path,
    seconds: float,
    key: Callable[[Step], str],
    say: Callable[[str], None] = print,
) -> list[Record]:
    """Run all steps that have no current record. key: what a step's record depends on, asked for
    when its turn comes.
    """
    folder.mkdir(parents=True, exist_ok=True)
    end, records = time.monotonic() + seconds, []
    waiting = [step for step in steps if not _is_done(_load(folder, step), key(step))]
    for step in steps:
        if step not in waiting:
            records.append(_again(_load(folder, step)))
            say(f"{step.name}: done before")
            continue
        left = end - time.monotonic()
        limit = left * step.share / sum(s.share for s in waiting[waiting.index(step) :])
        say(f"{step.name}: {step.title} (at most {limit:.0f} s of {left:.0f})")
        record = _run(step, folder, limit, key(step))
        (folder / f"{step.name}.json").write_text(json.dumps(asdict(record), indent=1) + "\n")
        say(f"{step.name}: {record.status} after {record.seconds:.1f} s")
        records.append(record)
    return records


def _again(record: Record) -> Record:
    return Record(**{**asdict(record), "tail": tuple(record.tail), "reused": True})


def _is_done(record: Record | None, key: str) -> bool:
    return record is not None and record.status == DONE and record.key == key


def _load(folder: Path, step: Step) -> Record | None:
    """The step's record of an earlier run; None where there is none that we can read."""
    try:
        data = json.loads((folder / f"{step.name}.json").read_text())
        return Record(**data) if data.get("schema") == SCHEMA else None
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _run(step: Step, folder: Path, limit: float, key: str) -> Record:
    began = datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")
    shared = {"step": step.name, "title": step.title, "key": key, "began": began, "limit_s": limit}
    if limit < MIN_SECONDS:
        return Record(status=UNSTARTED, **shared)
    out, log = folder / f"{step.name}.result.json", folder / f"{step.name}.log"
    out.unlink(missing_ok=True)
    start = time.monotonic()
    try:
        code = _process(step, out, log, limit)
    except OSError as error:
        return Record(status=FAILED, tail=(str(error),), **shared)
    seconds = time.monotonic() - start
    result = _result(out)
    status = _status(code, result)
    tail = () if status == DONE else _tail(log)
    shared |= {"seconds": seconds, "returncode": code, "result": result, "tail": tail}
    return Record(status=status, **shared)


def _status(code: int | None, result: dict[str, object] | None) -> str:
    if code is None:
        return TIMEOUT
    if code != 0 or result is None:
        return FAILED
    return DONE if result.get("whole", True) else PARTIAL


def _result(out: Path) -> dict[str, object] | None:
    try:
        data = json.loads(out.read_text())
    except (OSError, ValueError):
        return None
    return data if isinstance(data, dict) else None


def _tail(log: Path) -> tuple[str, ...]:
    return tuple(log.read_text(errors="replace").splitlines()[-TAIL_LINES:])


def _process(step: Step, out: Path, log: Path, limit: float) -> int | None:
    """The exit status; None: it was killed at its limit."""
    # the step is told a little less, so that it can end by itself
    arguments = ["--out", str(out), "--seconds", f"{max(1.0, limit - GRACE_SECONDS):.1f}"]
    with log.open("wb") as stream:
        process = subprocess.Popen(
            [*step.command, *arguments],
            env={**os.environ, **step.environment},
            stdin=subprocess.DEVNULL,
            stdout=stream,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        return process.wait(limit)
    except subprocess.TimeoutExpired:
        _signal(process, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(GRACE_SECONDS)
        return None
    finally:
        _signal(process, signal.SIGKILL)  # whoever is left of the group
        process.wait()


def _signal(process: subprocess.Popen, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, number)
