"""Runs of positions of a cache replaced, on both targets."""

import numpy as np
import pytest

from hidet_core.ir.dtypes import i64
from tests.hidet_core.compiled import Net, check
from tests.hidet_core.cuda_check import check_cuda


def graph(circular):
    net = Net()
    cache, update = net.x(3, 2, 9, 5), net.x(3, 2, "k", 5)
    starts = net.constant(np.array([0, 7, 4]))
    given = net.write_cache(cache, update, starts, axis=2, circular=circular)
    return net.done(given, net.write_cache(cache, update, axis=2, circular=circular))


@pytest.mark.parametrize("circular", [False, True])
def test_writes(circular):
    made = graph(circular)
    check(made, {"k": 2}, {"k": 5}, {"k": 0}, interpreted=True)
    if circular:
        check_cuda(made, {"k": 5}, {"k": 0})


def test_starts_of_another_batch_are_refused():
    net = Net()
    with pytest.raises(Exception, match="expected a start per batch"):
        net.write_cache(net.x(3, 9, 5), net.x(3, 2, 5), net.x(2, dtype=i64), axis=1, circular=True)
