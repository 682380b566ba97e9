"""The own ABI headers against the truth: the official headers where they are installed, and the
onnxruntime that is running.

A header's table is its list HIDET_SLOT(struct, member, slot); the compiler checked that the structs
agree with that list. Here the list is checked. HIDET_ORT_INCLUDE may name the folder of the
official headers.
"""

import ctypes
import glob
import os
import re
import shutil
import subprocess
from pathlib import Path

import onnxruntime
import pytest

ROOT = Path(__file__).parents[2]
HEADERS = [ROOT / "ep" / "csrc" / name for name in ("ort_abi.h", "ort_callbacks.h")]
SLOT = re.compile(r"^HIDET_SLOT\((\w+), (\w+), (\d+)\);", re.MULTILINE)
SIZE = re.compile(r"sizeof\((\w+)\) == (\d+)")
CONSTANT = re.compile(r"(k\w+|ORT_\w+|ONNX_TYPE_\w+) = (\d+)")


def text():
    return "".join(header.read_text() for header in HEADERS)


def slots():
    return [(struct, name, int(slot)) for struct, name, slot in SLOT.findall(text())]


def official_headers():
    candidates = [
        os.environ.get("HIDET_ORT_INCLUDE", ""),
        str(Path(onnxruntime.__file__).parent / "include"),
        *glob.glob("/usr/include/onnxruntime*"),  # noqa: PTH207
        *glob.glob("/usr/local/include/onnxruntime*"),  # noqa: PTH207
    ]
    found = [Path(folder) for folder in candidates if folder]
    return [folder for folder in found if (folder / "onnxruntime_c_api.h").exists()]


def test_table_is_complete_and_unique():
    table = slots()
    assert len(table) > 60
    assert len({(struct, slot) for struct, _, slot in table}) == len(table)
    declared = len(re.findall(r"^  [^;#]*\(\*(\w+)\)\(", text(), re.MULTILINE))
    assert declared == len(table), "every function pointer of the header needs its HIDET_SLOT"


def test_slots_and_sizes_match_the_official_headers(tmp_path):
    headers = official_headers()
    compiler = shutil.which("g++") or shutil.which("c++")
    if not headers or compiler is None:
        pytest.skip("no official onnxruntime headers (HIDET_ORT_INCLUDE) or no C++ compiler here")
    version = int(re.search(r"kHeaderVersion = (\d+)", text())[1])
    lines = ["#include <cstddef>", "#include <onnxruntime_c_api.h>"]
    lines += [
        f'static_assert(offsetof({struct}, {name}) == {slot} * sizeof(void*), "{struct} {name}");'
        for struct, name, slot in slots()
    ]
    lines.append(f"#if ORT_API_VERSION == {version}")
    lines += [
        f'static_assert(sizeof({struct}) == {size}, "size of {struct}");'
        for struct, size in SIZE.findall(text())
    ]
    lines.append("#endif")
    source = tmp_path / "check.cc"
    source.write_text("\n".join(lines) + "\nint main() {}\n")
    command = [compiler, "-std=c++17", "-fsyntax-only", f"-I{headers[0]}", str(source)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


class RunningApi:
    """Functions of the running onnxruntime, looked up by the slots of the header."""

    def __init__(self):
        folder = Path(onnxruntime.__file__).parent / "capi"
        library = next(iter(sorted(folder.glob("libonnxruntime.so*"))), None)
        if library is None:
            pytest.skip("this onnxruntime has no shared library beside its Python module")
        base = ctypes.CDLL(str(library)).OrtGetApiBase
        base.restype = ctypes.POINTER(ctypes.c_void_p)
        self.base = base()
        self.slots = {(struct, name): slot for struct, name, slot in slots()}
        minor = int(self.version().split(".")[1])
        get_api = self._function(
            self.base, "OrtApiBase", "GetApi", ctypes.c_void_p, ctypes.c_uint32
        )
        self.api = ctypes.cast(get_api(min(29, minor)), ctypes.POINTER(ctypes.c_void_p))

    def version(self):
        return self._function(
            self.base, "OrtApiBase", "GetVersionString", ctypes.c_char_p
        )().decode()

    def function(self, name, result, *arguments):
        return self._function(self.api, "OrtApi", name, result, *arguments)

    def _function(self, table, struct, name, result, *arguments):
        address = table[self.slots[struct, name]]
        return ctypes.CFUNCTYPE(result, *arguments)(address)


@pytest.fixture(scope="module")
def running():
    return RunningApi()


def test_version_string_is_where_we_look(running):
    assert running.version() == onnxruntime.__version__


def test_status_functions_are_where_we_look(running):
    pointer = ctypes.c_void_p
    status = running.function("CreateStatus", pointer, ctypes.c_int, ctypes.c_char_p)(2, b"hello")
    assert running.function("GetErrorCode", ctypes.c_int, pointer)(status) == 2
    assert running.function("GetErrorMessage", ctypes.c_char_p, pointer)(status) == b"hello"
    running.function("ReleaseStatus", None, pointer)(status)


def test_the_plugin_table_is_where_we_look(running):
    assert running.function("GetEpApi", ctypes.c_void_p)()
