"""Large local buffers are in memory of the runtime's: hosts may run kernels on small stacks."""

import threading

import numpy as np
import pytest

from hidet_core import compile_kernel
from hidet_core._runtime import Executable
from hidet_core.codegen import workspace_bytes
from hidet_core.codegen.llvm.workspace import MAX_BYTES, STACK_BYTES
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer
from hidet_core.lang import Tensor, build, cast, local, parallel, range_
from hidet_core.pipeline import compile_graph
from hidet_core.plan import deserialize
from tests.hidet_core.compiled import Net, feeds_of

SMALL_STACK = 128 * 1024
SIZE = 100_003  # floats of a local buffer: three times the small stack


def staged(size):
    """out[i] = x[i] + i, through a local buffer; four tasks."""
    x, out = Buffer("x", f32, (4, size)), Buffer("out", f32, (4, size))
    with build("staged", [x, out]) as slot:
        for (row,) in parallel(4):
            room = local(f32, [size], "room")
            for i in range_(size):
                room[i] = Tensor(x)[row, i] + cast(i, f32)
            for i in range_(size):
                Tensor(out)[row, i] = room[size - 1 - (size - 1 - i)]
    return slot.program


def on_a_small_stack(function):
    """The function's result, computed by a thread whose stack is small."""
    found = []
    before = threading.stack_size(SMALL_STACK)
    try:
        thread = threading.Thread(target=lambda: found.append(function()))
        thread.start()
    finally:
        threading.stack_size(before)
    thread.join()
    return found[0]


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_a_kernel_with_a_large_buffer(threads, rng):
    program = staged(SIZE)
    assert workspace_bytes(program) >= 4 * SIZE > SMALL_STACK
    kernel = compile_kernel(program)
    x, out = rng.standard_normal((4, SIZE)).astype(np.float32), np.empty((4, SIZE), np.float32)
    on_a_small_stack(lambda: kernel(x, out, threads=threads))
    np.testing.assert_array_equal(out, x + np.arange(SIZE, dtype=np.float32))


def test_small_buffers_need_none():
    assert workspace_bytes(staged(STACK_BYTES // 4)) == 0
    assert workspace_bytes(staged(STACK_BYTES // 4 + 1)) > 0


def test_a_buffer_that_no_machine_has_room_for():
    with pytest.raises(Exception, match=f"at most {MAX_BYTES} are possible"):
        compile_kernel(staged(MAX_BYTES))


def test_winograd_on_a_small_stack():
    net = Net()
    x = net.x(1, 18, 18, 256)
    graph = net.done(net.conv(x, 3, 3, 256, 64, pads=(1, 1, 1, 1)))
    compiled = compile_graph(graph)
    assert max(kernel.shared_bytes for kernel in deserialize(compiled.plan).kernels) > SMALL_STACK
    executable = Executable(compiled.plan, compiled.constants)
    feeds = list(feeds_of(graph).values())
    expected = executable.run(feeds, threads=1)[0]
    found = on_a_small_stack(lambda: executable.run(feeds, threads=1)[0])
    np.testing.assert_array_equal(found, expected)
