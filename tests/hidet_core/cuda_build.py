"""NVRTC in tests: left out where it is not installed, and what kernels use on each architecture."""

import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.build.nvrtc import compile_measured, toolchain
from hidet_core.codegen import emit_cuda
from hidet_core.target import CUDAS


def _missing():
    try:
        toolchain()
    except Unsupported as error:
        return str(error)
    return ""


WHY = _missing()
needs_nvrtc = pytest.mark.skipif(bool(WHY), reason=WHY)
ARCHES = tuple(cuda.arch for cuda in CUDAS.values())


def usage_of(program, arch):
    """What a lowered program uses on an architecture."""
    image, usage = compile_measured(emit_cuda(program), arch)
    assert image[:4] == b"\x7fELF"
    return usage
