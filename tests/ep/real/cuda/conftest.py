"""Sessions on the emulated GPU: every file runs in a child process (tests/emulated.py)."""

from tests.emulated import pytest_pycollect_makemodule, pytest_sessionfinish  # noqa: F401
