"""The pool of device memory, in C++ on the emulated driver, under sanitizers."""

import os
import subprocess
from pathlib import Path

import pytest

from hidet_core.emulator import LIBRARY
from tests.hidet_core.runtime.test_native import COMPILER, ROOT, SANITIZERS, build_sources

RUNTIME = ROOT / "hidet_core/runtime/cuda"
PARTS = [RUNTIME / name for name in ("device.cc", "driver.cc", "memory_pool.cc")]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


@pytest.fixture(
    scope="module", params=[SANITIZERS, ["-fsanitize=thread"]], ids=["memory", "threads"]
)
def program(request, tmp_path_factory):
    driver = Path(__file__).parent / "pool_driver.cc"
    return build_sources(tmp_path_factory.mktemp("pool"), request.param, [driver, *PARTS])


@pytest.mark.parametrize("seed", ["0", "1", "7"])
def test_memory_pool(program, seed):
    environment = {**os.environ, "HIDET_EMULATOR_SEED": seed}
    done = subprocess.run([program, LIBRARY], env=environment, capture_output=True, text=True)
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this sanitizer does not work with the system's address layout")
    assert (done.returncode, done.stdout) == (0, ""), done.stderr[-3000:]
