"""Our declarations of CUDA's ABI against the official cuda.h, where one is installed."""

import re
import subprocess
from pathlib import Path

import pytest

from hidet_core.emulator import FOLDER, compiler

DRIVER = FOLDER / "driver"
HEADER = FOLDER.parent / "runtime/cuda/cuda_abi.h"
OFFICIAL = [*sorted(Path("/usr/local").glob("cuda*/include/cuda.h")), Path("/usr/include/cuda.h")]
FOUND = [path for path in OFFICIAL if path.exists()]
ENUMERATOR = re.compile(r"^  (CU(?:DA)?_\w+) = ", re.MULTILINE)
STRUCT = re.compile(r"^struct (\w+) \{(.*?)^\};", re.MULTILINE | re.DOTALL)
FIELD = re.compile(r"(\w+)(?:\[\d+\])?(?=[,;])")
FUNCTION = re.compile(r"^HIDET_EMU_API (cu\w+)\(([^{]*)\) \{", re.MULTILINE)
MADE_UP = {"reserved", "reserved0", "reserved1", "pad", "bytes", "x", "y", "z"}

pytestmark = [
    pytest.mark.skipif(compiler() is None, reason="no C++ compiler"),
    pytest.mark.skipif(not FOUND, reason="no cuda.h"),
]


def functions():
    sources = "".join(path.read_text() for path in sorted(DRIVER.glob("api_*.cc")))
    return FUNCTION.findall(sources)


def expressions():
    """Values of our header that must be equal: constants, sizes, offsets."""
    text = HEADER.read_text()
    yield from ENUMERATOR.findall(text)
    for name, body in STRUCT.findall(text):
        yield f"sizeof({name})"
        plain = re.sub(r"//.*|union \{.*\} value;", "", body, flags=re.DOTALL)
        fields = [field for field in FIELD.findall(plain) if field not in MADE_UP]
        yield from (f"offsetof({name}, {field})" for field in fields)


def run(tmp_path, include, body):
    source, program = tmp_path / "abi.cc", tmp_path / "abi"
    source.write_text(f"#include <cstddef>\n#include <cstdio>\n{include}\n{body}")
    command = ["g++", "-std=c++17", "-w", str(source), "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return subprocess.run([program], capture_output=True, text=True, check=True).stdout


def test_constants_and_layouts(tmp_path):
    names = list(expressions())
    assert len(names) > 150
    lines = "".join(f'  std::printf("%s %lld\\n", "{n}", (long long)({n}));\n' for n in names)
    body = f"int main() {{\n{lines}}}\n"
    ours = run(tmp_path, f'#include "{HEADER}"', body)
    assert ours == run(tmp_path, f'#include "{FOUND[-1]}"', body)


def test_signatures(tmp_path):
    checks = "".join(
        f"CUresult (*check_{name})({arguments}) = nullptr;\n"
        f"static_assert(sizeof(check_{name} = &{name}) > 0);\n"
        for name, arguments in functions()
        if not name.startswith("hidet")
    )
    include = f'#define __CUDA_API_VERSION_INTERNAL\n#include "{FOUND[-1]}"'
    run(tmp_path, include, f"{checks}int main() {{}}\n")


def test_enough_functions():
    assert len(functions()) >= 90
