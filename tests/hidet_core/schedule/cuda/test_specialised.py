"""Contractions whose warpgroups copy by TMA or multiply: sizes x types, several tiles of a block,
convolution, fusion, what it leaves to other templates, and broken ones.
"""

import functools
from dataclasses import replace

import numpy as np
import pytest

from hidet_core.base.errors import ProgramError, Rejected
from hidet_core.codegen import interpret, launch_of
from hidet_core.graph.reference import run_graph
from hidet_core.ir.expr import wrap
from hidet_core.ir.node import rebuild, rewrite
from hidet_core.ir.stmt import Call, Place, seq
from hidet_core.ir.verify import verify
from hidet_core.pipeline import compile_graph
from hidet_core.schedule.choose import candidates
from hidet_core.schedule.cuda.specialised import Specialised, SpecialisedConfig
from hidet_core.stages import CompileOptions
from hidet_core.target import CUDAS
from tests.emulator.cuda import CudaError
from tests.hidet_core.compiled import CONV, Net, compare, compiled, feeds_of
from tests.hidet_core.cuda_build import needs_nvrtc, usage_of
from tests.hidet_core.cuda_check import H200, lowered
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated
from tests.hidet_core.schedule.cuda.picking import of
from tests.hidet_core.schedule.cuda.test_tensor_core import DTYPES, LIMITS, SEEDS, fused

needs_compiler = pytest.mark.skipif(not HAS_COMPILER, reason="there is no g++ here")
FEW = replace(H200, multiprocessors=3)  # so that each block has several tiles
SIZES = {
    "aligned": (128, 128, 64),
    "ragged": (140, 72, 76),
    "prime": (67, 136, 37),
    "flat": (40, 8, 8),
}


def tile(block_m, block_n, stages=None):
    def admits(config):
        is_tile = (config.block_m, config.block_n) == (block_m, block_n)
        return is_tile and stages in (None, config.stages)

    return of("Specialised", admits)


def check(graph, *sizes, pick=of("Specialised"), kind="f16", seeds=SEEDS, spoil=None):
    """The results are those of the reference, on the emulated device and (a seed of None) in the
    interpreter; spoil: what becomes of the program before.
    """
    target = FEW
    result = compiled(graph, pick, target)
    assert any("tensor_load" in names_of(kernel.program) for kernel in result.kernels)
    for kernel in result.kernels:
        verify(kernel.program, "scheduled")
        verify(lowered(kernel.program, target), "flat")
        kernel.program = spoil(kernel.program) if spoil else kernel.program
    for number, symbols in enumerate(sizes or ({},)):
        feeds = feeds_of(graph, number, **symbols)
        expected = run_graph(graph, feeds)
        for seed in seeds:
            emulated = functools.partial(run_emulated, seed=seed)
            run = interpret if seed is None else emulated
            compare(result.interpret(feeds, run, **symbols), expected, LIMITS[kind])
    return result


def names_of(program):
    """Of the instructions that it calls."""
    found = set()
    rewrite(program.body, lambda n: found.add(n.name) if isinstance(n, Call) else None)
    return found


@needs_compiler
@pytest.mark.parametrize(
    ("sizes", "kind"), [*((name, "f16") for name in SIZES), ("prime", "bf16"), ("flat", "bf16")]
)
def test_sizes(sizes, kind):
    """Bias, ReLU and a residual are fused."""
    seeds = (*SEEDS, None) if sizes == "flat" else SEEDS
    result = check(fused(*SIZES[sizes], kind), kind=kind, pick=tile(64, 32), seeds=seeds)
    assert result.ops == [("matmul", "add", "relu", "add")]


@needs_compiler
@pytest.mark.parametrize("size", [(64, 256), (128, 64), (128, 256)], ids=str)
def test_tiles(size):
    m, n = (side + side // 4 + 1 for side in size)
    check(fused(m, 200, n), pick=tile(*size), seeds=(7,))


@needs_compiler
def test_stages_are_used_again():
    """A block has six tiles of five steps in a ring of two stages."""
    graph = fused(330, 320, 72)
    two = SpecialisedConfig(64, 32, 2)

    def pick(found):
        mine = next(c for c in found if type(c.template) is Specialised)
        return mine._replace(config=two)

    result = check(graph, pick=pick)
    assert result.kernels[0].scheduled.config == str(two)


@needs_compiler
def test_one_program_for_all_sizes():
    net = Net()
    x = net.x("n", "m", 40, dtype=DTYPES["f16"])
    graph = net.done(net.relu(net.matmul(x, net.const(40, 24, dtype=np.float16))))
    sizes = [{"n": 1, "m": 5}, {"n": 3, "m": 43}, {"n": 8, "m": 64}]
    check(graph, *sizes, pick=tile(64, 32), seeds=(1,))


def pointwise(**attrs):
    net, dtype = Net(), DTYPES["f16"]
    x = net.x(2, 9, 7, 24, dtype=dtype)
    window = attrs.pop("window", 1)
    w = net.const(window, window, 24 // attrs.get("groups", 1), 40, dtype=np.float16)
    y = net.emit("conv2d", x, w, **(CONV | attrs))
    return net.done(net.add(net.relu(y), net.x(*y.type.shape, dtype=dtype)))


def batched(left, right, m=70, k=88, n=72):
    net, dtype = Net(), DTYPES["f16"]
    a, b = net.x(*left, m, k, dtype=dtype), net.x(*right, k, n, dtype=dtype)
    return net.done(net.tanh(net.matmul(a, b)))


@needs_compiler
@pytest.mark.parametrize("kind", ["f16", "bf16"])
def test_products_of_activations(kind):
    """b is not packed: its columns are contiguous, and turned by wgmma."""
    graph = fused(67, 136, 200, kind, constant=False)
    check(graph, kind=kind, pick=tile(64, 128), seeds=(*SEEDS, None))


@needs_compiler
@pytest.mark.parametrize("batches", [((2, 2), (2, 2)), ((3, 1), (1, 3, 1))], ids=str)
def test_batches(batches):
    check(batched(*batches, m=67), pick=tile(64, 64), seeds=(7, None))


@needs_compiler
def test_convolution():
    check(pointwise(), pick=tile(64, 64), seeds=(1,))


# what it leaves to others


def computed():
    net, dtype = Net(), DTYPES["f16"]
    a = net.exp(net.x(128, 64, dtype=dtype))
    return net.done(net.matmul(a, net.const(64, 64, dtype=np.float16)))


REJECTED = {
    "no TMA": (lambda: fused(128, 64, 64), CUDAS["sm_80"], "sm_80 has no wgmma"),
    "rows of 12 bytes": (lambda: fused(128, 70, 64), H200, "not multiples of 16 bytes apart"),
    "a prologue": (computed, H200, "as they are in memory"),
    "few rows": (lambda: fused(17, 64, 64), H200, "17 rows"),
    "a window": (lambda: pointwise(window=3), H200, "copies no windows"),
    "strides": (lambda: pointwise(strides=(2, 2)), H200, "copies no windows"),
    "groups": (lambda: pointwise(groups=2), H200, "nor parts of channels"),
    "lines of 20 bytes": (lambda: fused(128, 64, 10, constant=False), H200, "not multiples of 16"),
    "a part of a tile": (lambda: fused(128, 64, 64, constant=False), H200, "32 of 64 columns"),
    "shared groups": (lambda: batched((5, 3), (1, 3)), H200, "groups share parts of x"),
}


@pytest.mark.parametrize("case", REJECTED)
def test_rejected(case):
    graph, target, why = REJECTED[case]
    (*_, kernel) = compiled(graph(), target=target).kernels
    problem = kernel.draft.problem
    with pytest.raises(Rejected, match=why):
        width = 32 if case == "a part of a tile" else 64
        Specialised().check(problem, SpecialisedConfig(64, width, 4), target)
    assert "tensor_load" not in names_of(kernel.program)


def test_chosen_for_large_products():
    for sizes, is_best in (((4096, 4096, 4096), True), ((3136, 64, 256), False)):
        (kernel,) = compiled(fused(*sizes), target=H200).kernels
        best = candidates(kernel.draft.problem, H200)[0]
        assert (type(best.template) is Specialised) == is_best, best


@needs_nvrtc
@pytest.mark.parametrize("constant", [True, False], ids=["packed", "plain"])
@pytest.mark.parametrize("size", [(128, 256), (64, 256), (128, 64)], ids=str)
def test_no_spills(size, constant):
    """And products in flight stay there: ptxas would warn."""
    (kernel,) = compiled(fused(2048, 1024, 2048, constant=constant), tile(*size), H200).kernels
    usage = usage_of(lowered(kernel.program, H200), H200.arch)
    assert usage.spill_bytes == usage.stack_bytes == 0 and not usage.losses, usage


def test_shared_memory_is_as_counted():
    problem = compiled(fused(2048, 1024, 2048), target=H200).kernels[0].draft.problem
    configs = [config for _, config in Specialised().candidates(problem, H200)]
    for config in configs[::3]:
        program = Specialised().build(problem, config, H200).program
        assert launch_of(program).shared_bytes == config.shared_bytes, config


@needs_nvrtc
def test_through_the_pipeline():
    """ptxas finds nothing wrong with the best config: nothing serialised, no registers refused."""
    options = CompileOptions(target="sm_90a", cache=False)
    done = compile_graph(fused(2048, 1024, 2048), options)
    assert [kernel.config for kernel in done.report.kernels] == ["block_m=128 block_n=256 stages=4"]


# broken ones


def without(name, after=0):
    """A program without an instruction; after: so many of them stay."""

    def spoil(program):
        count = iter(range(100))

        def rule(node):
            drops = isinstance(node, Call) and node.name == name and next(count) >= after
            return seq() if drops else None

        return rewrite(program, rule)

    return spoil


def with_number(name, number):
    """A program with another number in an instruction."""

    def rule(node):
        if not isinstance(node, Call) or node.name != name:
            return None
        return rebuild(node, {"operands": (node.operands[0], wrap(number))})

    return lambda program: rewrite(program, rule)


def unswizzled(program):
    """b's rows lie as they are."""

    def rule(node):
        if not (isinstance(node, Place) and node.buffer.name == "wpack_map"):
            return None
        return rebuild(node, {"buffer": plain})

    plain = rebuild(program.params[1], {"swizzle": 0})
    changed = rewrite(program, rule)
    params = [plain if param is program.params[1] else param for param in program.params]
    return rebuild(changed, {"params": tuple(params)})


BROKEN = {
    "the producer does not wait": (with_number("mbarrier_wait", 1), "race|phase|unwaited"),
    "consumers do not wait": (without("mbarrier_wait", after=1), "race|unwaited|uninitialised"),
    "stages are freed too early": (without("wgmma_wait"), "accumulators|wgmma"),
    "nobody frees stages": (without("mbarrier_arrive"), "deadlock"),
    "too few bytes": (with_number("mbarrier_expect", 64), "mbarrier"),
    "too many arrivals": (with_number("mbarrier_init", 99), "deadlock"),
    "no fence of products": (without("wgmma_fence"), "fence"),
    "barrier objects are not fenced": (without("mbarrier_fence"), "fence"),
    "registers that are not there": (without("registers_decrease"), "register|deadlock"),
    "another swizzle": (unswizzled, "Not equal to tolerance"),
}


@needs_compiler
@pytest.mark.parametrize("case", BROKEN)
def test_broken(case):
    spoil, message = BROKEN[case]
    with pytest.raises((CudaError, AssertionError), match=message):
        check(fused(150, 200, 40), pick=tile(128, 32, 4), seeds=(1,), spoil=spoil)


FOUND_BY_INTERPRETER = {
    "the producer does not wait": "two boxes|on its way|an arrival more",
    "consumers do not wait": "on its way",
    "nobody frees stages": "deadlock",
    "too few bytes": "deadlock",
    "too many arrivals": "deadlock",
    "another swizzle": "Not equal to tolerance",
}


@pytest.mark.parametrize("case", FOUND_BY_INTERPRETER)
def test_broken_in_the_interpreter(case):
    spoil, message = BROKEN[case][0], FOUND_BY_INTERPRETER[case]
    with pytest.raises((ProgramError, AssertionError), match=message):
        check(fused(70, 328, 40), pick=tile(64, 32, 4), seeds=(None,), spoil=spoil)
