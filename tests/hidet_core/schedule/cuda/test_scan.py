"""Scans and sorts on the emulated device."""

import pytest

from tests.hidet_core.cuda_check import check_cuda
from tests.hidet_core.schedule.scan_cases import SCANS, SORTS, SYMBOLIC_SCANS, SYMBOLIC_SORTS


@pytest.mark.parametrize(
    ("name", "tile"), [("rows", 64), ("both ways", 256), ("columns", 1), ("fused", 64)]
)
def test_scans(name, tile):
    def pick(found):
        return next(candidate for candidate in found if candidate.config.tile == tile)

    assert len(check_cuda(SCANS[name], pick=pick).kernels) == 1


def test_scans_of_symbolic_sizes():
    graph, sizes = SYMBOLIC_SCANS["rows"]
    check_cuda(graph, *sizes)


@pytest.mark.parametrize("name", ["few", "most"])
def test_sorts(name):
    check_cuda(SORTS[name])


def test_sorts_of_symbolic_sizes():
    graph, sizes = SYMBOLIC_SORTS["few"]
    check_cuda(graph, *sizes)
