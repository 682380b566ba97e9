"""Scatters on the emulated device, with one and with many threads a line."""

import pytest

from tests.hidet_core.cuda_check import check_cuda
from tests.hidet_core.schedule.scatter_cases import STATIC, SYMBOLIC


def few(found):
    return min(found, key=lambda candidate: candidate.config.parts)


def many(found):
    return max(found, key=lambda candidate: candidate.config.parts)


@pytest.mark.parametrize("pick", [few, many])
@pytest.mark.parametrize("name", ["rows", "fewer lines", "pairs"])
def test_static_sizes(name, pick):
    check_cuda(STATIC[name], pick=pick)


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_sizes(name):
    graph, sizes = SYMBOLIC[name]
    check_cuda(graph, *sizes)
