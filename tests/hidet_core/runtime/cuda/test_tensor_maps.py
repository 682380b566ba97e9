"""Tensor maps among the arguments of launches: boxes at the edges of tensors of any size, addresses
that change under a graph, and what no tensor map can be.
"""

from dataclasses import replace

import numpy as np
import pytest

from hidet_core._runtime import CudaArray, Error, Executable
from hidet_core.base.errors import ProgramError
from hidet_core.codegen import emit_cuda, interpret, launch_of
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer as IrBuffer
from hidet_core.ir.expr import Var
from hidet_core.ir.tensor_map import tensor_map
from hidet_core.ir.verify import verify
from hidet_core.lang import (
    Tensor,
    barrier,
    build,
    ceildiv,
    eq,
    mbarrier_expect,
    mbarrier_fence,
    mbarrier_init,
    mbarrier_wait,
    parallel,
    range_,
    shared,
    tensor_load,
    threads,
    u64,
    when,
)
from hidet_core.lower import CUDA_LOWERING
from hidet_core.plan import (
    Argument,
    Buffer,
    BufferKind,
    KernelCode,
    Launch,
    Plan,
    TensorMap,
    TensorSpec,
    serialize,
)
from tests.emulator.cuda import compiled

ROWS, COLS, THREADS = 4, 16, 32  # of a box; of a block
WIDTH = 36  # of the tensors: the third box of a row reaches beyond it


def edges(width=WIDTH, waits=True):
    """y = x + 1, and where x has no row, in whole boxes, 1."""
    n = Var("n")
    x = IrBuffer("x", f32, (n, width), None, "global", 16)
    y = IrBuffer("y", f32, (ceildiv(n, ROWS) * ROWS, width))
    boxes = tensor_map(x, (n, width), (width, 1), (ROWS, COLS))
    with build("edges", [boxes, y], [n]) as slot:
        for (block,) in parallel(ceildiv(n, ROWS)):
            for thread in threads(THREADS):
                tile, full = shared(f32, [ROWS, COLS]), shared(u64, [1], "full")
                with when(thread < 1):
                    mbarrier_init(full[0], 1)
                    mbarrier_fence()
                barrier()
                for step in range_(ceildiv(width, COLS), "step"):
                    load_box(boxes, (block * ROWS, step * COLS), tile, full, thread)
                    mbarrier_wait(full[0], step % 2) if waits else None
                    store_box(tile, Tensor(y), (block * ROWS, step * COLS), thread)
                    barrier()
    verify(slot.program, "scheduled")
    return slot.program


def load_box(boxes, first, tile, full, thread):
    with when(eq(thread, 0)):
        mbarrier_expect(full[0], tile.dtype.bytes * ROWS * COLS)
        tensor_load(tile[0, 0], boxes, first, full[0])


def store_box(tile, y, first, thread):
    for item in range_(ROWS * COLS // THREADS):
        at = item * THREADS + thread
        row, col = at // COLS, at % COLS
        with when(first[1] + col < y.shape[1]):
            y[first[0] + row, first[1] + col] = tile[row, col] + 1.0


def lowered(program):
    for lower in CUDA_LOWERING:
        program = lower(program)
    verify(program, "flat")
    return program


def image_of(program):
    program = lowered(program)
    launch = launch_of(program)
    return KernelCode("edges", compiled(emit_cuda(program)), launch.threads, launch.shared_bytes)


@pytest.fixture(scope="module")
def code():
    return image_of(edges())


def plan_of(code, width=WIDTH, stride=4 * WIDTH):
    """y = x + 2, by way of a temporary tensor of whole boxes."""
    n = Var("n")
    rows = ceildiv(n, ROWS) * ROWS

    def maps(size):
        return TensorMap(f32, (width, size), (4, stride), (COLS, ROWS))

    def launch(source, size, target, name):
        args = (Argument(source, stored=False, map=maps(size)), Argument(target))
        return Launch(0, args, (size,), ceildiv(size, ROWS), 1.0, name)

    return Plan(
        symbols=(n,),
        inputs=(TensorSpec("x", f32, (n, width)),),
        outputs=(TensorSpec("y", f32, (rows, width)),),
        buffers=(
            Buffer(BufferKind.INPUT, 0, n * 4 * width, alignment=16),
            Buffer(BufferKind.TEMP, 0, rows * 4 * width, alignment=16),
            Buffer(BufferKind.OUTPUT, 0, rows * 4 * width),
        ),
        kernels=(code,),
        launches=(launch(0, n, 1, "first"), launch(1, rows, 2, "second")),
        name="maps",
        device="cuda",
    )


def expected(x):
    missing = -len(x) % ROWS
    return np.concatenate([x, np.zeros((missing, WIDTH), np.float32)]) + 2


def test_sizes_and_addresses(gpu, code, rng):
    """A graph, from the second run of a size on, gets the maps of the tensors of each run."""
    executable = Executable(serialize(plan_of(code)), [])
    before = gpu.count("graph_launches")
    for n in (7, 7, 7, 1, 9, 0, 7, 9):
        x = rng.random((n, WIDTH), np.float32)
        given = CudaArray(x)
        np.testing.assert_array_equal(executable.run([given])[0], expected(x))
    assert gpu.count("graph_launches") - before >= 3


def test_tensors_that_are_not_aligned(gpu, code, rng):
    executable = Executable(serialize(plan_of(code)), [])
    x = rng.random((5, WIDTH), np.float32)
    for offset in (4, 16, 8):
        given = CudaArray(x, offset=offset)
        np.testing.assert_array_equal(executable.run([given])[0], expected(x))


def with_map(plan, **changes):
    first, second = plan.launches
    argument = replace(first.args[0], map=replace(first.args[0].map, **changes))
    return replace(plan, launches=(replace(first, args=(argument, first.args[1])), second))


@pytest.mark.parametrize("gpu", [0], indirect=True)  # nothing runs
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"strides": (4, 4 * WIDTH - 4)}, "a stride of 140 bytes in dimension 1, expected multipl"),
        ({"strides": (8, 4 * WIDTH)}, "a stride of 8 bytes in dimension 0"),
        ({"sizes": (WIDTH, 1 << 31)}, "has size 2147483648.*at most 2147482624 elements"),
        ({"sizes": (WIDTH, 500)}, "reaches byte 71996 of buffer 0, which has 720"),
        ({"box": (300, 2)}, "launch 'first': cuTensorMapEncodeTiled: CUDA_ERROR_INVALID_VALUE"),
        ({"box": (3, 4)}, "rows of the box have 12 bytes"),
        ({"swizzle": 48}, "a tensor map has element type 1 and a swizzle of 48 bytes"),
        ({"sizes": (9,) * 6, "strides": (4,) * 6, "box": (1,) * 6}, "a tensor map of rank 6"),
    ],
)
def test_what_no_map_can_be(gpu, code, changes, message):
    plan = with_map(plan_of(code), **changes)
    with pytest.raises((Error, ValueError), match=message):
        Executable(serialize(plan), []).run([np.zeros((5, WIDTH), np.float32)])


def test_a_missing_wait_is_found(gpu):
    plan = plan_of(image_of(edges(waits=False)))
    with pytest.raises(Error, match=r"(unwaited|uninitialised).*kernel edges, block"):
        Executable(serialize(plan), []).run([np.zeros((5, WIDTH), np.float32)])
    gpu.reset()


@pytest.mark.parametrize("n", [4, 5])
def test_in_the_interpreter(n, rng):
    x = rng.integers(-9, 9, (n, WIDTH)).astype(np.float32)
    y = np.zeros((-(-n // ROWS) * ROWS, WIDTH), np.float32)
    interpret(lowered(edges()), [x, y], [n])
    np.testing.assert_array_equal(y, expected(x) - 1)
    with pytest.raises(ProgramError, match="to which a copy is on its way"):
        interpret(lowered(edges(waits=False)), [x, y], [n])
