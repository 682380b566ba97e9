"""Runs worker processes to the end of their cases, whatever happens to them.

A worker that dies or hangs costs one case: it is recorded as an outcome that fails, and a new
process goes on behind it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.onnx_backend.worker import AGAIN, Outcome

ROOT = Path(__file__).parents[2]
WORKER = (sys.executable, "-X", "faulthandler", "-m", "tests.onnx_backend.worker")
SECONDS_PER_CASE = 600
DIED = "died"  # in place of the operator


def run_all(parts, command=WORKER, target="cpu", slices=1):
    """The outcomes of all cases, or of one of their slices, from that many processes at a time. For
    the target "cuda" these have the emulated driver.
    """

    def run(part):
        return _run_part([*command, str(part), str(parts)], [target, str(slices)])

    with ThreadPoolExecutor(parts) as threads:
        return [outcome for outcomes in threads.map(run, range(parts)) for outcome in outcomes]


def _run_part(command, options):
    outcomes, skip = [], 0
    while True:
        process = _start([*command, str(skip), *options], options[0])
        running, finished = _collect(process, outcomes)
        if process.returncode == 0:
            return outcomes
        if running is None:
            raise RuntimeError(f"a worker ended with {process.returncode} and did no case")
        if process.returncode != AGAIN:
            outcomes.append(Outcome(running, DIED, "", f"the process ended: {process.returncode}"))
        skip += finished + 1


def _start(command, target):
    environment = {
        **os.environ,
        **({"HIDET_CUDA_DRIVER": "emulated"} if target == "cuda" else {}),
        "PYTHONPATH": os.pathsep.join([str(ROOT / "ep"), str(ROOT)]),
        "HIDET_WORKERS": "0",  # one small kernel per session: not worth a process
    }
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT)


def _collect(process, outcomes):
    """Adds what the process says to `outcomes`; the case it was at, cases it had finished."""
    running, started = None, 0
    watch = _watch(process)
    for line in process.stdout:
        watch.cancel()
        said = json.loads(line)
        if "start" in said:
            running, started = said["start"], started + 1
        else:
            outcomes.append(Outcome(**said))
        watch = _watch(process)
    process.wait()
    watch.cancel()
    return running, started - 1


def _watch(process):
    timer = threading.Timer(SECONDS_PER_CASE, process.kill)
    timer.start()
    return timer
