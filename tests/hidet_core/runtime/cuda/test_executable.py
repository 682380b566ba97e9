"""Plans on the emulated GPU: sizes, graphs, tensors on the device, concurrency, errors, leaks."""

import gc
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from hidet_core._runtime import CudaArray, Error, Executable
from hidet_core.ir.dtypes import f32
from hidet_core.plan import Argument, Buffer, BufferKind, Launch, TensorSpec, serialize

from .conftest import kernel, one_launch, reads

CONSTANT = np.array([2.0, 0.5], np.float32)


def load(plan, *constants, **options):
    return Executable(serialize(plan), list(constants), **options)


def inputs(rng, n, m):
    x = rng.integers(-8, 8, (n, m)).astype(np.float32)  # small integers: sums are exact
    return [x, np.zeros((n * m, 2), np.float32)]


def assert_right(executable, reference, arrays):
    for result, expected in zip(executable.run(arrays), reference(arrays[0]), strict=True):
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("use_graph", [True, False])
def test_symbolic_sizes(gpu, row_sum_cuda, row_sum_reference, rng, use_graph):
    executable = load(row_sum_cuda, CONSTANT, use_graph=use_graph)
    assert executable.device == "cuda"
    before = gpu.count("graph_launches")
    for n, m in [(3, 5), (1, 1), (9, 30), (3, 5), (2, 70), (3, 5), (7, 4), (7, 4)]:
        assert_right(executable, row_sum_reference, inputs(rng, n, m))
    # a graph from the second run with the same sizes on; the larger arena came without it
    assert gpu.count("graph_launches") - before == (2 if use_graph else 0)


def test_more_sizes_than_graphs_are_kept(gpu, row_sum_cuda, row_sum_reference, rng):
    executable = load(row_sum_cuda, CONSTANT)
    assert_right(executable, row_sum_reference, inputs(rng, 30, 30))
    for _ in range(3):
        for n in range(1, 11):
            assert_right(executable, row_sum_reference, inputs(rng, n, 2))


@pytest.mark.parametrize(("n", "m"), [(0, 5), (5, 0), (0, 0)])
def test_empty_tensors(gpu, row_sum_cuda, row_sum_reference, rng, n, m):
    executable = load(row_sum_cuda, CONSTANT)
    for _ in range(2):
        assert_right(executable, row_sum_reference, inputs(rng, n, m))
        assert_right(executable, row_sum_reference, inputs(rng, 4, 4))


def test_wrong_shapes_leave_it_usable(gpu, row_sum_cuda, row_sum_reference, rng):
    executable = load(row_sum_cuda, CONSTANT)
    with pytest.raises(ValueError, match="input 'k' axis 0: expected 6, got 7"):
        executable.run([np.zeros((2, 3), np.float32), np.zeros((7, 2), np.float32)])
    assert_right(executable, row_sum_reference, inputs(rng, 2, 3))


def test_branches_run_side_by_side(gpu, diamond, rng):
    """The emulator runs a graph's nodes in any order that the edges allow."""
    executable = load(diamond, CONSTANT)
    for n in (5, 5, 5, 8, 8, 5):
        x = rng.integers(-8, 8, n).astype(np.float32)
        y, z = executable.run([x])
        np.testing.assert_array_equal(y, 4.5 * x)
        np.testing.assert_array_equal(z, 3 * x)


def test_tensors_on_the_device_are_used_in_place(gpu, diamond, rng):
    executable = load(diamond, CONSTANT)
    x = rng.integers(-8, 8, 6).astype(np.float32)
    outs = [CudaArray(np.zeros(6, np.float32)) for _ in range(4)]
    arrays = [CudaArray(x), CudaArray(-x)]
    names = ("copies_to_device", "copies_to_host", "copies_on_device")
    before = [gpu.count(name) for name in names]
    for turn in range(5):  # other addresses each time: the graph's nodes are patched
        executable.run([arrays[turn % 2]], outputs=outs[2 * (turn % 2) :][:2])
    assert [gpu.count(name) for name in names] == before
    for turn, sign in ((0, 1), (1, -1)):
        np.testing.assert_array_equal(outs[2 * turn].numpy(), sign * 4.5 * x)
        np.testing.assert_array_equal(outs[2 * turn + 1].numpy(), sign * 3 * x)
    mixed = executable.run([CudaArray(x)])
    np.testing.assert_array_equal(mixed[0], 4.5 * x)


def test_tensors_that_are_not_aligned_are_copied(gpu, image, rng):
    executable = load(one_launch("vector", image, alignment=16))
    x = rng.standard_normal(20).astype(np.float32)
    for offset, copies in ((0, 0), (16, 0), (8, 1), (4, 1)):
        array = CudaArray(x, offset=offset)
        before = gpu.count("copies_on_device")
        np.testing.assert_array_equal(executable.run([array])[0], x[::4])
        assert gpu.count("copies_on_device") - before == copies


def test_more_shared_memory_than_without_asking(gpu, image, rng):
    executable = load(one_launch("large", image, shared_bytes=65536))
    x = rng.standard_normal(5).astype(np.float32)
    np.testing.assert_array_equal(executable.run([x])[0], 2 * x)


def zero_plan(image):
    """Two launches with zero workspaces of their own, one temporary between them."""
    temp = Buffer(BufferKind.TEMP, 0, 20)
    zeros = [replace(temp, halo_key=key) for key in ("zero 1", "zero 2")]
    plan = one_launch("ticket", image)
    return replace(
        plan,
        buffers=(*plan.buffers, temp, *zeros),
        launches=(
            Launch(0, (*reads(0), Argument(3), Argument(2)), (), 5, 1.0, "one"),
            Launch(0, (*reads(2), Argument(4), Argument(1)), (), 5, 1.0, "two"),
        ),
    )


def test_zero_workspaces(gpu, image, rng):
    executable = load(zero_plan(image))
    for _ in range(4):
        x = rng.standard_normal(5).astype(np.float32)
        np.testing.assert_array_equal(executable.run([x])[0], x)


def test_zeros_after_runs_with_other_sizes(gpu, row_sum_cuda, image, rng):
    """The places of zeros are those of other buffers for other sizes."""
    n = row_sum_cuda.symbols[0]
    plan = zero_plan(image)
    plan = replace(
        plan,
        symbols=(n,),
        inputs=(TensorSpec("x", f32, (n,)),),
        outputs=(TensorSpec("y", f32, (n,)),),
        buffers=tuple(replace(buffer, bytes=n * 4) for buffer in plan.buffers),
        launches=tuple(replace(launch, tasks=n) for launch in plan.launches),
    )
    executable = load(plan)
    for size in (300, 5, 300, 120, 5, 5, 300, 300, 120):
        x = rng.standard_normal(size).astype(np.float32)
        np.testing.assert_array_equal(executable.run([x])[0], x)


def test_four_threads_at_once(gpu, row_sum_cuda, row_sum_reference, rng):
    executable = load(row_sum_cuda, CONSTANT)
    cases = [inputs(rng, n, m) for n, m in [(3, 5), (2, 7), (6, 3), (1, 1)]]

    def many(worker):
        for turn in range(8):
            assert_right(executable, row_sum_reference, cases[(worker + turn) % 4])

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(many, range(4)))


def test_two_executables_share_a_device(gpu, row_sum_cuda, diamond, row_sum_reference, rng):
    first, second = load(row_sum_cuda, CONSTANT), load(diamond, CONSTANT)
    x = rng.integers(-8, 8, 4).astype(np.float32)
    for _ in range(3):
        assert_right(first, row_sum_reference, inputs(rng, 3, 3))
        np.testing.assert_array_equal(second.run([x])[1], 3 * x)
    del first
    gc.collect()
    np.testing.assert_array_equal(second.run([x])[1], 3 * x)


def test_the_limit_of_memory(gpu, row_sum_cuda, row_sum_reference, rng):
    executable = load(row_sum_cuda, CONSTANT, memory_limit=4096)
    assert_right(executable, row_sum_reference, inputs(rng, 3, 5))
    for _ in range(2):
        with pytest.raises(Error, match=r"out of memory: \d+ bytes asked for, .*limit of 4096"):
            executable.run(inputs(rng, 50, 50))
        assert_right(executable, row_sum_reference, inputs(rng, 3, 5))
    with pytest.raises(Error, match="out of memory: 256 bytes asked for, 0 in use"):
        load(row_sum_cuda, CONSTANT, memory_limit=100)


def test_profile_names_the_launches(gpu, diamond, rng):
    executable = load(diamond, CONSTANT)
    records = executable.profile([np.zeros(7, np.float32)])
    assert [record[0] for record in records] == ["left", "right", "join", "aside"]
    assert [record[1] for record in records] == [7] * 4
    assert all(seconds >= 0 for *_, seconds in records)


@pytest.mark.parametrize("synchronous", ["0", "1"])
def test_a_launch_that_fails(gpu, image, monkeypatch, synchronous):
    monkeypatch.setenv("HIDET_CUDA_SYNC", synchronous)
    executable = load(one_launch("beyond", image))
    x = np.zeros(5, np.float32)
    at_once = synchronous == "1" or gpu.seed == 0  # else the error comes when the run waits
    who = "run of 'beyond': " + ("launch 'run_beyond': " if at_once else "")
    text = rf"^{who}cu\w+: CUDA_ERROR_ILLEGAL_ADDRESS.*out of bounds.*kernel beyond"
    with pytest.raises(Error, match=text):
        executable.run([x])
    with pytest.raises(Error, match=r"cannot be used by this process any more.*kernel beyond"):
        executable.run([x])
    with pytest.raises(Error, match=r"ILLEGAL_ADDRESS"):
        load(one_launch("add", image))
    del executable
    gpu.reset()  # what the process cannot give back


def test_images_that_are_none(gpu, image, row_sum_cuda):
    plan = one_launch("large", image)
    with pytest.raises(Error, match="no 64-bit ELF file"):
        load(replace(plan, kernels=(replace(plan.kernels[0], image=b"x" * 100),)))
    with pytest.raises(Error, match="truncated"):
        load(replace(plan, kernels=(replace(plan.kernels[0], image=image[:-100]),)))
    with pytest.raises(Error, match=r"kernel 'unknown': .*CUDA_ERROR_NOT_FOUND"):
        load(replace(plan, kernels=(kernel("unknown", image),)))
    with pytest.raises(Error, match="cuFuncSetAttribute: CUDA_ERROR_INVALID_VALUE"):
        load(one_launch("large", image, shared_bytes=300_000))
    with pytest.raises(Error, match="constant 0: expected 8 bytes, got 4"):
        load(row_sum_cuda, CONSTANT[:1])
    with pytest.raises(Error, match="CUDA device 3: the driver has 1 devices"):
        load(plan, device_id=3)


@pytest.mark.parametrize(
    ("use_graph", "limit", "places"), [(True, None, 4), (False, None, 2), (True, 6000, 2)]
)
def test_branches_share_memory_where_they_run_in_order(gpu, image, rng, use_graph, limit, places):
    """y = 27 x and z = 27 x, each through two temporaries; not if memory is short."""
    temp = Buffer(BufferKind.TEMP, 0, 20)
    plan = one_launch("scale", image)
    steps = [(0, 4), (4, 5), (5, 1), (0, 6), (6, 7), (7, 3)]
    plan = replace(
        plan,
        outputs=(*plan.outputs, replace(plan.outputs[0], name="z")),
        buffers=(
            *plan.buffers,
            Buffer(BufferKind.CONSTANT, 0, 8),
            Buffer(BufferKind.OUTPUT, 1, 20),
            *[temp] * 4,
        ),
        launches=tuple(
            Launch(0, (*reads(source, 2), Argument(to)), (), 5, 1.0, f"to{to}")
            for source, to in steps
        ),
    )
    executable = load(plan, CONSTANT, use_graph=use_graph, memory_limit=limit)
    x = rng.standard_normal(5).astype(np.float32)
    outputs = [CudaArray(x) for _ in range(2)]
    for _ in range(3):
        executable.run([CudaArray(x)], outputs=outputs)
    for output in outputs:
        np.testing.assert_allclose(output.numpy(), 27 * x, rtol=1e-6)
    assert executable.arena_bytes == places * 256
