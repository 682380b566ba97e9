"""Contractions on tensor cores: sizes x types, fusion, split-k, convolution; every architecture."""

from dataclasses import replace

import numpy as np
import pytest

from hidet_core.base.errors import Rejected
from hidet_core.ir.dtypes import bf16, f16, f32
from hidet_core.schedule.cuda.ring import swizzle, swizzle_elements
from hidet_core.schedule.cuda.tensor_core import MmaConfig, TensorCore
from hidet_core.stages import CompileOptions
from hidet_core.target import CUDAS
from tests.hidet_core.compiled import CONV, Net, compiled
from tests.hidet_core.cuda_build import needs_nvrtc, usage_of
from tests.hidet_core.cuda_check import H200, check_cuda, lowered
from tests.hidet_core.schedule.cuda.picking import of

SEEDS = (0, 1, 7)
DTYPES = {"f16": f16, "bf16": bf16, "tf32": f32}
LIMITS = {"f16": 4e-3, "bf16": 3e-2, "tf32": 4e-3}
TF32 = CompileOptions(allow_tf32=True)
SIZES = {"aligned": (64, 128, 64), "ragged": (36, 76, 44), "prime": (17, 67, 37), "tiny": (1, 3, 2)}
# bytes that ptxas spills at 62 registers, in the split-k kernel of 49 x 512 x 4608; the pipeline
# takes the next config there
SPILLED = {"sm_100a": 32}
kinds = pytest.mark.parametrize("kind", DTYPES)


def check(graph, *sizes, kind="f16", admits=lambda config: True, **options):
    """Every kernel with a contraction is of this template."""
    options = {"tolerance": LIMITS[kind], "seeds": SEEDS, "tf32": kind == "tf32", **options}
    result = check_cuda(graph, *sizes, pick=of("TensorCore", admits), **options)
    assert any("warp_m" in kernel.scheduled.config for kernel in result.kernels)
    return result


def fused(m, k, n, kind="f16", constant=True):
    """Bias, ReLU and a residual after a product."""
    net, dtype = Net(), DTYPES[kind]
    y = net.matmul(net.x(m, k, dtype=dtype), _weights(net, (k, n), dtype, constant))
    y = net.relu(net.add(y, net.const(n, dtype=dtype.numpy)))
    return net.done(net.add(y, net.x(m, n, dtype=dtype)))


def _weights(net, shape, dtype, constant):
    return net.const(*shape, dtype=dtype.numpy) if constant else net.x(*shape, dtype=dtype)


@kinds
@pytest.mark.parametrize("constant", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize("sizes", SIZES)
def test_sizes(sizes, constant, kind):
    """Copies of 16, 8 and 4 bytes, and element by element where neither is aligned."""
    interpreted = sizes in ("prime", "tiny") and kind != "tf32"
    seeds = SEEDS if constant else SEEDS[-1:]
    check(fused(*SIZES[sizes], kind, constant), kind=kind, interpreted=interpreted, seeds=seeds)


TILES = [(16, 32), (32, 64), (64, 128), (128, 128), (64, 256), (256, 64)]


@pytest.mark.parametrize("tile", TILES, ids=str)
@pytest.mark.parametrize("depth", [64, 128], ids=lambda n: f"{n} bytes")
def test_tiles(tile, depth):
    def admits(c):
        return (c.block_m, c.block_n) == tile and c.block_k == depth // 2

    m, n = (max(side // 2 + 9, 8) for side in tile)
    graph = fused(m, 168, n - n % 8, constant=depth == 64)
    check(graph, admits=admits, interpreted=False, seeds=(7,))


@pytest.mark.parametrize("stages", [2, 3, 5])
def test_rings(stages):
    """Fewer steps than stages, and more, not a multiple."""
    for steps in (1, 2 * stages + 1):
        graph = fused(33, 32 * steps, 40)
        check_cuda(graph, pick=_Stages(stages).pick, tolerance=LIMITS["f16"], interpreted=False)


class _Stages:
    """Picks a small tile with a number of stages that the space has not."""

    def __init__(self, stages):
        self.stages = stages

    def pick(self, found):
        candidate = of("TensorCore", lambda c: (c.block_m, c.block_n) == (32, 32))(found)
        fields = {**vars(candidate.config), "stages": self.stages, "splits": 1}
        return candidate._replace(config=type(candidate.config)(**fields))


@pytest.mark.parametrize(
    ("a", "b", "kind"),
    [
        ((2, 8, 16), (16, 24), "bf16"),
        ((2, 1, 4, 8), (3, 8, 16), "f16"),
        ((4, 8), (3, 8, 17), "tf32"),
        ((2, 3, 1, 5), (5, 2), "f16"),
    ],
)
def test_batches(a, b, kind):
    net, dtype = Net(), DTYPES[kind]
    check(net.done(net.matmul(net.x(*a, dtype=dtype), net.x(*b, dtype=dtype))), kind=kind)


@pytest.mark.parametrize("kind", ["f16", "tf32"])
def test_one_kernel_for_all_sizes(kind):
    net, dtype = Net(), DTYPES[kind]
    x, w = net.x("b", "m", "k", dtype=dtype), net.x("b", "k", "n", dtype=dtype)
    sizes = [(1, 1, 1, 1), (2, 5, 7, 9), (1, 70, 33, 40), (3, 17, 0, 33)]
    symbols = [dict(zip("bmkn", size, strict=True)) for size in sizes]
    check(net.done(net.matmul(x, w)), *symbols, kind=kind, interpreted=False, seeds=(7,))


def test_one_kernel_for_all_batches():
    net = Net()
    y = net.matmul(net.x("m", 96, dtype=f16), net.const(96, 40, dtype=np.float16))
    check(net.done(net.relu(y)), {"m": 1}, {"m": 100}, {"m": 33}, interpreted=False)


@pytest.mark.parametrize(
    ("sizes", "kind"), [("ragged", "f16"), ("prime", "bf16"), ("prime", "tf32")]
)
def test_computed_operands(sizes, kind):
    """What fusion computes is stored where a copy would have come: 1 outside of k is not 0."""
    net, dtype = Net(), DTYPES[kind]
    m, k, n = SIZES[sizes]
    a, b = net.exp(net.x(m, k, dtype=dtype)), net.sigmoid(net.x(k, n, dtype=dtype))
    graph = net.done(net.transpose(net.relu(net.matmul(a, b)), perm=(1, 0)))
    result = check(graph, kind=kind, seeds=(7,))
    assert set(result.ops[-1]) >= {"exp", "matmul", "relu", "transpose"}


@pytest.mark.parametrize("splits", [2, 4, 16])
@pytest.mark.parametrize("kind", ["f16", "tf32"])
def test_split_k(splits, kind):
    def admits(c):
        return c.splits == splits and c.block_m <= 32

    graph = fused(18, 1032 if kind == "f16" else 2051, 37, kind)
    result = check(graph, kind=kind, admits=admits, interpreted=splits == 16)
    assert result.kernels[0].scheduled.workspace


@pytest.mark.parametrize(("m", "k", "n"), [(0, 8, 16), (16, 0, 16), (16, 8, 0)])
def test_nothing_to_multiply(m, k, n):
    net = Net()
    y = net.matmul(net.x(m, k, dtype=f16), net.x(k, n, dtype=f16))
    check_cuda(net.done(net.relu(y)), pick=of("TensorCore"))


# banks


@pytest.mark.parametrize("chunks", [1, 2, 4, 8, 16, 32])
def test_no_two_rows_of_a_matrix_share_banks(chunks):
    for exchange in (swizzle, swizzle_elements):
        for row in range(16):
            assert {c ^ exchange(row, chunks) for c in range(chunks)} == set(range(chunks))
    for chunk in range(chunks):
        for first in (0, 8):
            rows = range(first, first + 8)
            banks = {(row * chunks + (chunk ^ swizzle(row, chunks))) % 8 for row in rows}
            assert len(banks) == 8


@pytest.mark.parametrize("chunks", [8, 16, 32])
def test_no_two_lanes_share_banks_of_elements(chunks):
    for chunk in range(0, chunks, 2):
        places = {
            ((row * chunks + (chunk + side ^ swizzle_elements(row, chunks))) % 8)
            for row in range(4)
            for side in range(2)
        }
        assert len(places) == 8


# convolution

CASES = {
    "aligned": ((1, 8, 8, 16), (3, 3, 16, 32), {"pads": (1, 1, 1, 1)}),
    "pointwise": ((2, 5, 7, 12), (1, 1, 12, 20), {}),
    "ragged": ((2, 7, 5, 6), (3, 2, 6, 10), {"pads": (1, 0, 2, 1), "strides": (2, 1)}),
    "prime": ((1, 7, 11, 5), (3, 3, 5, 13), {"pads": (2, 2, 2, 2), "dilations": (2, 2)}),
    "tiny": ((1, 1, 1, 1), (1, 1, 1, 1), {}),
    "stem": ((1, 15, 15, 3), (7, 7, 3, 8), {"pads": (3, 3, 3, 3), "strides": (2, 2)}),
    "deep": ((1, 4, 5, 64), (3, 3, 64, 24), {"pads": (1, 1, 1, 1)}),
    "groups": ((1, 5, 5, 48), (3, 3, 16, 24), {"pads": (1, 1, 1, 1), "groups": 3}),
}


def convolution(case, kind):
    """Between two others' storage: its input has a border, its output a residual."""
    shape, weights, attrs = CASES[case]
    net, dtype = Net(), DTYPES[kind]
    x = net.relu(net.x(*shape, dtype=dtype))
    y = net.emit("conv2d", x, net.const(*weights, dtype=dtype.numpy), **(CONV | attrs))
    y = net.relu(net.add(y, net.const(weights[-1], dtype=dtype.numpy)))
    return net.done(net.add(y, net.x(*y.type.shape, dtype=dtype)))


@kinds
@pytest.mark.parametrize("case", [case for case in CASES if case != "deep"])
def test_convolutions(case, kind):
    check(convolution(case, kind), kind=kind, interpreted=kind == "f16")


def test_a_convolution_in_parts():
    check(convolution("deep", "bf16"), kind="bf16", admits=lambda c: c.splits == 4)


def test_one_convolution_for_all_images():
    net = Net()
    x = net.relu(net.x("n", "h", "w", 8, dtype=f16))
    w = net.const(3, 3, 8, 16, dtype=np.float16)
    attrs = CONV | {"pads": (1, 1, 1, 1), "strides": (2, 1)}
    sizes = [{"n": 1, "h": 5, "w": 6}, {"n": 2, "h": 1, "w": 1}, {"n": 3, "h": 9, "w": 4}]
    check(net.done(net.emit("conv2d", x, w, **attrs)), *sizes, interpreted=False)


# the space


def problems(kind="f16"):
    for m, k, n in [(1024, 1024, 1024), ("m", 768, 3072), (49, 4608, 512)]:
        net, dtype = Net(), DTYPES[kind]
        y = net.matmul(net.x(m, k, dtype=dtype), net.const(k, n, dtype=dtype.numpy))
        yield net.done(net.relu(net.add(y, net.const(n, dtype=dtype.numpy))))


def test_tf32_wants_permission():
    graph = fused(64, 64, 64, "tf32")
    for allowed in (False, True):
        found = compiled(graph, target=H200, options=CompileOptions(allow_tf32=allowed))
        configs = [kernel.scheduled.config for kernel in found.kernels]
        assert any("warp_m" in config for config in configs) == allowed


@pytest.mark.parametrize("target", CUDAS.values(), ids=lambda cuda: cuda.name)
def test_spaces_hold_configs_for_every_device(target):
    def pick(found):
        ours = [c for c in found if type(c.template) is TensorCore]
        assert 20 < len(ours) < 400
        return found[0]

    for graph in problems():
        compiled(graph, pick, target)


def test_rejections_name_the_limit():
    template, sm_86 = TensorCore(), CUDAS["sm_86"]
    config = MmaConfig(128, 256, 64, 64, 64, 4)
    (kernel,) = compiled(fused(256, 512, 256), target=sm_86).kernels
    problem = kernel.draft.problem
    for change, why in (
        ({}, "196608 bytes of shared memory > 101376 on sm_86"),
        ({"stages": 2, "warp_m": 128}, "registers > 255"),
        ({"stages": 2, "block_n": 32, "warp_n": 32, "splits": 16}, "16 parts of 8 steps"),
        ({"stages": 2, "block_m": 512, "block_k": 32, "block_n": 32}, "a tile of 512 rows"),
    ):
        with pytest.raises(Rejected, match=why):
            template.check(problem, replace(config, **change), sm_86)
    bare = replace(sm_86, features=frozenset())
    with pytest.raises(Rejected, match="has no mma_f16"):
        template.check(problem, config, bare)


@needs_nvrtc
@pytest.mark.parametrize("target", CUDAS.values(), ids=lambda cuda: cuda.name)
def test_nothing_spills(target):
    """The kernels that the cost model picks, and those with the largest tiles."""
    graphs = [(graph, kind) for kind in ("f16", "tf32") for graph in problems(kind)]
    for graph, kind in graphs:
        usage = _usage(graph, of("TensorCore"), target)
        assert usage.spill_bytes <= SPILLED.get(target.name, 0), (usage, kind)
    for constant in (True, False):
        usage = _usage(fused(2048, 1024, 2048, constant=constant), _largest, target)
        assert usage.spill_bytes == usage.stack_bytes == 0, usage


def _largest(found):
    ours = [c for c in found if type(c.template) is TensorCore]
    return max(ours, key=lambda c: (c.config.registers, str(c.config)))


def _usage(graph, pick, target):
    (kernel,) = compiled(graph, pick, target, TF32).kernels
    return usage_of(lowered(kernel.program, target), target.arch)
