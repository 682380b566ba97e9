"""Compiled kernels that start before the kernels before them have ended, and mistakes in it, which
the emulated driver finds.
"""

import functools

import numpy as np
import pytest

from hidet_core import pipeline
from hidet_core._runtime import Error, Executable
from hidet_core.graph.reference import run_graph
from hidet_core.ir.expr import binary, wrap
from hidet_core.ir.intrinsics import GRID_WAIT
from hidet_core.ir.node import rebuild, rewrite
from hidet_core.ir.stmt import Call, For, If
from hidet_core.lower import wait_for_grid
from hidet_core.plan import deserialize
from hidet_core.stages import CompileOptions
from tests.hidet_core.compiled import Net, compare, feeds_of


def network():
    """A kernel reads what the one before it wrote, the last one also what the first one did."""
    net = Net()
    first = net.softmax(net.x(4, 33))
    second = net.matmul(first, net.const(33, 33))
    return net.done(net.softmax(net.add(second, first)))


@functools.cache
def compiled(wait=wait_for_grid):
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pipeline, "wait_for_grid", wait)
        return pipeline.compile_graph(network(), CompileOptions(target="cuda", cache=False))


@pytest.mark.parametrize("use_graph", [True, False], ids=["graph", "stream"])
def test_kernels_that_start_early(gpu, use_graph):
    graph, done = network(), compiled()
    assert all(kernel.dependent for kernel in deserialize(done.plan).kernels)
    executable = Executable(done.plan, done.constants, use_graph=use_graph)
    for seed in range(3):
        feeds = feeds_of(graph, seed)
        found = executable.run(list(feeds.values()))
        expected = run_graph(graph, feeds)
        compare(dict(zip(graph.output_names, found, strict=True)), expected, 1e-4)


def test_the_knob(gpu, monkeypatch):
    monkeypatch.setenv("HIDET_EARLY_LAUNCH", "0")
    done = pipeline.compile_graph(network(), CompileOptions(target="cuda"))
    assert len(done.report.kernels) == 3
    assert not any(kernel.dependent for kernel in deserialize(done.plan).kernels)


def guarded(holds):
    """Each thread waits only where holds(thread, task)."""

    def guard(program, constants):
        threads = []

        def rule(node):
            if isinstance(node, Call) and node.name == GRID_WAIT:
                return If(holds(threads[0], program.task), node)
            return None

        def find(node):
            if isinstance(node, For) and node.kind == "threads":
                threads.append(node.var)

        rewrite(program, find)
        program = wait_for_grid(program, constants)
        return rebuild(program, {"body": rewrite(program.body, rule)})

    return guard


def after_the_first_load(program, constants):
    return wait_for_grid(program, {*constants, program.params[0]})


MISTAKES = {
    "no wait": (guarded(lambda thread, task: wrap(False)), r"griddepcontrol\.wait"),
    "a wait of one thread": (guarded(lambda thread, task: binary("eq", thread, 0)), "race"),
    "a wait of one block": (guarded(lambda thread, task: binary("eq", task, 0)), "race"),
    "a load before the wait": (after_the_first_load, "race: read not ordered after a write"),
}


@pytest.mark.parametrize("mistake", MISTAKES)
def test_mistakes(gpu, mistake):
    mutant, message = MISTAKES[mistake]
    done = compiled(mutant)
    executable = Executable(done.plan, done.constants)
    with pytest.raises(Error, match=message):
        executable.run([np.ones((4, 33), np.float32)])
    del executable
    gpu.reset()
