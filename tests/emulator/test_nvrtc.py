"""The kernels of these tests are CUDA C++: NVRTC, where installed, compiles the same texts.

Left out are those that use what NVRTC has only with further headers (half, pipelines, assert) or
what is the emulator's own (named barriers).
"""

import pytest

from tests.emulator import (
    test_broken_kernels,
    test_graphs,
    test_kernels,
    test_modules,
    test_streams,
)

nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="no NVRTC")

NOT_HERE = ("__half", "__pipeline", "assert(", "hidet_emu", "memcpy", "packed")
SOURCES = {
    "add": test_kernels.ADD,
    "reduce": test_kernels.REDUCE,
    "ticket": test_kernels.TICKET,
    "votes": test_kernels.VOTES,
    "atomics": test_kernels.ATOMICS,
    "modules": test_modules.SOURCE,
    "graphs": test_graphs.SCALE,
    "streams": test_streams.SCALE,
} | {name: test_broken_kernels.place(name) for name in test_broken_kernels.BROKEN}


def compile_for_device(source):
    """Errors of NVRTC, "" if there are none."""
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    options = [b"--gpu-architecture=sm_80", b"-std=c++17"]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    return "" if result == nvrtc.nvrtcResult.NVRTC_SUCCESS else log.decode()


@pytest.mark.parametrize(
    "name", [name for name, text in SOURCES.items() if not any(word in text for word in NOT_HERE)]
)
def test_is_cuda(name):
    assert compile_for_device(SOURCES[name]) == ""
