"""A compiled graph of products that are copied by TMA on the emulated GPU: its tensor maps follow
the tensors of each run, also in a CUDA graph.
"""

import numpy as np
import pytest

from hidet_core._runtime import CudaArray, Executable
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f16
from hidet_core.pipeline import compile_graph
from hidet_core.schedule import choose
from hidet_core.schedule.cuda.specialised import Specialised
from hidet_core.stages import CompileOptions
from tests.hidet_core.compiled import Net, compare, feeds_of


@pytest.fixture(scope="module")
def graph():
    """Two products, the second of a temporary tensor, for any number of rows."""
    net = Net()
    y = net.x("m", 72, dtype=f16)
    for width in (104, 40):
        scale = np.float16(y.type.shape[1] ** -0.5)
        weights = net.rng.standard_normal((y.type.shape[1], width)).astype(np.float16) * scale
        y = net.tanh(net.add(net.matmul(y, net.constant(weights, "w")), net.x(width, dtype=f16)))
    return net.done(y)


@pytest.fixture(scope="module")
def done(graph):
    """Compiled without the other templates of contractions."""
    with pytest.MonkeyPatch.context() as patch:
        others = [t for t in choose.TEMPLATES["cuda"] if "matmul" not in t.ops]
        patch.setenv("HIDET_CUDA_DRIVER", "emulated")
        patch.setitem(choose.TEMPLATES, "cuda", (Specialised(), *others))
        return compile_graph(graph, CompileOptions(target="cuda", cache=False))


def test_addresses_change(gpu, graph, done):
    assert all("stages=" in kernel.config for kernel in done.report.kernels)
    executable = Executable(done.plan, done.constants)
    before = gpu.count("graph_launches")
    for seed, rows in enumerate((70, 70, 70, 43, 43, 70)):
        feeds = feeds_of(graph, seed, m=rows)
        given = [CudaArray(feed) for feed in feeds.values()]
        found = executable.run(given)
        compare(dict(zip(graph.output_names, found, strict=True)), run_graph(graph, feeds))
        del given
    assert gpu.count("graph_launches") - before == 4
