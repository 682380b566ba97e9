"""Tests on the CUDA device of this machine, left out where there is none.

`HIDET_CUDA_DRIVER=emulated pytest tests/gpu` runs them on the emulated one. scripts/gpu_report.py
runs them by their mark, `cuda`.
"""

from pathlib import Path

import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.target import gpu

HERE = Path(__file__).parent


def _missing():
    try:
        gpu()
    except Unsupported as error:
        return str(error)
    return ""


@pytest.hookimpl(tryfirst=True)  # before `-m` looks at the marks
def pytest_collection_modifyitems(items):
    ours = [item for item in items if HERE in item.path.parents]
    why = _missing() if ours else ""
    for item in ours:
        item.add_marker(pytest.mark.cuda)
        if why:
            item.add_marker(pytest.mark.skip(reason=why))
