"""Kernels that start early: where they wait, and that NVIDIA's compiler keeps loads behind it."""

import numpy as np
import pytest

from hidet_core.build.nvrtc import compile_measured
from hidet_core.codegen import emit_cuda, interpret, launch_of
from hidet_core.ir.dtypes import f16, f32
from hidet_core.ir.expr import Buffer
from hidet_core.ir.intrinsics import GRID_WAIT
from hidet_core.ir.node import walk
from hidet_core.ir.printer import text
from hidet_core.ir.stmt import Call, Let, Seq
from hidet_core.ir.verify import verify
from hidet_core.lang import Tensor, barrier, build, let, parallel, shared, threads
from hidet_core.lower import wait_for_grid
from hidet_core.target import CUDAS
from tests.hidet_core.compiled import Net, compiled, lowered
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.sass import order_of

H200 = CUDAS["sm_90a"]
X, W, Y = (Buffer(name, f32, (4, 32)) for name in "xwy")


def scaled():
    with build("kernel", [X, W, Y], ()) as slot:
        for (i,) in parallel(4):
            for thread in threads(32):
                weight = let("weight", Tensor(W)[i, thread])
                room = shared(f32, [32], "room")
                room[thread] = weight
                barrier()
                value = let("value", Tensor(X)[i, thread] * room[31 - thread])
                Tensor(Y)[i, thread] = value
    return slot.program


def lines(program):
    return [line.strip() for line in text(program).splitlines()]


def test_constants_are_read_before():
    program = wait_for_grid(scaled(), {W})
    verify(program, "scheduled")
    shown = lines(program)
    wait = shown.index("grid_wait()")
    assert shown[wait + 1] == "grid_launch_dependents()"
    assert shown[wait - 1] == "barrier()" and shown[wait + 2].startswith("value = x[")
    assert launch_of(program).dependent and not launch_of(scaled()).dependent


def test_what_is_no_constant_is_not():
    shown = lines(wait_for_grid(scaled(), ()))
    assert shown[shown.index("grid_wait()") + 2].startswith("weight = w[")


def test_a_block_waits_before_it_reads_for_its_threads():
    with build("kernel", [X, Y], ()) as slot:
        for (i,) in parallel(4):
            first = let("first", Tensor(X)[i, 0])
            for thread in threads(32):
                Tensor(Y)[i, thread] = first
    program = wait_for_grid(slot.program, ())
    verify(program, "scheduled")
    shown = lines(program)
    assert shown.index("grid_wait()") < next(k for k, s in enumerate(shown) if "threads" in s)
    x, y = np.arange(128, dtype=np.float32), np.zeros(128, np.float32)
    interpret(lowered(program, H200), [x, y])
    np.testing.assert_array_equal(y, np.repeat(np.arange(4) * 32, 32))


def test_it_waits_around_what_only_some_threads_do():
    """Each thread comes to the wait, once."""
    net = Net()
    program = compiled(net.done(net.softmax(net.x(4, 33))), target=H200).kernels[0].program
    assert sum(isinstance(n, Call) and n.name == GRID_WAIT for n in walk(program)) == 1
    node = program.body
    while not (isinstance(node, Seq) and any(isinstance(s, Call) for s in node.stmts)):
        assert isinstance(node, (Let, Seq)) or node.kind == "threads"
        node = node.stmts[-1] if isinstance(node, Seq) else node.body


# what NVIDIA's compiler makes of it


def kernels(graph, target=H200):
    for kernel in compiled(graph, target=target).kernels:
        yield lowered(kernel.program, target)


def networks():
    net = Net()
    x = net.add(net.relu(net.x("n", 40)), net.x("n", 40))
    yield "elementwise", net.done(net.mul(x, net.const(40)))
    net = Net()
    yield "softmax", net.done(net.softmax(net.add(net.x(7, 300), net.x(7, 300))))
    net = Net()
    yield "layer norm", net.done(net.layer_norm(net.add(net.x(3, 5, 70), net.x(5, 70)), eps=1e-5))
    net = Net()
    yield "simt", net.done(net.add(net.matmul(net.x(130, 40), net.x(40, 60)), net.x(130, 60)))
    net = Net()
    a, b = net.x(70, 64, dtype=f16), net.x(64, 72, dtype=f16)
    yield "tensor core", net.done(net.add(net.matmul(a, b), net.x(70, 72, dtype=f16)))
    net = Net()
    yield (
        "one row",
        net.done(net.relu(net.matmul(net.x(1, 200, dtype=f16), net.x(200, 64, dtype=f16)))),
    )


@needs_nvrtc
@pytest.mark.parametrize("arch", ["sm_90a", "sm_100a"])
def test_no_access_comes_before_the_wait(arch):
    for name, graph in networks():
        for program in kernels(graph):
            image, _ = compile_measured(emit_cuda(program), arch)
            order = order_of(image)
            assert order[0] == "wait" and order.count("launch") == 1, (name, order)
            assert "store" in order and {"load", "copy"} & set(order), (name, order)


@needs_nvrtc
@pytest.mark.parametrize(("rows", "action"), [(70, "copy"), (1, "prefetch")])
def test_weights_come_before_the_wait(rows, action):
    net = Net()
    product = net.matmul(net.x(rows, 256, dtype=f16), net.const(256, 72, dtype=np.float16))
    (program,) = kernels(net.done(product))
    image, _ = compile_measured(emit_cuda(program), "sm_90a")
    order = order_of(image)
    assert {*order[: order.index("wait")]} == {action}
    assert {"copy", "load"} & {*order[order.index("launch") :]}
