"""What every test shares: a private cache, golden texts, seeded random numbers, the marks.

The cache folder is made before anything of ours is imported and removed at the end, so no test
reads or fills the user's cache. `golden` compares a text with tests/golden/<test file>/<test>.txt;
`pytest --update-golden` writes these files instead (review them with `git diff tests/golden`).
"""

import os
import re
import shutil
import tempfile
import zlib
from pathlib import Path

import numpy as np
import pytest

TESTS = Path(__file__).parent
GOLDEN = TESTS / "golden"
MARKS = {
    "slow": "takes more than about 10 seconds; leave out with -m 'not slow'",
    "cuda": "needs a CUDA device",
    "onnx_backend": "runs ONNX's own backend node tests through a session",
}


def pytest_addoption(parser):
    parser.addoption("--update-golden", action="store_true", help="write tests/golden anew")
    parser.addoption("--all-cuda-node-cases", action="store_true", help="not one slice of them")


def pytest_configure(config):
    for mark, meaning in MARKS.items():
        config.addinivalue_line("markers", f"{mark}: {meaning}")
    os.environ.setdefault("HIDET_VERIFY", "1")
    if "PYTEST_XDIST_WORKER" in os.environ:
        return  # a worker process: the controller's cache folder came with the environment
    config.hidet_cache = tempfile.mkdtemp(prefix="hidet-test-cache-")
    os.environ["HIDET_CACHE_DIR"] = config.hidet_cache


def pytest_unconfigure(config):
    folder = getattr(config, "hidet_cache", None)
    if folder:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture
def rng(request):
    """A generator seeded by the test's own name: repeatable, and no two tests share numbers."""
    return np.random.default_rng(zlib.crc32(request.node.nodeid.encode()))


@pytest.fixture
def cache_dir(tmp_path, monkeypatch):
    """An empty cache folder of this test alone, for this process and those it starts."""
    folder = tmp_path / "cache"
    folder.mkdir(mode=0o700)
    monkeypatch.setenv("HIDET_CACHE_DIR", str(folder))
    return folder


@pytest.fixture
def golden(request):
    """golden(text, part=""): the text must be the one on file for this test (and part)."""

    def check(text, part=""):
        path = _golden_path(request.node, part)
        text = text.rstrip("\n") + "\n"
        if request.config.getoption("--update-golden"):
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)
            return
        name = path.relative_to(TESTS)
        assert path.exists(), f"{name} is missing: run pytest --update-golden and review it"
        assert text == path.read_text(), f"differs from {name}; if meant: pytest --update-golden"

    return check


def _golden_path(node, part):
    name = node.name + (f".{part}" if part else "")
    safe = re.sub(r"[^A-Za-z0-9_.=+-]+", "_", name).strip("_")
    return GOLDEN / node.path.relative_to(TESTS).with_suffix("") / f"{safe}.txt"
