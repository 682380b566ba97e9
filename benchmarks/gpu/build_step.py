"""Step "build": the native parts, in the tree, with what is installed there; nothing is fetched.

`pip install --no-build-isolation --no-index --no-deps .` builds the same by the same CMake project;
in the tree, the tests run what was built, and the machine's environment stays as it was.
"""

import argparse
import subprocess
import sys
import time
from pathlib import Path

from benchmarks.gpu.facts import ROOT
from benchmarks.gpu.step import Output, main

CHECK = "import hidet_ep; from hidet_core.emulator import LIBRARY; assert LIBRARY.exists()"


def run(output: Output, args: argparse.Namespace) -> int:
    start = time.perf_counter()
    command = [sys.executable, "setup.py", "-q", "build_ext", "--inplace"]
    code = subprocess.run(command, cwd=ROOT).returncode
    output.note(seconds=time.perf_counter() - start, returncode=code)
    if args.wheels:
        output.note(wheels=install(args.wheels, args.site))
    return code or subprocess.run([sys.executable, "-c", CHECK], cwd=ROOT).returncode


def install(wheels: Path, site: Path) -> list[str]:
    """Wheels such as onnxruntime-gpu's into a folder of their own."""
    files = sorted(wheels.glob("*.whl"))
    pip = [sys.executable, "-m", "pip", "install", "-q", "--no-index", "--no-deps", "--upgrade"]
    subprocess.run([*pip, "--target", str(site), *map(str, files)], check=True)
    return [path.name for path in files]


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--wheels", type=Path, help="folder of wheels to install beside")
    parser.add_argument("--site", type=Path, help="where to")


if __name__ == "__main__":
    sys.exit(main(run, add))
