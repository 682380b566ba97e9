"""The whole compiler: the structure of what it makes of graphs, the cache, repeatability."""

import numpy as np
import pytest
from hypothesis import given, settings

from hidet_core._runtime import Executable
from hidet_core.graph.reference import run_graph
from hidet_core.pipeline import compile_graph
from hidet_core.stages import CompileOptions
from tests.hidet_core.compiled import Net, compare, feeds_of
from tests.hidet_core.random_graphs import graphs

SAME = {"pads": (1, 1, 1, 1)}


def ran(graph, options=None, threads=1, **sizes):
    """The operators of each kernel, after the results were compared."""
    done = compile_graph(graph, options)
    feeds = feeds_of(graph, **sizes)
    executable = Executable(done.plan, done.constants)
    found = executable.run(list(feeds.values()), threads=threads)
    compare(dict(zip(graph.output_names, found, strict=True)), run_graph(graph, feeds), 1e-4)
    return [kernel.ops for kernel in done.report.kernels]


def residual_block(net, batch=1):
    """Pads, batch norm, a residual, and NCHW behind it."""
    x = net.relu(net.x(batch, 6, 6, 8))
    y = net.pad(x, before=(0, 1, 1, 0), after=(0, 1, 1, 0), mode="constant", value=0.0)
    y = net.relu(net.add(net.mul(net.conv(y, 3, 3, 8, 8), net.const(8)), net.const(8)))
    y = net.relu(net.add(net.add(net.conv(y, 3, 3, 8, 8, **SAME), net.const(8)), x))
    return net.transpose(y, perm=(0, 3, 1, 2))


def test_a_residual_block_is_three_kernels():
    """Batch norm is in the weights, pads are halos, the layout change is an index map."""
    net = Net()
    kernels = ran(net.done(residual_block(net)))
    assert kernels[:2] == [("relu",), ("conv2d", "add", "relu")]
    assert sorted(kernels[2]) == ["add", "add", "conv2d", "relu", "transpose"]
    assert len(kernels) == 3


def test_a_dense_block_has_no_copies():
    net = Net()
    x = net.conv(net.x(1, 6, 6, 3), 1, 1, 3, 8)
    for _ in range(2):
        channels = x.type.shape[3]
        y = net.relu(net.add(net.mul(x, net.const(channels)), net.const(channels)))
        y = net.relu(net.conv(y, 1, 1, channels, 8))
        x = net.concat(x, net.conv(y, 3, 3, 8, 4, **SAME), axis=3)
    kernels = ran(net.done(net.relu(net.reduce(x, op="mean", axes=(1, 2), keepdims=False))))
    names = {op for kernel in kernels for op in kernel}
    assert not names & {"concat", "pad", "identity"}
    assert [kernel for kernel in kernels if "conv2d" not in kernel] == [("reduce", "relu")]


def test_attention_has_no_layout_kernels():
    """Projections are one product, of which the attention reads its parts; scores stay inside."""
    net = Net()
    x = net.x(2, "s", 8)
    s = x.type.shape[1]

    def heads(value, perm):
        value = net.add(net.matmul(value, net.const(8, 8)), net.const(8))
        return net.transpose(net.reshape(value, shape=(2, s, 2, 4)), perm=perm)

    q, k, v = (heads(x, perm) for perm in ((0, 2, 1, 3), (0, 2, 3, 1), (0, 2, 1, 3)))
    scores = net.softmax(net.mul(net.matmul(q, k), net.constant(np.float32(0.5))))
    y = net.transpose(net.matmul(scores, v), perm=(0, 2, 1, 3))
    y = net.add(net.matmul(net.reshape(y, shape=(2, s, 8)), net.const(8, 8)), x)
    graph = net.done(net.layer_norm(y, eps=1e-5))
    kernels = ran(graph, s=5)
    assert ran(graph, s=17) == kernels and len(kernels) == 4
    assert all({"matmul", "attention", "layer_norm"} & set(kernel) for kernel in kernels)


def test_gelu_of_erf_is_in_its_matmul():
    net = Net()
    x = net.add(net.matmul(net.x(5, 8), net.const(8, 16)), net.const(16))
    half, root, one = (net.constant(np.float32(n)) for n in (0.5, 2**0.5, 1.0))
    y = net.mul(net.mul(x, net.add(net.erf(net.div(x, root)), one)), half)
    assert len(ran(net.done(y))) == 1


@pytest.mark.parametrize("batch", [1, 3])
def test_several_threads_give_the_same(batch):
    net = Net()
    ran(net.done(residual_block(net, "n")), threads=4, n=batch)


def test_outputs_that_are_inputs_constants_or_equal():
    net = Net()
    x, c = net.x(3, 4), net.const(2, 2)
    y = net.relu(x)
    ran(net.done(x, c, y, y, x))


def test_kernels_come_from_the_cache(cache_dir):
    net = Net()
    graph = net.done(residual_block(net))
    first = compile_graph(graph, CompileOptions(cache_dir=str(cache_dir)))
    files = {path: path.stat().st_mtime_ns for path in cache_dir.rglob("*") if path.is_file()}
    again = compile_graph(graph, CompileOptions(cache_dir=str(cache_dir)))
    assert again.plan == first.plan and files
    assert {p for p in cache_dir.rglob("*") if p.is_file()} == set(files)


def test_the_same_graph_gives_the_same_plan():
    """Nothing depends on ids, hashes or the time."""
    plans = set()
    for _ in range(2):
        net = Net()
        plans.add(compile_graph(net.done(residual_block(net)), CompileOptions(cache=False)).plan)
    assert len(plans) == 1


def test_a_graph_of_no_operators():
    net = Net()
    assert ran(net.done(net.x(3, 4))) == [("identity",)]


@settings(deadline=None, max_examples=6, derandomize=True)
@given(graphs(most=10))
def test_random_graphs(graph):
    ran(graph)
