"""The object loader: what LLVM emits runs, what is damaged or not supported is an error."""

import struct
from pathlib import Path

import numpy as np
import pytest

from hidet_core import _runtime
from hidet_core._runtime import Error, Module, launch

FLOATS = np.arange(16, dtype=np.float32)
E_TYPE, E_MACHINE, E_SHOFF = 16, 18, 40


def run(image, name, arrays, scalars=(), tasks=1):
    module = Module(image)
    launch(module.address(name), list(arrays), list(scalars), tasks)


def patched(image, offset, layout, value):
    copy = bytearray(image)
    struct.pack_into(layout, copy, offset, value)
    return bytes(copy)


def sections(image):
    """(offset of its header, name, type) of every section."""
    (table,) = struct.unpack_from("<Q", image, E_SHOFF)
    count, names = struct.unpack_from("<HH", image, 60)
    headers = [table + 64 * i for i in range(count)]
    (strings,) = struct.unpack_from("<Q", image, headers[names] + 24)
    for header in headers:
        name, kind = struct.unpack_from("<II", image, header)
        yield header, image[strings + name :].split(b"\0", 1)[0].decode(), kind


def section(image, name):
    return next(header for header, each, _ in sections(image) if each == name)


def test_a_kernel_runs(objects):
    out = np.zeros(16, np.float32)
    run(objects["scale"], "scale", [FLOATS, np.array([3], np.float32), out], tasks=16)
    np.testing.assert_array_equal(out, FLOATS * 3 + FLOATS)


def test_constants_and_pointer_tables_are_relocated(objects):
    assert {".rela.text", ".rela.data.rel.ro"} <= {
        name for _, name, _ in sections(objects["tables"])
    }
    out = np.zeros(6, np.float32)
    run(objects["tables"], "tables", [out], tasks=6)
    np.testing.assert_array_equal(out, [2, 4, 8, 16, 2, 4])


def test_libc_calls_and_zeroed_data(objects):
    source = np.arange(100, dtype=np.uint8)
    out, count = np.zeros(58, np.uint8), np.zeros(1, np.int64)
    module = Module(objects["libc"])
    for calls in (1, 2):
        launch(module.address("libc"), [source, out, count], [50], 1)
        assert count[0] == calls
    np.testing.assert_array_equal(out, [*range(50), *[7] * 8])


def test_globals_through_the_got(objects):
    out = np.zeros(1, np.int64)
    run(objects["got"], "got", [out])
    assert out[0] == 42


def test_two_modules_of_one_image_have_their_own_data(objects):
    out = np.zeros(1, np.int64)
    for _ in range(2):
        run(objects["got"], "got", [out])
    assert out[0] == 42


def memory_map():
    """(begin, end, access) of every mapping of this process."""
    for line in Path("/proc/self/maps").read_text().splitlines():
        span, access = line.split()[:2]
        begin, end = (int(part, 16) for part in span.split("-"))
        yield begin, end, access


def test_no_page_is_writable_and_executable(objects):
    before = {row for row in memory_map() if "wx" in row[2]}
    module = Module(objects["libc"])
    address = module.address("libc")
    after = list(memory_map())
    assert {row for row in after if "wx" in row[2]} <= before
    assert [access for begin, end, access in after if begin <= address < end] == ["r-xp"]


def test_unknown_external_symbols_are_named(objects):
    with pytest.raises(Error, match=r"external symbol 'expf'; only memcpy, memmove and memset"):
        Module(objects["unknown"])


def test_a_missing_function_is_named(objects):
    with pytest.raises(Error, match="no function 'nothing'"):
        Module(objects["scale"]).address("nothing")


def test_other_machines_are_refused(objects):
    with pytest.raises(Error, match=r"is for AArch64 \(ELF machine 183\), expected x86-64"):
        Module(patched(objects["scale"], E_MACHINE, "<H", 183))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda image: b"", "truncated"),
        (lambda image: image[:63], "truncated"),
        (lambda image: b"\x7fFLE" + image[4:], "no ELF file"),
        (lambda image: patched(image, 4, "<B", 1), "no 64-bit little-endian"),
        (lambda image: patched(image, E_TYPE, "<H", 3), "expected a relocatable object"),
        (lambda image: patched(image, E_SHOFF, "<Q", 1 << 63), "truncated"),
        (lambda image: patched(image, 60, "<H", 0), "section headers"),
        (lambda image: patched(image, 62, "<H", 999), "string table"),
        (lambda image: patched(image, section(image, ".text") + 24, "<Q", 1 << 40), "truncated"),
        (lambda image: patched(image, section(image, ".text") + 48, "<Q", 3), "power of 2"),
        (lambda image: patched(image, section(image, ".text") + 48, "<Q", 1 << 20), "alignment"),
        (lambda image: patched(image, section(image, ".text") + 8, "<Q", 7), "not supported"),
        (lambda image: patched(image, section(image, ".bss") + 32, "<Q", 1 << 62), "memory"),
        (lambda image: patched(image, section(image, ".rela.text") + 44, "<I", 999), "section 999"),
        (lambda image: patched(image, section(image, ".rela.text") + 32, "<Q", 25), "truncated"),
        (lambda image: patched(image, section(image, ".rela.text") + 4, "<I", 9), "addends"),
    ],
)
def test_damaged_images_are_refused(objects, change, message):
    with pytest.raises(Error, match=message):
        Module(change(objects["libc"]))


def test_relocations_out_of_their_section_are_refused(objects):
    image = objects["libc"]
    (table,) = struct.unpack_from("<Q", image, section(image, ".rela.text") + 24)
    with pytest.raises(Error, match=r"section '\.text' .* is outside of it"):
        Module(patched(image, table, "<Q", 1 << 40))
    with pytest.raises(Error, match="relocation type 77"):
        Module(patched(image, table + 8, "<I", 77))
    with pytest.raises(Error, match="does not reach"):
        Module(patched(image, table + 16, "<q", 1 << 50))


def test_every_truncation_is_an_error_or_harmless(objects):
    image = objects["tables"]
    refused = 0
    for size in range(0, len(image), 7):
        try:
            Module(image[:size])
        except Error:
            refused += 1
    assert refused == len(range(0, len(image), 7))


def test_launch_checks_its_arguments(objects):
    module = Module(objects["scale"])
    address = module.address("scale")
    with pytest.raises(ValueError, match="tasks: expected >= 0, got -1"):
        launch(address, [], [], -1)
    with pytest.raises(ValueError, match="not C-contiguous"):
        launch(address, [np.zeros((4, 4), np.float32).T], [], 1)
    with pytest.raises(ValueError, match="NumPy arrays or addresses, got <class 'str'>"):
        launch(address, ["x"], [], 1)
    with pytest.raises(ValueError, match="address of the kernel is 0"):
        launch(0, [], [], 1)
    with pytest.raises(ValueError, match="threads: expected >= 1"):
        launch(address, [], [], 1, threads=0)


@pytest.mark.parametrize("threads", [1, 2, 3])
def test_launch_covers_all_tasks_with_threads(objects, threads):
    module = Module(objects["scale"])
    source = np.arange(1001, dtype=np.float32)
    for tasks in (0, 1, 5, 1001):
        out = np.full(1001, -1, np.float32)
        arrays = [source.ctypes.data, np.array([1], np.float32), out]
        launch(module.address("scale"), arrays, [], tasks, threads=threads)
        np.testing.assert_array_equal(out[:tasks], 2 * source[:tasks])
        assert (out[tasks:] == -1).all()


def test_measure_times_every_repeat(objects):
    module = Module(objects["scale"])
    arrays = [FLOATS, np.array([1], np.float32), np.zeros(16, np.float32)]
    times = _runtime.measure(module.address("scale"), arrays, [], 16, threads=1, repeats=5)
    assert len(times) == 5
    assert all(0 <= seconds < 1 for seconds in times)
