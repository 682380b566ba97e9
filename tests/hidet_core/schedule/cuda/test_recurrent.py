"""Recurrent layers on the emulated device: threads with one and several units, rows to spare."""

import pytest

from tests.hidet_core.cuda_check import check_cuda
from tests.hidet_core.schedule.recurrent_cases import STATIC, SYMBOLIC


@pytest.mark.parametrize(
    ("name", "threads", "rows"),
    [
        ("lstm of all", 32, 4),
        ("gru", 32, 2),
        ("gru reset after", 32, 4),
        ("rnn", 32, 1),
        ("rnn of two cells", 32, 2),
    ],
)
def test_static_sizes(name, threads, rows):
    def pick(found):
        shapes = [(candidate.config.threads, candidate.config.rows) for candidate in found]
        return found[shapes.index((threads, rows))]

    assert len(check_cuda(STATIC[name], pick=pick, interpreted=rows == 2).kernels) == 1


def test_symbolic_sizes():
    graph, sizes = SYMBOLIC["lstm"]
    check_cuda(graph, *sizes, interpreted=False)
