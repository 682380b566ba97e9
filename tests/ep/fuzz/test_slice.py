"""A slice of what `scripts/fuzz.py --count 5000` does, on both targets."""

import json
import os

import pytest

from hidet_core.emulator import compiler
from hidet_ep.fuzz.main import main


@pytest.fixture(autouse=True)
def private_environment(monkeypatch):
    """main() sets variables for its workers."""
    for name in ("HIDET_WORKERS", "HIDET_VERIFY", "HIDET_CACHE", "HIDET_CUDA_DRIVER"):
        monkeypatch.setenv(name, os.environ.get(name, ""))
        monkeypatch.delenv(name)


def run(tmp_path, capfd, *arguments):
    status = main([*arguments, "--out", str(tmp_path)])
    assert status == 0, capfd.readouterr().out
    summary = json.loads((tmp_path / "summary.json").read_text())
    assert summary["claimed_share"] >= 0.95, summary["refused"]
    return summary


def test_on_the_cpu(tmp_path, capfd):
    summary = run(tmp_path, capfd, "--count", "80")
    assert summary["kinds"].get("ok", 0) >= 76
    assert len(summary["operators"]) > 60


@pytest.mark.skipif(compiler() is None, reason="no C++ compiler")
def test_on_emulated_cuda(tmp_path, capfd):
    summary = run(tmp_path, capfd, "--count", "6", "--target", "cuda")
    assert summary["kinds"].get("ok", 0) >= 5
