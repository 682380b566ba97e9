"""Build of the distribution: what pyproject.toml cannot say, namely the packages and the C++.

One CMake project makes all native files: libhidet_ep.so (the plugin), hidet_ep._bridge and
hidet_core._runtime (Python modules), libhidet_emucuda.so (the emulated CUDA driver). They are
installed beside the Python files they belong to,
in the wheel's tree or, for `pip install -e .` and `build_ext --inplace`, in the source tree.
"""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pybind11
from setuptools import Extension, find_packages, setup
from setuptools.command.build_ext import build_ext

ROOT = Path(__file__).parent.resolve()
MODULES = ("hidet_ep._bridge", "hidet_core._runtime")


def find_tool(name):
    """A build tool: of this environment even when it is not activated, else of PATH."""
    beside = Path(sys.executable).parent / name
    found = str(beside) if beside.exists() else shutil.which(name)
    if found is None:
        sys.exit(f"{name} is needed to build the C++ part: pip install {name}")
    return found


def semantic_version(version):
    """PEP 440 -> SemVer 2.0, which ONNX Runtime demands: 0.2.0rc1 -> 0.2.0-rc1."""
    return re.sub(r"^(\d+\.\d+\.\d+)\.?([a-z])", r"\1-\2", version)


class CMakeBuild(build_ext):
    """Configure, build and install the CMake project once, for all extension modules."""

    def run(self):
        build_dir = Path(self.build_temp).resolve() / "cmake"
        build_dir.mkdir(parents=True, exist_ok=True)
        cmake = find_tool("cmake")
        self.spawn([cmake, "-S", str(ROOT), "-B", str(build_dir), *self.settings()])
        jobs = os.environ.get("CMAKE_BUILD_PARALLEL_LEVEL", str(os.cpu_count() or 1))
        self.spawn([cmake, "--build", str(build_dir), "--parallel", jobs])
        subprocess.run([cmake, "--install", str(build_dir)], check=True, stdout=subprocess.DEVNULL)

    def settings(self):
        prefix = ROOT if self.inplace else Path(self.build_lib).resolve()
        return [
            "-GNinja",
            f"-DCMAKE_MAKE_PROGRAM={find_tool('ninja')}",
            f"-DCMAKE_BUILD_TYPE={'Debug' if self.debug else 'Release'}",
            f"-DCMAKE_INSTALL_PREFIX={prefix}",
            f"-DHIDET_EP_DIR={'ep/hidet_ep' if self.inplace else 'hidet_ep'}",
            f"-DHIDET_VERSION={semantic_version(self.distribution.get_version())}",
            f"-DPython_EXECUTABLE={sys.executable}",
            f"-Dpybind11_DIR={pybind11.get_cmake_dir()}",
        ]


setup(
    packages=[*find_packages("ep"), *find_packages(".", include=["hidet_core", "hidet_core.*"])],
    package_dir={"hidet_ep": "ep/hidet_ep", "hidet_core": "hidet_core"},
    package_data={
        "hidet_ep": ["py.typed"],
        "hidet_core": [
            "py.typed",
            "codegen/cuda/*.h",
            "emulator/device/*.h",
            "schedule/tuned/*.json",
        ],
    },
    ext_modules=[Extension(name, []) for name in MODULES],
    cmdclass={"build_ext": CMakeBuild},
    zip_safe=False,
)
