"""Sessions and runs give their memory back. Measured in fresh processes, as resident memory."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
MEASURE = """
import gc
import numpy as np
import hidet_ep
from tests.ep.real.sessions import classifier, floats, open_session, settings
from tests.ep.models import model, node, value

rng = np.random.default_rng(0)


def resident_mb():
    gc.collect()
    pages = int(open("/proc/self/statm").read().split()[1])
    return pages * 4096 / 1e6


def growth(work, warm, rounds):
    for _ in range(warm):
        work()
    before = resident_mb()
    for _ in range(rounds):
        work()
    print(resident_mb() - before)
"""
CREATION = """
weights = floats(rng, 1000, 1000)  # 4 MB, copied by the plan and packed
nodes = [node("MatMul", ["x", "w"], ["t"]), node("Relu", ["t"], ["y"])]
made = model(nodes, [value("x", ("N", 1000))], [value("y", ("N", 1000))], {"w": weights})
x = floats(rng, 2, 1000)


def work():
    open_session(made, None, settings(threads=1)).run(None, {"x": x})


growth(work, 6, 25)
"""
RUNS = """
session = open_session(classifier(rng), None, settings(threads=2))
inputs = [floats(rng, 1 + k, 3, 8, 8) for k in range(16)]


def work():
    for x in inputs:
        session.run(None, {"x": x})


growth(work, 20, 300)
"""
ERRORS = """
nodes = [node("Add", ["x", "w"], ["t"]), node("Exp", ["t"], ["y"])]
shapes = [value(name, ("N", 4096)) for name in "xw"]
session = open_session(model(nodes, shapes, [value("y", ("N", 4096))]), None, settings(threads=1))
x, w = floats(rng, 64, 4096), floats(rng, 32, 4096)


def work():
    try:
        session.run(None, {"x": x, "w": w})
    except Exception:
        return
    raise AssertionError("the sizes differ")


growth(work, 20, 300)
"""
REFUSED = """
made = classifier(rng)


def work():
    try:
        open_session(made, {"target": "tpu"})
    except Exception:
        return
    raise AssertionError("there is no such target")


growth(work, 10, 60)
"""


@pytest.mark.parametrize(
    ("script", "allowed_mb"),
    [(CREATION, 15), (RUNS, 3), (ERRORS, 3), (REFUSED, 5)],
    ids=["creation", "runs", "errors", "refused"],
)
def test_memory_does_not_grow(script, allowed_mb):
    """25 sessions of 8 MB would be 200 MB; 4800 runs that kept 1 KB each would be 5 MB."""
    done = subprocess.run(
        [sys.executable, "-W", "ignore", "-c", MEASURE + script],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join([str(ROOT / "ep"), str(ROOT)]),
            "MALLOC_ARENA_MAX": "2",
        },
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
    )
    assert done.returncode == 0, done.stderr
    assert float(done.stdout) <= allowed_mb
