"""ONNX's own node tests through sessions: what passes on the CPU provider passes with HidetEP."""

import os
import sys
from collections import Counter

import pytest

from hidet_core.importer.registry import HANDLERS
from tests.onnx_backend import supervisor
from tests.onnx_backend.worker import AGAIN

PROCESSES = min(2, len(os.sched_getaffinity(0)))
TAKEN_AT_LEAST = 0.97  # of the cases: those in which HidetEP takes a node, as it is or frozen

pytestmark = pytest.mark.onnx_backend


@pytest.fixture(scope="module")
def outcomes():
    """Those that pass on the CPU provider."""
    return [o for o in supervisor.run_all(PROCESSES) if not o.cpu]


def test_what_passes_on_the_cpu_provider_passes_with_hidet(outcomes):
    wrong = [f"{o.case}: {o.hidet}" for o in outcomes if o.hidet]
    assert not wrong, "\n".join(wrong)


def test_every_group_that_is_wanted_compiles(outcomes):
    failed = [f"{o.case}: {text}" for o in outcomes for text in o.failed]
    assert not failed, "\n".join(failed)


def share_taken(outcomes):
    """(number of cases, share of those in which HidetEP takes a node, names of the others)."""
    taken, whole = Counter(), Counter()
    for outcome in outcomes:
        name = outcome.case.partition(":")[0]
        taken[name] |= outcome.claimed > 0
        whole[name] |= outcome.claimed == outcome.nodes > 0
    left = sorted(name for name in taken if not taken[name])
    print(f"{len(taken)} cases pass on the CPU provider, {len(taken) - len(left)} with nodes in "
          f"HidetEP, {sum(whole.values())} wholly; not: {' '.join(left)}")  # fmt: skip
    return len(taken), 1 - len(left) / max(len(taken), 1), left


def test_hidet_takes_the_nodes(outcomes):
    count, share, left = share_taken(outcomes)
    assert count > 1440 and share >= TAKEN_AT_LEAST, left


def never_taken(outcomes):
    """The operators whose cases are all left to ONNX Runtime."""
    tested, taken = Counter(), Counter()
    for outcome in outcomes:
        tested[outcome.op] += 1
        taken[outcome.op] += outcome.claimed > 0
    return {op for domain, op in HANDLERS if not domain and tested[op] and not taken[op]}


def test_every_operator_is_taken_in_some_case(outcomes):
    assert not never_taken(outcomes)


STUB = """
import json, os, sys
part, parts, skip = map(int, sys.argv[1:4])
for name in ["a", "b", "c", "d"][skip:]:
    print(json.dumps({"start": name}), flush=True)
    if name == "b":
        os.abort()
    print(json.dumps({"case": name, "op": "Add", "cpu": ""}), flush=True)
    if name == "c":
        sys.exit(AGAIN)
""".replace("AGAIN", str(AGAIN))


def test_a_process_that_dies_costs_one_case():
    outcomes = supervisor.run_all(1, (sys.executable, "-c", STUB))
    assert [(o.case, o.hidet) for o in outcomes] == [
        ("a", ""),
        ("b", "the process ended: -6"),
        ("c", ""),
        ("d", ""),
    ]
