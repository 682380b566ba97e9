"""Plans as bytes: nothing is lost, equal parts are stored once, damage is found."""

import random
import struct
import zlib
from dataclasses import replace

import pytest

from hidet_core._runtime import Error, Executable
from hidet_core.base.errors import CompilerBug
from hidet_core.ir.dtypes import f16
from hidet_core.ir.expr import Var
from hidet_core.plan import Argument, Buffer, BufferKind, TensorMap, deserialize, serialize
from hidet_core.plan.bytecode import encode_dim

HEADER = 24


def code(dim, plan):
    return encode_dim(dim, {var: i for i, var in enumerate(plan.symbols)})


def resealed(payload):
    return struct.pack("<8sIIQ", b"HIDETPLN", 4, zlib.crc32(payload), len(payload)) + payload


def for_cuda(plan):
    """The same plan for a GPU, with everything that only such plans have."""
    first, last = plan.kernels
    n = plan.symbols[0]
    boxes = TensorMap(f16, (3, n * 8, 5), (2, 16, n * 128), (64, 8, 1), 128)
    launch, *others = plan.launches
    launch = replace(launch, args=(replace(launch.args[0], map=boxes), *launch.args[1:]))
    plan = replace(plan, launches=(launch, *others))
    kernels = (replace(first, threads=128), replace(last, threads=32, shared_bytes=50_000))
    return replace(plan, device="cuda", kernels=(kernels[0], replace(kernels[1], dependent=True)))


@pytest.mark.parametrize("change", [lambda plan: plan, for_cuda], ids=["cpu", "cuda"])
def test_round_trip(plan, change):
    plan = change(plan)
    data = serialize(plan)
    back = deserialize(data)
    assert serialize(back) == data
    assert (back.name, back.kernels, back.device) == (plan.name, plan.kernels, plan.device)
    assert [var.name for var in back.symbols] == ["n"]
    assert [(t.name, t.dtype, len(t.shape)) for t in (*back.inputs, *back.outputs)] == [
        (t.name, t.dtype, len(t.shape)) for t in (*plan.inputs, *plan.outputs)
    ]
    for old, new in zip(plan.buffers, back.buffers, strict=True):
        assert (new.kind, new.index, new.halo_key) == (old.kind, old.index, old.halo_key)
        assert new.alignment == old.alignment
        assert code(new.bytes, back) == code(old.bytes, plan)
    for old, new in zip(plan.launches, back.launches, strict=True):
        assert (new.kernel, new.work, new.name) == (old.kernel, old.work, old.name)
        assert code(new.tasks, back) == code(old.tasks, plan)
        for one, other in zip(new.args, old.args, strict=True):
            assert (one.buffer, one.stored, one.part) == (other.buffer, other.stored, other.part)
            assert (one.map is None) == (other.map is None)
            if one.map is not None:
                fixed = (other.map.dtype, other.map.box, other.map.swizzle)
                assert (one.map.dtype, one.map.box, one.map.swizzle) == fixed
                for new_dims, old_dims in (
                    (one.map.sizes, other.map.sizes),
                    (one.map.strides, other.map.strides),
                ):
                    assert [code(d, back) for d in new_dims] == [code(d, plan) for d in old_dims]
        assert [code(s, back) for s in new.scalars] == [code(s, plan) for s in old.scalars]


def test_equal_images_and_expressions_are_stored_once(plan):
    data = serialize(plan)
    assert data.count(b"one image") == 1
    assert data.count(code(plan.buffers[0].bytes, plan)) == 2  # alone, and inside of max(4 n, 64)


def test_plans_are_deterministic(plan):
    assert serialize(plan) == serialize(plan)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: b"", "at least 24 bytes, got 0"),
        (lambda data: b"X" + data[1:], "no plan"),
        (lambda data: data[:8] + b"\1" + data[9:], "version 1"),
        (lambda data: data[:-1], "damaged"),
        (lambda data: data[:40] + bytes([data[40] ^ 1]) + data[41:], "damaged"),
        (lambda data: resealed(data[HEADER:-3]), "truncated"),
        (lambda data: resealed(data[HEADER:] + b"\0"), "1 bytes too many"),
    ],
)
def test_damage_is_named(plan, change, message):
    data = change(serialize(plan))
    with pytest.raises(ValueError, match=message):
        deserialize(data)
    native = "truncated" if not data else message
    with pytest.raises(Error, match=native):
        Executable(data, [])


def test_random_damage_is_found(plan):
    """The checksum finds every flipped bit, in Python and in C++."""
    data, source = serialize(plan), random.Random(7)
    for _ in range(200):
        bad = bytearray(data)
        bad[source.randrange(len(bad))] ^= 1 << source.randrange(8)
        with pytest.raises(ValueError, match=r"plan|damaged"):
            deserialize(bytes(bad))
        with pytest.raises(Error, match=r"plan|damaged"):
            Executable(bytes(bad), [])


def test_damage_behind_a_right_checksum(plan):
    """Python reads it or raises ValueError, never anything else."""
    data, source = serialize(plan)[HEADER:], random.Random(8)
    refused = 0
    for _ in range(500):
        bad = bytearray(data)
        bad[source.randrange(len(bad))] = source.choice([0, 1, 0x7F, 0xFF])
        try:
            deserialize(resealed(bytes(bad)))
        except ValueError:
            refused += 1
    assert 50 < refused < 500


def load_error(plan):
    with pytest.raises(Error) as caught:
        Executable(serialize(plan), [])
    return str(caught.value)


def test_impossible_plans_are_refused_when_loaded(plan):
    free = replace(plan, inputs=(replace(plan.inputs[0], shape=(8, 3)),))
    assert "symbol 'n' is the size of no input axis" in load_error(free)
    unwritten = replace(plan, launches=plan.launches[:2])
    assert "no launch stores output 'y'" in load_error(unwritten)
    strange = replace(plan, buffers=(Buffer(BufferKind.INPUT, 5, 4), *plan.buffers[1:]))
    assert "refers to input 5 of 1" in load_error(strange)
    busy = replace(plan, launches=(replace(plan.launches[0], work=float("nan")),))
    assert "launch 'A' has work nan ns per task" in load_error(busy)
    odd = replace(plan, buffers=(replace(plan.buffers[0], alignment=12), *plan.buffers[1:]))
    assert "buffer alignment: expected a power of two, got 12" in load_error(odd)
    mixed = replace(plan, device="cuda")
    assert "kernel 'a': 0 threads do not fit the plan's device" in load_error(mixed)


def test_impossible_plans_are_refused_when_written(plan):
    first = plan.launches[0]
    with pytest.raises(CompilerBug, match="launch 'A': buffer 99 of 7"):
        serialize(replace(plan, launches=(replace(first, args=(Argument(99),)),)))
    with pytest.raises(CompilerBug, match="launch 'A': kernel 2 of 2"):
        serialize(replace(plan, launches=(replace(first, kernel=2),)))
    with pytest.raises(CompilerBug, match="have one name"):
        serialize(replace(plan, symbols=(*plan.symbols, Var("n"))))
    halo = Buffer(BufferKind.INPUT, 0, 4, "halo")
    with pytest.raises(CompilerBug, match="only temporary buffers have halos"):
        serialize(replace(plan, buffers=(halo, *plan.buffers[1:])))
