"""Threads and processes at once: one session, one cache, death in the middle, fork."""

import contextlib
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest

from hidet_ep import handover
from tests.ep import models
from tests.ep.models import model, node, value
from tests.ep.real.sessions import check, floats, open_session, reference, settings

ROOT = Path(__file__).parents[3]
KERNELS = 6  # of the network below with four convolutions, at least
CHILD = """
import sys
import numpy as np
import hidet_ep
from tests.ep.real.sessions import check, floats, settings
from tests.ep.real.test_concurrency import network
made = network(np.random.default_rng(0), convolutions=4)
print("ready", flush=True)
sys.stdin.readline()
feeds = {"x": np.ones((2, 3, 12, 12), np.float32)}
checked = check(made, feeds, {"cache_dir": sys.argv[1]}, settings(threads=1))
assert checked.claimed == checked.nodes, checked
print("right", flush=True)
"""


def start(folder, **more):
    """A process that waits for a line, then makes a session with that cache folder."""
    environment = {
        **os.environ,
        "PYTHONPATH": os.pathsep.join([str(ROOT / "ep"), str(ROOT)]),
        "HIDET_VERIFY": "0",
        **more,
    }
    process = subprocess.Popen(
        [sys.executable, "-X", "faulthandler", "-c", CHILD, str(folder)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=environment,
        cwd=ROOT,
    )
    assert process.stdout.readline() == "ready\n", process.communicate()[1]
    return process


def go(process):
    process.stdin.write("go\n")
    process.stdin.flush()


def finish(process):
    out, err = process.communicate(timeout=300)
    assert (process.returncode, out) == (0, "right\n"), err


def entries(folder):
    return list((folder / "kernels").glob("*.kernel"))


def asides(folder):
    return list((folder / "kernels").glob(".aside-*"))


def marked(mark):
    """Processes that have the mark in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):  # it has just ended, or is not ours
            if mark.encode() in (folder / "environ").read_bytes():
                found.append(folder.name)
    return found


def wait_until(condition, seconds):
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True


def in_threads(count, work):
    """Runs work(k) in that many threads at once; an exception in one is raised here."""
    errors, barrier = [], threading.Barrier(count)

    def run(k):
        barrier.wait()
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=run, args=(k,)) for k in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def network(rng, convolutions=1):
    """Convolutions, a pooling and a product, with a symbolic batch: temporaries of every kind."""
    nodes, constants, last, channels = [], {}, "x", 3
    for k in range(convolutions):
        constants[f"w{k}"] = floats(rng, 16 + k, channels, 3, 3) * np.float32(0.2)
        nodes.append(node("Conv", [last, f"w{k}"], [f"c{k}"], pads=[1, 1, 1, 1]))
        nodes.append(node("Relu", [f"c{k}"], [f"r{k}"]))
        last, channels = f"r{k}", 16 + k
    nodes += [
        node("GlobalAveragePool", [last], ["p"]),
        node("Flatten", ["p"], ["f"]),
        node("MatMul", ["f", "v"], ["m"]),
        node("Softmax", ["m"], ["y"]),
    ]
    constants["v"] = floats(rng, channels, 10)
    return model(nodes, [value("x", ("N", 3, 12, 12))], [value("y", ("N", 10))], constants)


@pytest.mark.parametrize("threads", [1, 2])
def test_eight_threads_run_one_session(rng, threads):
    made = network(rng)
    session = open_session(made, None, settings(threads=threads))
    inputs = [floats(rng, 1 + k, 3, 12, 12) for k in range(8)]
    wants = [session.run(None, {"x": x})[0] for x in inputs]
    for x, want in zip(inputs, wants, strict=True):
        np.testing.assert_allclose(want, reference(made, {"x": x})[0], rtol=1e-4, atol=1e-6)

    def work(k):
        for _ in range(50):
            np.testing.assert_array_equal(session.run(None, {"x": inputs[k]})[0], wants[k])

    in_threads(8, work)


def test_sessions_made_by_threads_at_once(rng, cache_dir, monkeypatch):
    monkeypatch.setenv("HIDET_WORKERS", "1")
    made, x = network(rng), floats(rng, 2, 3, 12, 12)
    (want,) = reference(made, {"x": x})

    def work(k):
        session = open_session(made, None, settings(threads=1))
        np.testing.assert_allclose(session.run(None, {"x": x})[0], want, rtol=1e-4, atol=1e-6)

    in_threads(4, work)


def test_runs_while_others_make_sessions(rng, cache_dir):
    made, x = network(rng), floats(rng, 2, 3, 12, 12)
    session = open_session(made)
    (want,) = session.run(None, {"x": x})

    def work(k):
        for _ in range(3 if k else 100):
            one = open_session(made, {"cache": "off"}, settings(threads=1)) if k else session
            np.testing.assert_allclose(one.run(None, {"x": x})[0], want, rtol=1e-5, atol=1e-7)

    in_threads(3, work)


def test_four_processes_fill_one_cache(tmp_path):
    folder = tmp_path / "cache"
    processes = [start(folder) for _ in range(4)]
    for process in processes:
        go(process)
    for process in processes:
        finish(process)
    assert len(entries(folder)) >= KERNELS and not asides(folder)


def test_killed_while_compiling(tmp_path):
    """What it had finished stays usable, nothing half done is ever read."""
    folder = tmp_path / "cache"
    process = start(folder, HIDET_WORKERS="1", HIDET_TEST_MARK=str(tmp_path))
    go(process)
    assert wait_until(lambda: len(entries(folder)) >= 3, seconds=60)
    assert len(marked(str(tmp_path))) == 2, "the process and its compiler"
    process.send_signal(signal.SIGKILL)
    assert process.communicate()[0] == "", "it was killed before the session was there"
    assert wait_until(lambda: not marked(str(tmp_path)), seconds=20), "its compiler outlives it"
    kept = {file: file.stat().st_mtime_ns for file in entries(folder)}
    survivor = start(folder)
    go(survivor)
    finish(survivor)
    assert kept.items() <= {file: file.stat().st_mtime_ns for file in entries(folder)}.items()
    assert len(entries(folder)) >= KERNELS


FORK = """
import os, sys
import numpy as np
import hidet_ep
from tests.ep.real.sessions import floats, open_session, settings
from tests.ep.real.test_concurrency import network
rng = np.random.default_rng(0)
made, x = network(rng), floats(rng, 2, 3, 12, 12)
if sys.argv[1] == "session":
    open_session(made, None, settings(threads=1)).run(None, {"x": x})
child = os.fork()
session = open_session(made, None, settings(threads=1))
out = session.run(None, {"x": x})[0]
np.testing.assert_allclose(out.sum(axis=1), 1, rtol=1e-5)
if child == 0:
    os._exit(0)
assert os.waitpid(child, 0)[1] == 0, "the child failed"
"""


@pytest.mark.parametrize("before", ["import", "session"])
def test_fork(before, tmp_path):
    """After the import, or after a session; ONNX Runtime's own threads do not survive a fork."""
    done = subprocess.run(
        [sys.executable, "-X", "faulthandler", "-W", "ignore", "-c", FORK, before],
        env={**os.environ, "PYTHONPATH": os.pathsep.join([str(ROOT / "ep"), str(ROOT)])},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr


def test_keyboard_interrupt_while_compiling(rng, monkeypatch):
    """It is not swallowed, and the next session is complete."""
    real, calls = handover.partition_graph, []

    def interrupted(*args):
        calls.append(args)
        if len(calls) == 1:
            raise KeyboardInterrupt
        return real(*args)

    monkeypatch.setattr(handover, "partition_graph", interrupted)
    # a test run in the background starts with SIGINT ignored
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    with pytest.raises(KeyboardInterrupt):
        open_session(models.relu_chain())
        time.sleep(1)  # the interrupt arrives at the next bytecode at the latest
    signal.signal(signal.SIGINT, before)
    checked = check(models.relu_chain(), {"x": floats(rng, 2, 8)})
    assert checked.claimed == 3
