"""ONNX's own node tests through sessions on the emulated GPU, as test_node_cases.py on the CPU.

A slice of the cases is run, always the same one: the hash of its name puts a case there. All of
them, half an hour on two cores, and what is asked only of all of them:

    pytest tests/onnx_backend/test_cuda_node_cases.py --all-cuda-node-cases
"""

import pytest

from hidet_core.emulator import compiler
from tests.onnx_backend import supervisor
from tests.onnx_backend.test_node_cases import (
    PROCESSES,
    TAKEN_AT_LEAST,
    never_taken,
    share_taken,
)

SLICES = 48
TAKEN_OF_SLICE = 0.9  # a few dozen cases

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
    count, share, left = share_taken(outcomes)
    enough, least = (1440, TAKEN_AT_LEAST) if is_whole else (20, TAKEN_OF_SLICE)
    assert count > enough and share >= least, left


def test_every_operator_is_taken_in_some_case(outcomes, is_whole):
    if not is_whole:
        pytest.skip("of all cases only")
    assert not never_taken(outcomes)
