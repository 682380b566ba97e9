"""Rows appended to a cache, against NumPy."""

import numpy as np
import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.compute.types import TensorType
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ops import OPS
from tests.hidet_core.compiled import Net, compare, compiled, feeds_of
from tests.hidet_core.cuda_check import H200
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated

SIZES = [(2, 4, 1, (4, 2)), (1, 0, 3, (0,)), (2, 5, 2, (1, 3)), (2, 1, 7, (1, 0))]


def appended(past, new, start):
    rows = max(past.shape[2], int((start + new.shape[2]).max()))
    result = np.zeros((*past.shape[:2], rows, past.shape[3]), np.float32)
    result[:, :, : past.shape[2]] = past
    for b, first in enumerate(start):
        result[b, :, first : first + new.shape[2]] = new[b]
    return result


def graph_of(size="t"):
    net = Net()
    past, new = net.x("b", 2, "p", 3), net.x("b", 2, "s", 3)
    start = net.x("b", dtype=i64)
    return net.done(net.append_rows(past, new, start, size=net.dim(size)), net.relu(net.x(size)))


@pytest.mark.parametrize(("batch", "past", "new", "start"), SIZES)
def test_rows(batch, past, new, start):
    """Also of an empty past; compiled, interpreted, and on the emulated GPU."""
    graph, total = graph_of(), max(past, max(start) + new)
    sizes = {"b": batch, "p": past, "s": new, "t": total}
    feeds = feeds_of(graph, **sizes) | {"x2": np.array(start, np.int64)}
    wanted = {"y0": appended(*(feeds[f"x{k}"] for k in range(3)))}
    compare(run_graph(graph, feeds), wanted)
    result = compiled(graph)
    compare(result.run(feeds), wanted)
    compare(result.interpret(feeds, **sizes), wanted)
    if HAS_COMPILER:
        compare(compiled(graph, target=H200).interpret(feeds, run_emulated, **sizes), wanted)


@pytest.mark.parametrize("new", [(2, 3, 1, 4), (2, 2, 1, 3, 1), (1, 2, 1, 3)])
def test_what_does_not_fit_is_refused(new):
    types = (TensorType(f32, (2, 2, 5, 3)), TensorType(f32, new), TensorType(i64, (new[0],)))
    with pytest.raises(Unsupported):
        OPS["append_rows"].infer(types, {"size": 6})
