"""What only C++ can test: allocations in steady state, data races, damaged bytes under sanitizers.

Builds native_driver.cc with the runtime's sources. Skipped where no C++ compiler is installed, or
where a sanitizer's library is missing or does not work with the system's memory layout.
"""

import os
import re
import shutil
import subprocess
from pathlib import Path

import pytest

from hidet_core.emulator import LIBRARY
from hidet_core.plan import serialize
from tests.emulator.cuda import compiled
from tests.hidet_core.runtime.cuda.conftest import SOURCE, for_cuda

HERE = Path(__file__).parent
ROOT = HERE.parents[2]
COMPILER = os.environ.get("CXX") or shutil.which("c++") or shutil.which("g++")
SANITIZERS = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"]

pytestmark = pytest.mark.skipif(COMPILER is None, reason="needs a C++ compiler")


def build(folder, flags):
    """The driver and the runtime as one translation unit: the quickest way to compile them."""
    runtime = ROOT / "hidet_core/runtime"
    parts = (path for path in sorted(runtime.rglob("*.cc")) if path.parent.name != "python")
    return build_sources(folder, flags, [HERE / "native_driver.cc", *parts])


def build_sources(folder, flags, sources):
    unit, program = folder / "unit.cc", folder / "driver"
    unit.write_text("".join(f'#include "{path}"\n' for path in reversed(sources)))
    command = [COMPILER, "-std=c++17", *flags, "-I", ROOT, unit, "-o", program, "-pthread", "-ldl"]
    done = subprocess.run(command, capture_output=True, text=True)
    if re.search(r"cannot find .*(asan|ubsan|tsan)", done.stderr):
        pytest.skip("the sanitizer's library is not installed")
    assert done.returncode == 0, done.stderr
    return program


@pytest.fixture(scope="module")
def counting_driver(tmp_path_factory):
    return build(tmp_path_factory.mktemp("counting"), ["-O1", "-DCOUNT_ALLOCATIONS"])


@pytest.fixture(scope="module")
def sanitized_driver(tmp_path_factory):
    return build(tmp_path_factory.mktemp("sanitized"), SANITIZERS)


@pytest.fixture(scope="module")
def racing_driver(tmp_path_factory):
    return build(tmp_path_factory.mktemp("racing"), ["-O1", "-fsanitize=thread"])


@pytest.fixture
def files(tmp_path, row_sum_plan, row_sum_constant, objects):
    contents = {"plan": serialize(row_sum_plan), "constant": row_sum_constant.tobytes(), **objects}
    for name, data in contents.items():
        (tmp_path / name).write_bytes(data)
    return tmp_path


def run(program, *words, **environment):
    """The driver's "name number" lines as a dictionary."""
    done = subprocess.run(
        [program, *map(str, words)],
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
    )
    if "unexpected memory mapping" in done.stderr:
        pytest.skip("this sanitizer does not work with the system's address layout")
    assert done.returncode == 0, done.stderr[-3000:]
    return {name: int(number) for name, number in map(str.split, done.stdout.splitlines())}


def test_no_allocation_in_steady_state(counting_driver, files):
    counts = run(counting_driver, "steady", files / "plan", files / "constant")
    assert counts == {"loading": 1, "steady": 0}


def test_runs_are_clean_under_sanitizers(sanitized_driver, files):
    run(sanitized_driver, "steady", files / "plan", files / "constant")


def test_concurrent_runs_have_no_data_race(racing_driver, files):
    assert run(racing_driver, "concurrent", files / "plan", files / "constant") == {"wrong": 0}


def test_concurrent_runs_on_a_gpu_have_no_data_race(racing_driver, files, row_sum_plan):
    (files / "gpu_plan").write_bytes(serialize(for_cuda(row_sum_plan, compiled(SOURCE))))
    emulated = {"HIDET_CUDA_DRIVER": str(LIBRARY), "HIDET_EMULATOR_SEED": "7"}
    result = run(racing_driver, "concurrent", files / "gpu_plan", files / "constant", **emulated)
    assert result == {"wrong": 0}


def test_a_team_does_each_task_once_and_calls_in_order(racing_driver):
    assert run(racing_driver, "team", 150, "-", "-") == {"wrong": 0}


def test_launches_are_ordered_by_the_memory_they_use(sanitized_driver):
    assert run(sanitized_driver, "dependencies", 2000, "-") == {"wrong": 0}


def test_damaged_plans(sanitized_driver, files):
    counts = run(sanitized_driver, "fuzz-plan", files / "plan", files / "constant", 4000)
    assert counts["refused"] > 500


@pytest.mark.parametrize("image", ["libc", "tables", "got", "both"])
def test_damaged_images(sanitized_driver, files, image):
    counts = run(sanitized_driver, "fuzz-object", files / image, 2000)
    assert counts["refused"] > 100
