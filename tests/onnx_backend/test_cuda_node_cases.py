"""ONNX's own node tests through sessions on the emulated GPU, as test_node_cases.py on the CPU.

A slice of the cases is run, always the same one: the hash of its name puts a case there. All of
them, half an hour on two cores, and what is asked only of all of them:

    pytest tests/onnx_backend/test_cuda_node_cases.py --all-cuda-node-cases
"""

from collections import Counter

import pytest

from hidet_core.emulator import compiler
from hidet_core.importer.registry import HANDLERS
from tests.onnx_backend import supervisor
from tests.onnx_backend.test_node_cases import CLAIMED_AT_LEAST, NEVER_TAKEN, PROCESSES

SLICES = 48

pytestmark = [
    pytest.mark.onnx_backend,
    pytest.mark.skipif(compiler() is None, reason="no C++ compiler"),
]


@pytest.fixture(scope="module")
def is_whole(request):
    return request.config.getoption("--all-cuda-node-cases")


@pytest.fixture(scope="module")
def outcomes(is_whole):
    """Those that pass on the CPU provider."""
    processes, slices = (PROCESSES, 1) if is_whole else (1, SLICES)
    return [o for o in supervisor.run_all(processes, target="cuda", slices=slices) if not o.cpu]


def test_what_passes_on_the_cpu_provider_passes_on_the_gpu(outcomes):
    wrong = [f"{o.case}: {o.hidet}" for o in outcomes if o.hidet]
    assert not wrong, "\n".join(wrong)


def test_every_group_that_is_wanted_compiles(outcomes):
    failed = [f"{o.case}: {text}" for o in outcomes for text in o.failed]
    assert not failed, "\n".join(failed)


def test_nodes_are_taken(outcomes, is_whole):
    taken = [o for o in outcomes if o.claimed]
    whole = sum(o.claimed == o.nodes for o in taken)
    print(f"{len(outcomes)} pass on the CPU provider, {len(taken)} with nodes on the GPU, "
          f"{whole} wholly")  # fmt: skip
    assert len(taken) >= CLAIMED_AT_LEAST * len(outcomes) > (800 if is_whole else 20)


def test_every_operator_is_taken_in_some_case(outcomes, is_whole):
    if not is_whole:
        pytest.skip("of all cases only")
    tested, taken = Counter(), Counter()
    for outcome in outcomes:
        tested[outcome.op] += 1
        taken[outcome.op] += outcome.claimed > 0
    never = {op for domain, op in HANDLERS if not domain and tested[op] and not taken[op]}
    assert never == set(NEVER_TAKEN)
