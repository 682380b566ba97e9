"""NVRTC, where it is installed, for sources of tests."""

import pytest


def compile_for_device(source, architecture="sm_80"):
    """Errors of NVRTC, and what it says of registers; "" for nothing. Skips without it."""
    nvrtc = pytest.importorskip("cuda.bindings.nvrtc", reason="no NVRTC")
    _, program = nvrtc.nvrtcCreateProgram(source.encode(), b"kernel.cu", 0, [], [])
    options = [f"--gpu-architecture={architecture}".encode(), b"-std=c++17"]
    (result,) = nvrtc.nvrtcCompileProgram(program, len(options), options)
    _, size = nvrtc.nvrtcGetProgramLogSize(program)
    log = b" " * size
    nvrtc.nvrtcGetProgramLog(program, log)
    return "" if result == nvrtc.nvrtcResult.NVRTC_SUCCESS else log.decode()
