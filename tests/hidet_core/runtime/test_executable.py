"""Plans at run time: symbolic sizes, checks of the caller's tensors, concurrency, results."""

import os
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from hidet_core._runtime import Error, Executable
from hidet_core.ir import dtypes
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Const, Var, maximum, minimum
from hidet_core.plan import (
    Argument,
    Buffer,
    BufferKind,
    KernelCode,
    Launch,
    Plan,
    SizeCheck,
    TensorSpec,
    serialize,
)


@pytest.fixture
def executable(row_sum_plan, row_sum_constant):
    return Executable(serialize(row_sum_plan), [row_sum_constant])


def inputs(rng, n, m):
    x = rng.integers(-8, 8, (n, m)).astype(np.float32)  # small integers: sums are exact
    return [x, np.zeros((n * m, 2), np.float32)]


def assert_right(executable, reference, arrays, threads=1):
    results = executable.run(arrays, threads=threads)
    for result, expected in zip(results, reference(arrays[0]), strict=True):
        assert result.dtype == expected.dtype
        np.testing.assert_array_equal(result, expected)


@pytest.mark.parametrize("threads", [1, 2])
def test_symbolic_sizes(executable, row_sum_reference, rng, threads):
    for n, m in [(3, 5), (1, 1), (64, 300), (3, 5), (2, 1000), (7, 64), (7, 64)]:
        assert_right(executable, row_sum_reference, inputs(rng, n, m), threads)


@pytest.mark.parametrize(("n", "m"), [(0, 5), (5, 0), (0, 0)])
def test_empty_tensors(executable, row_sum_reference, rng, n, m):
    assert_right(executable, row_sum_reference, inputs(rng, n, m))
    assert_right(executable, row_sum_reference, inputs(rng, 4, 4))


def test_sizes_that_have_to_be_equal(row_sum_plan, row_sum_constant, row_sum_reference, rng):
    n, m = row_sum_plan.symbols
    checks = (SizeCheck("Add_1", n, minimum(n, 16)), SizeCheck("Add_2", m, m))
    plan = serialize(replace(row_sum_plan, checks=checks))
    executable = Executable(plan, [row_sum_constant])
    for rows in (3, 16):
        assert_right(executable, row_sum_reference, inputs(rng, rows, 5))
    with pytest.raises(ValueError, match="Add_1: sizes 17 and 16 do not broadcast"):
        executable.run(inputs(rng, 17, 5), threads=1)
    assert_right(executable, row_sum_reference, inputs(rng, 4, 5))


def test_names(executable):
    assert (executable.name, executable.inputs, executable.outputs) == (
        "row_sum",
        ["x", "k"],
        ["sums", "scaled"],
    )


def test_other_memory_layouts_of_inputs(executable, row_sum_reference, rng):
    x, k = inputs(rng, 6, 8)
    assert_right(executable, row_sum_reference, [np.asfortranarray(x), k])
    assert_right(executable, row_sum_reference, [np.repeat(x, 2, axis=1)[:, ::2], k])


@pytest.mark.parametrize(
    ("shape_x", "shape_k", "message"),
    [
        ((2, 3), (7, 2), r"input 'k' axis 0: expected 6, got 7"),
        ((2, 3), (6, 3), r"input 'k' axis 1: expected 2, got 3"),
        ((2, 3, 1), (6, 2), r"input 'x': expected rank 2, got 3"),
        ((2, 3), (), r"input 'k': expected rank 2, got 0"),
    ],
)
def test_wrong_shapes(executable, row_sum_reference, rng, shape_x, shape_k, message):
    with pytest.raises(ValueError, match=message):
        executable.run([np.zeros(shape_x, np.float32), np.zeros(shape_k, np.float32)])
    assert_right(executable, row_sum_reference, inputs(rng, 2, 3))


def test_wrong_dtypes_and_counts(executable):
    x, k = np.zeros((2, 3), np.float32), np.zeros((6, 2), np.float32)
    with pytest.raises(ValueError, match="input 'x': expected element type float32, got float64"):
        executable.run([x.astype(np.float64), k])
    with pytest.raises(ValueError, match="dtype complex64 are not supported"):
        executable.run([x.astype(np.complex64), k])
    with pytest.raises(ValueError, match="'row_sum': expected 2 inputs, got 1"):
        executable.run([x])
    with pytest.raises(ValueError, match="threads: expected >= 1, got 0"):
        executable.run([x, k], threads=0)


def test_constants_must_fit(row_sum_plan, row_sum_constant):
    data = serialize(row_sum_plan)
    with pytest.raises(Error, match="plan 'row_sum' has 1 constants, got 0"):
        Executable(data, [])
    with pytest.raises(Error, match="constant 0: expected 8 bytes, got 4"):
        Executable(data, [row_sum_constant[:1]])
    Executable(data, [row_sum_constant.tobytes()])
    Executable(data, [memoryview(row_sum_constant)])


@pytest.mark.parametrize("threads", [1, 2])
def test_concurrent_runs(executable, row_sum_reference, rng, threads):
    cases = [inputs(rng, n, m) for n, m in [(3, 50), (20, 7), (64, 300), (1, 1)]]

    def many(worker):
        for turn in range(40):
            assert_right(executable, row_sum_reference, cases[(worker + turn) % 4], threads)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(many, range(8)))


def test_profile_names_the_launches(executable, rng):
    records = executable.profile(inputs(rng, 8, 4), threads=2)
    assert [record[0] for record in records] == ["scale", "sum", "again"]
    assert [record[1] for record in records] == [32, 8, 32]
    assert [record[2] for record in records] == [1, 8, 1]  # 32 ns: not worth splitting; 8 ms is
    assert executable.profile(inputs(rng, 0, 4)) == []


def copy_plan(objects, dtype):
    """y = x for [2, 3] of any dtype; the kernel also needs 8 bytes behind y and a counter."""
    bytes_ = 6 * dtype.bytes
    return Plan(
        symbols=(),
        inputs=(TensorSpec("x", dtype, (2, 3)), TensorSpec("scalar", dtype, ())),
        outputs=(TensorSpec("y", dtype, (2, 3 + 8 // dtype.bytes)), TensorSpec("n", i64, ())),
        buffers=(
            Buffer(BufferKind.INPUT, 0, bytes_),
            Buffer(BufferKind.OUTPUT, 0, bytes_ + 8),
            Buffer(BufferKind.OUTPUT, 1, 8),
        ),
        kernels=(KernelCode("libc", objects["libc"]),),
        launches=(Launch(0, (Argument(0), Argument(1), Argument(2)), (bytes_,), 1, 1.0, "copy"),),
        name="copy",
    )


@pytest.mark.parametrize("dtype", dtypes.ALL, ids=str)
def test_every_dtype(objects, dtype):
    ml_name = "bfloat16" if dtype.name == "bf16" else dtype.name.replace("f8", "float8_")
    is_ml = dtype.name == "bf16" or dtype.is_float8  # which NumPy has not
    kind = getattr(pytest.importorskip("ml_dtypes"), ml_name) if is_ml else dtype.numpy
    x = (np.arange(6).reshape(2, 3) % 2).astype(kind)
    y, n = Executable(serialize(copy_plan(objects, dtype)), []).run([x, np.zeros((), kind)])
    assert y.dtype == x.dtype and y.shape == (2, 3 + 8 // dtype.bytes)
    assert y.tobytes() == x.tobytes() + bytes([7] * 8) + y.tobytes()[x.nbytes + 8 :]
    assert (n.shape, n.item()) == ((), 1)


def run_in_child(executable, arrays):
    """The exit status of a forked process that runs with threads its pool does not have."""
    child = os.fork()
    if child == 0:
        try:
            executable.run(arrays, threads=2)
            os._exit(17)
        except BaseException:
            os._exit(1)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded")
def test_a_forked_child_runs_without_the_workers(executable, rng):
    arrays = inputs(rng, 64, 300)
    executable.run(arrays, threads=2)
    assert run_in_child(executable, arrays) == 17


def expression_plan(objects, dims):
    """Outputs whose first axes are the given expressions of n and m; nothing is computed."""
    n, m = Var("n"), Var("m")
    sizes = [dim(n, m) for dim in dims]
    outputs = tuple(TensorSpec(f"y{i}", i64, (size,)) for i, size in enumerate(sizes))
    args = tuple(Argument(i) for i in range(len(sizes)))
    return Plan(
        symbols=(n, m),
        inputs=(TensorSpec("x", f32, (n, m)),),
        outputs=outputs,
        buffers=tuple(Buffer(BufferKind.OUTPUT, i, size * 8) for i, size in enumerate(sizes)),
        kernels=(KernelCode("scale", objects["scale"]),),
        launches=(Launch(0, args, (), 0, 1.0, "nothing"),),
        name="shapes",
    )


def test_output_shapes_follow_the_expressions(objects):
    dims = [
        lambda n, m: n + m * 2,
        lambda n, m: (n - 100) // 7 + 50,
        lambda n, m: (n - 100) % 7,
        lambda n, m: minimum(n, m) + maximum(n, 5) - 3,
        lambda n, m: (-n) // 4 + n,
        lambda n, m: Const(6, i64) * m,
    ]
    run = Executable(serialize(expression_plan(objects, dims)), []).run
    for n, m in [(1, 1), (9, 4), (98, 3), (107, 200)]:
        shapes = [y.shape for y in run([np.zeros((n, m), np.float32)])]
        plain = [
            n + m * 2,
            (n - 100) // 7 + 50,
            (n - 100) % 7,
            min(n, m) + max(n, 5) - 3,
            -n // 4 + n,
            6 * m,
        ]
        assert shapes == [(size,) for size in plain]


@pytest.mark.parametrize(
    ("dim", "message"),
    [
        (lambda n, m: n // (m - 1), "a division by zero: operands 3 and 0"),
        (lambda n, m: n - 5, "tensor 'y0' axis 0: size -2 is not possible"),
        (lambda n, m: n * (1 << 62), "an overflow"),
    ],
)
def test_impossible_sizes(objects, dim, message):
    executable = Executable(serialize(expression_plan(objects, [dim])), [])
    with pytest.raises(ValueError, match=message):
        executable.run([np.zeros((3, 1), np.float32)])


def halo_plan(objects):
    """y = scale of a halo buffer with `n` floats inside and 16 zeros on either side."""
    n = Var("n")
    halo = Buffer(BufferKind.TEMP, 0, n * 4 + 128, "row")
    return Plan(
        symbols=(n,),
        inputs=(TensorSpec("x", f32, (n,)),),
        outputs=(TensorSpec("y", f32, (n + 32,)),),
        buffers=(
            Buffer(BufferKind.INPUT, 0, n * 4),
            Buffer(BufferKind.CONSTANT, 0, 4),
            halo,
            Buffer(BufferKind.OUTPUT, 0, n * 4 + 128),
        ),
        kernels=(KernelCode("scale", objects["scale"]),),
        launches=(
            Launch(0, (Argument(0), Argument(1), Argument(2, 64)), (), n, 1.0, "inside"),
            Launch(0, (Argument(2), Argument(1), Argument(3)), (), n + 32, 1.0, "all"),
        ),
        name="halo",
    )


def test_borders_are_zero_whenever_the_size_changes(objects, rng):
    executable = Executable(serialize(halo_plan(objects)), [np.array([1], np.float32)])
    for n in (100, 3, 3, 50, 100, 260, 1):
        x = rng.random(n, dtype=np.float32) + 1
        (y,) = executable.run([x])
        assert (y[:16] == 0).all() and (y[16 + n :] == 0).all()
        np.testing.assert_array_equal(y[16 : 16 + n], 4 * x)


def test_arguments_must_lie_in_their_buffers(row_sum_plan, row_sum_constant, rng):
    first = row_sum_plan.launches[0]
    args = (*first.args[:2], Argument(2, row_sum_plan.symbols[0] * -1))
    plan = replace(row_sum_plan, launches=(replace(first, args=args), *row_sum_plan.launches[1:]))
    executable = Executable(serialize(plan), [row_sum_constant])
    with pytest.raises(ValueError, match=r"launch 'scale': offset -2 is outside of buffer 2"):
        executable.run(inputs(rng, 2, 3))


def test_buffers_must_lie_in_their_tensors(row_sum_plan, row_sum_constant, rng):
    buffers = (Buffer(BufferKind.INPUT, 0, 1000), *row_sum_plan.buffers[1:])
    plan = replace(row_sum_plan, buffers=buffers)
    executable = Executable(serialize(plan), [row_sum_constant])
    with pytest.raises(Error, match="buffer of tensor 'x' has 1000 bytes, the tensor 24"):
        executable.run(inputs(rng, 2, 3))


def test_static_plans_are_checked_when_loaded(objects):
    plan = Plan(
        symbols=(),
        inputs=(),
        outputs=(TensorSpec("y", f32, (4,)),),
        buffers=(Buffer(BufferKind.OUTPUT, 0, 999),),
        kernels=(KernelCode("tables", objects["tables"]),),
        launches=(Launch(0, (Argument(0),), (), 4, 1.0, "tables"),),
        name="static",
    )
    with pytest.raises(Error, match="buffer of tensor 'y' has 999 bytes, the tensor 16"):
        Executable(serialize(plan), [])
    right = replace(plan, buffers=(Buffer(BufferKind.OUTPUT, 0, 16),))
    np.testing.assert_array_equal(Executable(serialize(right), []).run([])[0], [2, 4, 8, 16])
