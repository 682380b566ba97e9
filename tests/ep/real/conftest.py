import pytest


@pytest.fixture(autouse=True)
def compile_here(monkeypatch):
    """Small kernels, compiled in this process: starting a worker takes longer than compiling."""
    monkeypatch.setenv("HIDET_WORKERS", "0")
