"""The benchmark on the emulated GPU: every file runs in a child process (tests/emulated.py)."""

from tests.emulated import (  # noqa: F401
    pytest_pycollect_makemodule,
    pytest_sessionfinish,
    pytest_sessionstart,
)
