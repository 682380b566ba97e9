"""Scatters on the CPU."""

import pytest

from hidet_core.ir.dtypes import i64
from tests.hidet_core.compiled import Net, check, compiled, feeds_of
from tests.hidet_core.schedule.scatter_cases import STATIC, SYMBOLIC


@pytest.mark.parametrize("name", STATIC)
def test_static_sizes(name):
    check(STATIC[name], interpreted=True)


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_sizes(name):
    graph, sizes = SYMBOLIC[name]
    check(graph, *sizes, interpreted=True)


@pytest.mark.parametrize("op", ["gather", "scatter_nd", "top_k"])
def test_nothing_is_picked_from_an_axis_without_elements(op):
    """A symbol stands for 1 or more while kernels are written, so the run is refused."""
    net = Net()
    x = net.x("n", 3)
    if op == "top_k":
        graph = net.done(net.top_k(x, k=1, axis=0, largest=True))
    elif op == "gather":
        graph = net.done(net.gather(x, net.x("k", dtype=i64), axis=0))
    else:
        graph = net.done(net.scatter_nd(x, net.x("k", 1, dtype=i64), net.x("k", 3), op="add"))
    executable = compiled(graph).executable()

    def run(n, k):
        feeds = feeds_of(graph, n=n, k=k)
        return executable.run(list(feeds.values()), threads=1)

    assert len(run(2, 1)) == 1
    if op != "top_k":
        assert run(0, 0)[0].size == 0
    with pytest.raises(Exception, match=f"{op}: sizes"):
        run(0, 1)
