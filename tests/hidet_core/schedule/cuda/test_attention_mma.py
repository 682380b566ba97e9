"""Attention on tensor cores: f16, bf16, TF32, all kinds of masks and sizes, rings of stages."""

import pytest

from hidet_core.ir.dtypes import bf16, boolean, f16, f32
from hidet_core.ir.node import walk
from hidet_core.ir.stmt import Call
from hidet_core.stages import CompileOptions
from tests.hidet_core.compiled import Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc
from tests.hidet_core.cuda_check import H200, check_cuda, usages
from tests.hidet_core.schedule.attention_cases import attention, heads
from tests.hidet_core.schedule.cuda.picking import of

mma = of("AttentionMma")
TF32 = CompileOptions(allow_tf32=True)


def tiles(warps, keys, stages):
    wanted = (warps, keys, stages)
    return of("AttentionMma", lambda c: (c.warps, c.keys, c.stages) == wanted)


def case(shape, keys=None, columns=None, mask=None, dtype=f16, **attrs):
    net = Net()
    q, k, v = heads(net, shape, keys, columns, dtype)
    masks = [] if mask is None else [net.x(*mask[0], dtype=mask[1])]
    return net.done(attention(net, q, k, v, *masks, **attrs))


CASES = {
    "tiny": lambda: case((1, 1, 8)),
    "one tile": lambda: case((1, 2, 16, 16)),
    "ragged": lambda: case((2, 3, 19, 8), keys=23),
    "odd chunks": lambda: case((1, 17, 24), keys=41, columns=40),
    "wide": lambda: case((1, 33, 128), keys=20),
    "causal": lambda: case((2, 37, 16), causal=True),
    "causal over a past": lambda: case((2, 5, 16), keys=70, causal=True),
    "added": lambda: case((2, 3, 17, 8), mask=((2, 1, 17, 17), f16)),
    "padding": lambda: case((2, 3, 17, 8), mask=((2, 1, 1, 17), f16)),
    "kept": lambda: case((2, 3, 17, 8), keys=21, mask=((2, 1, 1, 21), boolean), fill=-1e9),
    "kept pairs": lambda: case(
        (3, 17, 8), mask=((17, 17), boolean), fill=float("-inf"), zero_nan=True
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_case(name):
    check_cuda(CASES[name](), pick=mma, interpreted=name in ("ragged", "kept pairs"))


@pytest.mark.parametrize("config", [(1, 16, 1), (1, 16, 2), (2, 16, 3), (1, 32, 2)])
def test_rings(config):
    graph = case((1, 37, 16), keys=83, causal=True)
    check_cuda(graph, pick=tiles(*config), seeds=(1, 2, 3), interpreted=config == (1, 16, 2))


def test_keys_in_parts():
    """Few queries: the last block of several joins what all have found."""
    graph = case((1, 2, 3, 16), keys=150, mask=((3, 150), boolean), fill=float("-inf"))
    result = check_cuda(graph, pick=tiles(1, 16, 2), seeds=(1, 2, 3), interpreted=False)
    (kernel,) = result.kernels
    assert int(kernel.program.tasks.value) == 2 * 5, "five parts of at least two tiles"


def test_bfloat16():
    check_cuda(case((2, 19, 16), dtype=bf16, causal=True), pick=mma, tolerance=2e-2)


@pytest.mark.parametrize("name", ["plain", "masked", "causal"])
def test_tf32(name):
    """Of 10 bits each, so errors are larger; exact without permission."""
    mask = ((2, 1, 27), f32) if name == "masked" else None
    graph = case((2, 19, 24), keys=27, columns=16, mask=mask, dtype=f32, causal=name == "causal")
    check_cuda(
        graph, pick=mma, tf32=True, tolerance=4e-3, interpreted=name == "causal", seeds=(1, 5)
    )
    assert "stages" not in compiled(graph, target=H200).kernels[0].scheduled.config


def test_symbolic_sizes():
    net = Net()
    q, k, v = (net.x("b", size, 16, dtype=f16) for size in ("s", "t", "t"))
    graph = net.done(attention(net, q, k, v, net.x("b", 1, "t", dtype=f16), causal=True))
    sizes = ((1, 1, 1), (2, 5, 7), (1, 40, 41))
    check_cuda(
        graph, *(dict(zip("bst", size, strict=True)) for size in sizes), pick=tiles(1, 16, 2),
        interpreted=False,
    )  # fmt: skip


def merged(bias):
    net = Net()
    x = net.x("b", "s", 48, dtype=f16)
    rows, parts = x.type.shape[:2], []
    for place in range(3):
        cut = net.slice(x, starts=(0, 0, 16 * place), steps=(1, 1, 1), sizes=(*rows, 16))
        cut = net.add(cut, net.x(16, dtype=f16)) if bias else cut
        cut = net.reshape(cut, (*rows, 2, 8))
        parts.append(net.transpose(cut, perm=(0, 2, 1, 3)))
    mixed = net.transpose(attention(net, *parts), perm=(0, 2, 1, 3))
    return net.done(net.reshape(mixed, (*rows, 16)))


@pytest.mark.parametrize("bias", [False, True])
def test_merged_layout(bias):
    """Views stay asynchronous copies; what is computed on the way is stored by the threads."""
    result = check_cuda(merged(bias), {"b": 2, "s": 19}, pick=mma, interpreted=False)
    (kernel,) = result.kernels
    copies = [
        node
        for node in walk(kernel.program.body)
        if isinstance(node, Call) and node.name == "copy_async"
    ]
    assert bool(copies) != bias


def largest(found):
    ours = [c for c in found if type(c.template).__name__ == "AttentionMma"]
    return max(ours, key=lambda c: (c.config.keys, c.config.warps, c.config.stages))


@needs_nvrtc
@pytest.mark.parametrize(("width", "dtype"), [(32, f16), (64, bf16), (128, f16), (64, f32)])
def test_nothing_spills(width, dtype):
    graph = case((1, 12, 128, width), dtype=dtype, causal=True)
    for pick in (mma, largest):
        for used in usages(compiled(graph, pick, H200, TF32)):
            assert used.spill_bytes == used.stack_bytes == 0, used


def test_tensor_cores_are_preferred():
    (kernel,) = compiled(case((1, 12, 128, 64)), target=H200).kernels
    assert "stages" in kernel.scheduled.config
