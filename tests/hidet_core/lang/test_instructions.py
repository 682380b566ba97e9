"""The instructions of GPUs in the language: what each computes, in the interpreter, on the emulated
device and under NVRTC; and the mistakes that are found in programs that use them.
"""

import numpy as np
import pytest

from hidet_core.base.errors import ProgramError
from hidet_core.codegen import interpret
from hidet_core.ir.verify import verify
from hidet_core.lang import (
    barrier,
    bf16,
    cast,
    copy_async,
    copy_commit,
    copy_wait,
    f16,
    f32,
    i8,
    i32,
    load_matrix,
    maximum,
    mma,
    parallel,
    program,
    range_,
    register,
    round_tf32,
    shared,
    shuffle_down,
    shuffle_xor,
    threads,
    u32,
    warp_reduce,
    when,
)
from hidet_core.lower import CUDA_LOWERING
from tests.hidet_core.cuda_build import ARCHES, needs_nvrtc, usage_of
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated

SEEDS = (0, 1, 2)


def lowered(prog):
    verify(prog, "scheduled")
    for lower in CUDA_LOWERING:
        prog = lower(prog)
    verify(prog, "flat")
    return prog


def run(prog, *arrays):
    """The arrays after the interpreter, the same as after the emulated device."""
    low = lowered(prog)
    results = [array.copy() for array in arrays]
    interpret(low, results)
    for seed in SEEDS if HAS_COMPILER else ():
        again = [array.copy() for array in arrays]
        run_emulated(low, again, seed=seed)
        for one, other in zip(results, again, strict=True):
            np.testing.assert_allclose(one.astype(float), other.astype(float), rtol=1e-6)
    return results


# one warp multiplies 16 x words with words x 8: c = a * b


def product(name, dtype, kind, word, sums=f32, columns=False):
    """columns: b is given as [k][n], and loaded transposed."""
    per_word = 4 // dtype.dtype.bytes
    depth = 8 * per_word
    per_row = 16 // dtype.dtype.bytes

    def write(a, b, c):
        for _ in parallel(1):
            for thread in threads(32):
                left = shared(dtype, [16, depth], "left")
                right = shared(dtype, list(b.shape), "right")
                rows, width = int(b.shape[0]), int(b.shape[1]) // per_row
                for half in range(2):
                    row = thread // 2
                    at = (thread % 2 * 2 + half) % (depth // per_row) * per_row
                    with when(thread % 2 * 2 + half < depth // per_row):
                        copy_async(left[row, at], a[row, at], per_row)
                with when(thread < rows * width):
                    row, at = thread // width % rows, thread % width * per_row
                    copy_async(right[row, at], b[row, at], per_row)
                copy_commit()
                copy_wait(0)
                barrier()
                x, y = register(word, [4], "x"), register(word, [2], "y")
                total = register(sums, [4], "total")
                for i in range(4):
                    total[i] = 0
                load_matrix(x[0], left[thread % 16, thread // 16 * per_row], 4)
                if columns:
                    load_matrix(y[0], right[thread % 16, 0], 2, transposed=True)
                else:
                    load_matrix(y[0], right[thread % 8, thread // 8 % 2 * per_row], 2)
                if kind == "tf32":
                    round_tf32(x[0], 4)
                    round_tf32(y[0], 2)
                mma(kind, total[0], x[0], y[0])
                for i in range(4):
                    c[thread // 4 + i // 2 * 8, thread % 4 * 2 + i % 2] = total[i]

    write.__name__ = name
    shape = (depth, 8) if columns else (8, depth)
    write.__annotations__ = {"a": dtype[16, depth], "b": dtype[shape], "c": sums[16, 8]}
    return program(write)


PRODUCTS = [
    product("of_f16", f16, "f16", u32),
    product("of_f16_columns", f16, "f16", u32, columns=True),
    product("of_bf16", bf16, "bf16", u32),
    product("of_bf16_columns", bf16, "bf16", u32, columns=True),
    product("of_tf32", f32, "tf32", f32),
    product("of_i8", i8, "i8", u32, i32),
]


def _random(buffer, rng):
    if buffer.dtype.name == "i8":
        return rng.integers(-128, 128, buffer.shape).astype(np.int8)
    values = rng.standard_normal(buffer.shape).astype(np.float32)
    if buffer.dtype.name == "bf16":
        return (values.view(np.uint32) >> 16).astype(np.uint16)
    return values.astype(buffer.dtype.numpy)


def _exact(array):
    if array.dtype == np.uint16:
        array = (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float64)


@pytest.mark.parametrize("prog", PRODUCTS, ids=lambda prog: prog.name)
def test_products(prog, rng):
    a, b = (_random(buffer, rng) for buffer in prog.params[:2])
    out = np.zeros((16, 8), prog.params[2].dtype.numpy)
    c = run(prog, a, b, out)[2]
    right = _exact(b) if "columns" in prog.name else _exact(b).T
    limit = 4e-3 if "tf32" in prog.name else 1e-5
    np.testing.assert_allclose(c, _exact(a) @ right, rtol=limit, atol=limit)


@program
def piped(x: f32[4, 6, 64], y: f32[4, 64], z: f32[4, 64]):
    """Sums of rows that come through a ring of three stages; in z without every other row."""
    for (block,) in parallel(4):
        for thread in threads(16):
            ring = shared(f32, [3, 64], "ring")
            total = register(f32, [4], "total")
            for i in range(4):
                total[i] = 0.0
            for step in range(2):
                copy_async(ring[step, thread * 4], x[block, step, thread * 4], 4, step % 2 < 1)
                copy_commit()
            for step in range_(6, "step"):
                copy_wait(1)
                barrier()
                ahead = step + 2
                row = (ahead % 3, (thread * 4 + 4) % 64)
                copy_async(ring[row], x[block, ahead, row[1]], 4, (ahead < 6) & (ahead % 2 < 1))
                copy_commit()
                for i in range(4):
                    total[i] += ring[step % 3, thread * 4 + i]
            for i in range(4):
                y[block, thread * 4 + i] = total[i]
                z[block, thread * 4 + i] = total[i]


def test_a_ring_of_copies_and_zeros(rng):
    x = rng.standard_normal((4, 6, 64)).astype(np.float32)
    y = run(piped, x, np.zeros((4, 64), np.float32), np.zeros((4, 64), np.float32))[1]
    np.testing.assert_allclose(y, x[:, ::2].sum(1), rtol=1e-5, atol=1e-5)


@program
def narrow(x: f16[8], y: f16[8]):
    """Copies of 4 and 8 bytes."""
    for _ in parallel(1):
        for thread in threads(32):
            tile = shared(f16, [8], "tile")
            with when(thread < 2):
                copy_async(tile[thread * 2], x[thread * 2], 2)
            with when(thread < 1):
                copy_async(tile[4], x[4], 4)
            copy_commit()
            copy_wait(0)
            barrier()
            with when(thread < 8):
                y[thread] = tile[7 - thread]


def test_narrow_copies(rng):
    x = rng.standard_normal(8).astype(np.float16)
    low = lowered(narrow)
    for seed in SEEDS if HAS_COMPILER else ():
        y = np.zeros(8, np.float16)
        run_emulated(low, [x, y], (), seed)
        np.testing.assert_array_equal(y, x[::-1])
    y = np.zeros(8, np.float16)
    interpret(low, [x, y])
    np.testing.assert_array_equal(y, x[::-1])


@program
def shuffles(x: f32[64], y: f32[4, 64], n: i32[64], m: i32[64]):
    for _ in parallel(1):
        for thread in threads(64):
            y[0, thread] = shuffle_xor(x[thread], 5)
            y[1, thread] = shuffle_down(x[thread], 3)
            y[2, thread] = warp_reduce("add", x[thread])
            with when(thread // 32 < 1):
                y[3, thread] = warp_reduce("max", x[thread])
            m[thread] = shuffle_xor(n[thread], 16)


def test_shuffles(rng):
    x, n = rng.standard_normal(64).astype(np.float32), np.arange(64, dtype=np.int32)
    _, y, _, m = run(shuffles, x, np.zeros((4, 64), np.float32), n, np.zeros_like(n))
    lanes = np.arange(64)
    np.testing.assert_array_equal(y[0], x[lanes ^ 5])
    down = np.where(lanes % 32 + 3 < 32, lanes + 3, lanes)
    np.testing.assert_array_equal(y[1], x[np.minimum(down, 63)])
    warps = x.reshape(2, 32)
    np.testing.assert_allclose(y[2].reshape(2, 32), warps.sum(1)[:, None].repeat(32, 1), rtol=1e-5)
    np.testing.assert_array_equal(y[3, :32], np.full(32, warps[0].max()))
    np.testing.assert_array_equal(m, n ^ 16)


def test_tf32_is_rounded_to_nearest():
    @program
    def rounded(x: f32[32], y: f32[32]):
        for _ in parallel(1):
            for thread in threads(32):
                value = register(f32, [1], "value")
                value[0] = x[thread]
                round_tf32(value[0])
                y[thread] = value[0]

    bits = np.uint32(0x3F800000) + np.arange(32, dtype=np.uint32) * np.uint32(0x400)
    x = bits.view(np.float32).copy()
    x[:3] = np.inf, -np.inf, 0
    y = run(rounded, x, np.zeros(32, np.float32))[1]
    assert np.all(y.view(np.uint32) % 0x2000 == 0)
    np.testing.assert_array_equal(y[:3], x[:3])
    assert np.abs(y[3:] - x[3:]).max() <= 2.0**-11
    assert y[4] == np.float32(1 + 2.0**-10)  # a tie goes away from zero


@needs_nvrtc
@pytest.mark.parametrize("prog", [*PRODUCTS, piped, narrow, shuffles], ids=lambda p: p.name)
def test_every_architecture_takes_them(prog):
    for arch in ARCHES:
        used = usage_of(lowered(prog), arch)
        assert used.spill_bytes == 0 and used.stack_bytes == 0


# mistakes


def _wrong(fn, *arrays):
    with pytest.raises(ProgramError) as error:
        prog = program(fn)
        interpret(lowered(prog), [array.copy() for array in arrays])
    return str(error.value)


X, Y = np.ones(64, np.float32), np.zeros(64, np.float32)


def test_a_copy_that_nobody_waited_for():
    def early(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            for thread in threads(16):
                tile = shared(f32, [64], "tile")
                copy_async(tile[thread * 4], x[thread * 4], 4)
                copy_commit()
                copy_wait(1)
                y[thread] = tile[thread * 4]

    assert "a load of tile at 0, to which a copy is on its way" in _wrong(early, X, Y)


def test_a_copy_that_was_not_committed():
    def open_group(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            for thread in threads(16):
                tile = shared(f32, [64], "tile")
                copy_async(tile[thread * 4], x[thread * 4], 4)
                copy_wait(0)
                y[thread] = tile[thread * 4]

    assert "to which a copy is on its way" in _wrong(open_group, X, Y)


def test_a_copy_seen_without_a_barrier():
    def alone(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            for thread in threads(16):
                tile = shared(f32, [64], "tile")
                copy_async(tile[thread * 4], x[thread * 4], 4)
                copy_commit()
                copy_wait(0)
                y[thread] = tile[(thread * 4 + 4) % 64]

    assert "with no barrier between" in _wrong(alone, X, Y)


def test_a_copy_into_what_others_read():
    def early(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            for thread in threads(16):
                tile = shared(f32, [64], "tile")
                for i in range(4):
                    tile[thread * 4 + i] = 1.0
                barrier()
                y[thread] = tile[(thread * 4 + 4) % 64]
                copy_async(tile[thread * 4], x[thread * 4], 4)

    assert "with no barrier between" in _wrong(early, X, Y)


def test_a_divergent_collective():
    def some(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            for thread in threads(64):
                with when(thread < 40):
                    y[thread] = shuffle_xor(x[thread], 1)

    assert "some lanes of a warp may not reach this shuffle_xor" in _wrong(some, X, Y)


@pytest.mark.parametrize(
    ("write", "why"),
    [
        (lambda x, tile: copy_async(tile[0], x[0], 3), "a copy of 12 bytes"),
        (lambda x, tile: copy_async(x[0], tile[0], 4), "x is global, expected shared"),
        (lambda x, tile: copy_async(tile[0], 1.0, 4), "expected an element of a buffer"),
        (lambda x, tile: mma("f8", x[0], x[0], x[0]), "kind is one of f16"),
        (lambda x, tile: mma("f16", x[0], x[0], x[0]), "x is global, expected register"),
        (lambda x, tile: load_matrix(register(u32, [3])[0], tile[0], 3), "1, 2 or 4 matrices"),
        (lambda x, tile: load_matrix(register(u32, [4])[0], tile[0], 4, True), "16-bit"),
        (lambda x, tile: copy_wait(-1), "groups"),
        (lambda x, tile: shuffle_xor(x[0], 32), "lanes are 0 to 31"),
        (lambda x, tile: shuffle_xor(cast(x[0], "f64"), 1), "got f64"),
    ],
)
def test_wrong_operands(write, why):
    def bad(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            for _ in threads(32):
                write(x, shared(f32, [64], "tile"))

    message = _wrong(bad, X, Y)
    assert why in message and "test_instructions.py" in message


def test_outside_of_threads():
    def bad(x: f32[64], y: f32[64]):
        for _ in parallel(1):
            copy_commit()
            y[0] = maximum(x[0], 0.0)

    assert "copy_commit() stands outside of a threads(...) loop" in _wrong(bad, X, Y)
