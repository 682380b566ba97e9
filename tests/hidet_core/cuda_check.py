"""Graphs compiled for NVIDIA GPUs: run by the interpreter and, as CUDA C++, on the emulated device,
both of which find races; compiled by NVRTC for every architecture.
"""

import functools

from hidet_core.graph.reference import run_graph
from hidet_core.ir.verify import verify
from hidet_core.stages import CompileOptions
from hidet_core.target import CUDAS
from tests.hidet_core.compiled import best, compare, compiled, feeds_of, lowered
from tests.hidet_core.cuda_build import ARCHES, usage_of
from tests.hidet_core.cuda_emulated import HAS_COMPILER, run_emulated

H200 = CUDAS["sm_90a"]


def check_cuda(graph, *sizes, pick=best, interpreted=True, tolerance=2e-5, seeds=(1,), tf32=False):
    """The results are those of the reference; for each dict of sizes of the symbols. seeds: of the
    emulated device's scheduler; tf32: allowed.
    """
    result, target = compiled(graph, pick, H200, CompileOptions(allow_tf32=tf32)), H200
    for kernel in result.kernels:
        verify(kernel.program, "scheduled")
        verify(lowered(kernel.program, target), "flat")
    for number, symbols in enumerate(sizes or ({},)):
        feeds = feeds_of(graph, number, **symbols)
        expected = run_graph(graph, feeds)
        if interpreted:
            compare(result.interpret(feeds, **symbols), expected, tolerance)
        for seed in seeds if HAS_COMPILER else ():
            run = functools.partial(run_emulated, seed=seed)
            compare(result.interpret(feeds, run, **symbols), expected, tolerance)
    return result


def usages(result, arches=ARCHES):
    """What each kernel uses on each architecture."""
    programs = [lowered(kernel.program, result.target) for kernel in result.kernels]
    return [usage_of(program, arch) for program in programs for arch in arches]
