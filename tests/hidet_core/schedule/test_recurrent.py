"""Recurrent layers on the CPU."""

import pytest

from tests.hidet_core.compiled import check
from tests.hidet_core.schedule.recurrent_cases import STATIC, SYMBOLIC


@pytest.mark.parametrize("name", STATIC)
def test_static_sizes(name):
    assert len(check(STATIC[name]).kernels) == 1


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_sizes(name):
    graph, sizes = SYMBOLIC[name]
    check(graph, *sizes)
