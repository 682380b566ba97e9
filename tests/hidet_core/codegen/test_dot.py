"""dot4 and the sum it is added to, on the rows of CPUs that this machine can run."""

from dataclasses import replace

import numpy as np
import pytest

from hidet_core.build import assembly
from hidet_core.codegen import emit
from hidet_core.codegen.numpy_ops import dot4 as reference
from hidet_core.ir.dtypes import i32
from hidet_core.ir.expr import Buffer, Var, binary
from hidet_core.ir.stmt import Store
from hidet_core.target import AVX2, AVX512, AVX512_VNNI, host
from hidet_core.target.cpu import Cpu
from tests.hidet_core.codegen.programs import compiled, load, program, ramp

RUN = {"by shifts": None, "avx2": AVX2, "avx512": AVX512, "vnni": AVX512_VNNI, "host": host()}
AVX_VNNI = replace(AVX2, features="+avxvnni", has_vnni=True)
WORDS = 64


def words(rng):
    """Random bytes, and all pairs of extreme ones."""
    pool = np.array([0, 1, 127, 128, 255], np.uint8)
    pair = [rng.integers(0, 256, WORDS * 4).astype(np.uint8) for _ in range(2)]
    for array in pair:
        array[: WORDS * 2] = rng.choice(pool, WORDS * 2)
    pair[0][:4], pair[1][:4] = 255, 128  # as little as a sum can be
    return [array.view(np.int32) for array in pair]


def make(lanes):
    a, b, total, out = (Buffer(name, i32, (WORDS,)) for name in ("a", "b", "total", "out"))
    task = Var("task")
    at = ramp(task * lanes, lanes) if lanes > 1 else task
    value = load(total, at) + binary("dot4", load(a, at), load(b, at))
    return program([a, b, total, out], Store(out, (at,), value), task=task)


def runs(cpu: Cpu | None):
    """Whether this machine has what the row says."""
    here = host()
    wide = cpu is None or cpu.vector_bytes <= here.vector_bytes
    return wide and (cpu is None or not cpu.has_vnni or here.has_vnni)


@pytest.mark.parametrize("lanes", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("name", RUN)
def test_values(name, lanes):
    cpu = RUN[name]
    if not runs(cpu):
        pytest.skip(f"this machine is not {name}")
    a, b = words(np.random.default_rng(lanes))
    total = np.arange(WORDS, dtype=np.int32) + np.int32(2**31 - 40)
    out = np.zeros(WORDS, np.int32)
    compiled(make(lanes), cpu, named=cpu)([a, b, total, out], end=WORDS // lanes)
    np.testing.assert_array_equal(out, total + reference(a, b))
    left = a.view(np.uint8).astype(np.int64).reshape(-1, 4)
    right = b.view(np.int8).astype(np.int64).reshape(-1, 4)
    np.testing.assert_array_equal(reference(a, b), (left * right).sum(1))


@pytest.mark.parametrize(("cpu", "lanes", "instruction"), [
    (AVX512_VNNI, 16, "vpdpbusd"), (AVX_VNNI, 8, "vpdpbusd"), (AVX512, 16, "vpmaddwd"),
    (AVX2, 8, "vpmaddwd"),
])  # fmt: skip
def test_instructions(cpu, lanes, instruction):
    text = assembly(emit(make(lanes), cpu=cpu), cpu)
    assert instruction in text
    assert "pmaddubsw" not in text, "it saturates"
