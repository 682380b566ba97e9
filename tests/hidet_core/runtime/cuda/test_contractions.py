"""Compiled graphs of contractions on the emulated GPU: packed weights, workspaces that kernels
leave as they found them, borders of zeros; run several times, so that a graph is replayed.
"""

import functools
import re

import numpy as np
import pytest

from hidet_core._runtime import Executable
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f16, f32
from hidet_core.ir.halves import as_dtype
from hidet_core.pipeline import compile_graph
from hidet_core.stages import CompileOptions
from tests.hidet_core.compiled import CONV, Net, compare, feeds_of


def _network(dtype):
    """A residual block, a depthwise convolution, a deep one on few pixels, and a head."""
    net = Net()

    def weights(*shape):
        """Of a size that keeps that of activations, and so the errors of 16-bit floats."""
        scale = np.sqrt(np.prod(shape[:-1]))
        return net.constant(as_dtype(net.rng.standard_normal(shape) / scale, dtype), "w")

    def conv(x, *shape, **attrs):
        return net.emit("conv2d", x, weights(*shape), **(CONV | attrs))

    x = net.tanh(net.x(1, 9, 9, 24, dtype=dtype))
    y = net.tanh(conv(x, 1, 1, 24, 16))
    y = net.tanh(conv(y, 3, 3, 16, 16, pads=(1, 1, 1, 1)))
    x = net.tanh(net.add(x, conv(y, 1, 1, 16, 24)))
    y = conv(x, 3, 3, 1, 24, groups=24, pads=(1, 1, 1, 1), strides=(2, 2))
    y = net.tanh(conv(net.tanh(y), 3, 3, 24, 320, pads=(1, 1, 1, 1)))
    y = net.tanh(conv(y, 3, 3, 320, 40, pads=(1, 1, 1, 1)))
    y = net.reduce(y, op="mean", axes=(1, 2), keepdims=False)
    return net.done(net.matmul(y, weights(40, 10)))


@functools.cache
def _compiled(dtype):
    graph = _network(dtype)
    return graph, compile_graph(graph, CompileOptions(target="cuda", cache=False, allow_tf32=False))


@pytest.mark.parametrize("dtype", [f32, f16], ids=str)
def test_a_network(gpu, dtype):
    graph, done = _compiled(dtype)
    configs = " ".join(kernel.config for kernel in done.report.kernels)
    assert any(int(splits) > 1 for splits in re.findall(r"splits=(\d+)", configs)), configs
    executable = Executable(done.plan, done.constants)
    for seed in range(4):
        feeds = feeds_of(graph, seed)
        expected = run_graph(graph, feeds)
        found = executable.run(list(feeds.values()))
        compare(dict(zip(graph.output_names, found, strict=True)), expected, 1e-4)
