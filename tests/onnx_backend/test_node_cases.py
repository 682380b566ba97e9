"""ONNX's own node tests through sessions: what passes on the CPU provider passes with HidetEP."""

import os
import sys
from collections import Counter

import pytest

from hidet_core.importer.registry import HANDLERS
from tests.onnx_backend import supervisor
from tests.onnx_backend.worker import AGAIN

PROCESSES = min(2, len(os.sched_getaffinity(0)))
CLAIMED_AT_LEAST = 0.8  # of the variants of cases: those in which HidetEP takes a node
NEVER_TAKEN = {
    "Constant": "ONNX Runtime makes it an initializer",
    "ConstantOfShape": "its shape is an input of the model in all cases",
}

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


def test_hidet_takes_the_nodes(outcomes):
    taken = [o for o in outcomes if o.claimed]
    whole = sum(o.claimed == o.nodes for o in taken)
    print(f"{len(outcomes)} pass on the CPU provider, {len(taken)} with nodes in HidetEP, "
          f"{whole} wholly")  # fmt: skip
    assert len(taken) >= CLAIMED_AT_LEAST * len(outcomes) > 800


def test_every_operator_is_taken_in_some_case(outcomes):
    tested, taken = Counter(), Counter()
    for outcome in outcomes:
        tested[outcome.op] += 1
        taken[outcome.op] += outcome.claimed > 0
    never = {op for domain, op in HANDLERS if not domain and tested[op] and not taken[op]}
    assert never == set(NEVER_TAKEN)


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
