"""Scans and sorts on the CPU."""

import pytest

from tests.hidet_core.compiled import check
from tests.hidet_core.schedule.scan_cases import SCANS, SORTS, SYMBOLIC_SCANS, SYMBOLIC_SORTS

STATIC = {**SCANS, **{f"top {name}": graph for name, graph in SORTS.items()}}
SYMBOLIC = {**SYMBOLIC_SCANS, **{f"top {name}": case for name, case in SYMBOLIC_SORTS.items()}}


@pytest.mark.parametrize("name", STATIC)
def test_static_sizes(name):
    result = check(STATIC[name], interpreted="top" not in name)
    assert len(result.kernels) == 1


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_sizes(name):
    graph, sizes = SYMBOLIC[name]
    check(graph, *sizes)
