"""Cases are the same in every process, valid by construction, and of every kind."""

import hashlib
import os
import subprocess
import sys
from pathlib import Path

import pytest

from hidet_core.importer.registry import HANDLERS
from hidet_ep.fuzz.case import Settings, generate
from hidet_ep.fuzz.draft import Dim
from hidet_ep.fuzz.judge import check
from hidet_ep.fuzz.ops import ROWS
from hidet_ep.fuzz.twin import plain_session

ROOT = Path(__file__).parents[3]
SEEDS = range(40)
DIGEST = "from tests.ep.fuzz.test_case import digest; print(digest())"


def digest(seeds=SEEDS):
    """Of the models and inputs of some seeds."""
    found = hashlib.sha256()
    for seed in seeds:
        case = generate(seed, Settings())
        found.update(case.model.SerializeToString(deterministic=True))
        for feeds in case.feeds:
            for name, array in feeds.items():
                found.update(name.encode() + array.tobytes())
    return found.hexdigest()


def test_another_process_draws_the_same():
    path = os.pathsep.join([str(ROOT / "ep"), str(ROOT)])
    environment = {**os.environ, "PYTHONPATH": path, "PYTHONHASHSEED": "12345"}
    command = [sys.executable, "-c", DIGEST]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, cwd=ROOT)
    assert done.stdout.strip() == digest(), done.stderr


def test_the_cpu_provider_runs_them():
    """All but bf16, for which it has no kernels."""
    kinds, refused = set(), []
    for seed in SEEDS:
        case = generate(seed, Settings())
        kinds |= {case.dtype, f"{len(case.feeds)} runs"}
        if case.dtype == "bf16":
            continue
        check(case.model)
        try:
            session = plain_session(case.model)
            for feeds in case.feeds:
                session.run(None, feeds)
        except Exception as error:
            refused.append((seed, str(error)))
    assert kinds == {"f32", "f16", "bf16", "f64", "1 runs", "3 runs"}
    assert not refused


@pytest.mark.parametrize("op", sorted(ROWS))
def test_every_generator_makes_nodes(op):
    settings = Settings(ops=(op,))
    expected = {op} if op[0].isupper() else set()
    for seed in range(60):
        case = generate(seed, settings)
        if expected <= set(case.op_types) and len(case.model.graph.node) > 0:
            return
    pytest.fail(f"no node {op} in 60 cases")


def test_nearly_all_operators_that_we_import_have_a_generator():
    imported = {op for _, op in HANDLERS}
    missing = sorted(imported - set(ROWS))
    assert len(missing) < 0.2 * len(imported), missing


def test_dims_of_several_runs():
    n = Dim((3, 1, 7))
    assert n.fixed is None and Dim((2, 2, 2)).fixed == 2
    assert n.times(2).plus(n) == Dim((9, 3, 21))
    assert n.over(2) == Dim((1, 0, 3))
