"""An emulated device to test with, skipped where no C++ compiler is installed.

`cuda` is the driver with seed 0, initialised, its primary context current; `cuda_seeds` is the same
under three scheduler seeds: ascending and eager, descending, random.
"""

import pytest

from hidet_core.emulator import compiler
from tests.emulator.cuda import Cuda, private_library

SEEDS = (0, 1, 7)


@pytest.fixture(scope="session")
def library():
    if compiler() is None:
        pytest.skip("no C++ compiler")
    return private_library()


@pytest.fixture
def cuda(library):
    return Cuda(library, 0).start()


@pytest.fixture(params=SEEDS, ids=lambda seed: f"seed{seed}")
def cuda_seeds(library, request):
    return Cuda(library, request.param).start()


@pytest.fixture
def fresh(library):
    """The driver before cuInit."""
    return Cuda(library, 0)


@pytest.fixture
def delayed(library):
    """A device that runs nothing before somebody waits."""
    return Cuda(library, 1).start()
