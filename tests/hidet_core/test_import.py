"""What an import says of a source tree in which nothing was built."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import hidet_core

SOURCES = Path(hidet_core.__file__).parent
# an editable installation finds the native part wherever the package is
IMPORT = """
import sys
sys.meta_path = [finder for finder in sys.meta_path if "editable" not in repr(finder).lower()]
import hidet_core
"""


def test_a_tree_without_the_native_part_says_what_to_do(tmp_path):
    shutil.copytree(
        SOURCES, tmp_path / "hidet_core", ignore=shutil.ignore_patterns("*.so", "__pycache__")
    )
    environment = {**os.environ, "PYTHONPATH": str(tmp_path)}
    done = subprocess.run(
        [sys.executable, "-c", IMPORT],
        cwd=tmp_path,
        env=environment,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    last = done.stderr.strip().splitlines()[-1]
    assert last.startswith("ImportError: hidet_core in ") and "pip install -e ." in last
