"""The kernel cache: what goes in comes out whole or not at all, whatever happens to its folder."""

import logging
import os
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path

import pytest

from hidet_core.build import cache as cache_module
from hidet_core.build.cache import ASIDE, HEADER, KernelCache

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _fresh_warnings(monkeypatch):
    monkeypatch.setattr(cache_module, "_warned", set())


@pytest.fixture
def kernels(cache_dir):
    with KernelCache.open(cache_dir) as cache:
        yield cache


def _only_file(cache):
    (entry,) = cache.entries()
    return cache.path / entry.name


def test_put_and_get(kernels):
    assert kernels.get("a") is None
    kernels.put("a", b"first")
    kernels.put("b", b"")
    kernels.put("a", b"second" * 1000)
    assert kernels.get("a") == b"second" * 1000
    assert kernels.get("b") == b""
    assert (kernels.hits, kernels.misses) == (2, 1)
    assert len(kernels.entries()) == 2
    assert kernels.clear() == 2
    assert kernels.get("a") is None


def test_folder_is_made_for_this_user_alone(tmp_path):
    previous = os.umask(0)
    try:
        with KernelCache.open(tmp_path / "new" / "cache") as cache:
            cache.put("a", b"x")
            assert cache.path.stat().st_mode & 0o777 == 0o700
            assert _only_file(cache).stat().st_mode & 0o777 == 0o600
    finally:
        os.umask(previous)


def test_place_from_the_environment(cache_dir):
    with KernelCache.open() as cache:
        assert cache.path == cache_dir / "kernels"


def test_switched_off(cache_dir, monkeypatch, caplog):
    monkeypatch.setenv("HIDET_CACHE", "off")
    cache = KernelCache.open()
    cache.put("a", b"x")
    assert cache.get("a") is None
    assert not caplog.records


def test_key_depends_on_material_and_compiler(monkeypatch):
    key = KernelCache.key("text", 1)
    assert key == KernelCache.key("text", 1)
    assert key != KernelCache.key("text", 2)
    monkeypatch.setattr(cache_module, "fingerprint", lambda: "another compiler")
    assert key != KernelCache.key("text", 1)


@pytest.mark.parametrize("damage", ["flip", "cut", "header", "empty", "grown", "other key"])
def test_damaged_entry_is_removed(kernels, damage, caplog):
    kernels.put("a", bytes(range(256)))
    file = _only_file(kernels)
    content = bytearray(file.read_bytes())
    match damage:
        case "flip":
            content[HEADER.size + 17] ^= 4
        case "cut":
            del content[-1]
        case "header":
            content[0] ^= 255
        case "empty":
            content.clear()
        case "grown":
            content += b"more"
        case "other key":
            kernels.put("b", b"of b")
            (other,) = (e for e in kernels.entries() if e.name != file.name)
            content = bytearray((kernels.path / other.name).read_bytes())
    file.write_bytes(content)
    assert kernels.get("a") is None
    assert not file.exists()
    assert "damaged" in caplog.text
    kernels.put("a", b"again")
    assert kernels.get("a") == b"again"


def test_entry_that_others_could_have_written_is_not_read(kernels):
    kernels.put("a", b"code")
    _only_file(kernels).chmod(0o666)
    assert kernels.get("a") is None


def test_entry_that_is_a_link_is_not_followed(kernels, tmp_path):
    kernels.put("a", b"code")
    file = _only_file(kernels)
    file.rename(tmp_path / "elsewhere")
    file.symlink_to(tmp_path / "elsewhere")
    assert kernels.get("a") is None


def _expect_unused(folder, caplog, *words):
    for _ in range(2):
        cache = KernelCache.open(folder)
        cache.put("a", b"x")
        assert cache.get("a") is None
        assert cache.entries() == []
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    for word in ("not used", *words):
        assert word in record.message


def test_folder_that_others_can_write_is_refused(cache_dir, caplog):
    (cache_dir / "kernels").mkdir()
    (cache_dir / "kernels").chmod(0o777)
    _expect_unused(cache_dir, caplog, "written by others", "chmod 700")


def test_folder_in_a_folder_of_everybody_is_refused(cache_dir, caplog):
    cache_dir.chmod(0o777)
    _expect_unused(cache_dir, caplog, "written by everybody")


def test_sticky_folder_of_everybody_is_fine(cache_dir):
    cache_dir.chmod(0o1777)
    with KernelCache.open(cache_dir) as cache:
        cache.put("a", b"x")
        assert cache.get("a") == b"x"


def test_folder_of_another_user_is_refused(cache_dir, caplog, monkeypatch):
    (cache_dir / "kernels").mkdir(mode=0o700)
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    _expect_unused(cache_dir, caplog, "belongs to user", "12345")


def test_folder_that_is_a_link_is_refused(cache_dir, tmp_path, caplog):
    (tmp_path / "real").mkdir(mode=0o700)
    (cache_dir / "kernels").symlink_to(tmp_path / "real")
    _expect_unused(cache_dir, caplog, "symbolic link")


def test_path_that_is_a_file_is_refused(tmp_path, caplog):
    (tmp_path / "file").write_text("")
    _expect_unused(tmp_path / "file", caplog)


def test_full_or_unwritable_disk_costs_one_warning(kernels, caplog, monkeypatch):
    kernels.put("a", b"before")

    def full(*_):
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    kernels.put("b", b"x")
    kernels.put("c", b"x")
    assert kernels.get("a") == b"before"
    assert kernels.get("b") is None
    assert caplog.text.count("No space left") == 1
    assert len(list(kernels.path.iterdir())) == 1


def test_least_recently_used_go_first(cache_dir):
    size = 1000 + HEADER.size
    with KernelCache.open(cache_dir, limit_bytes=10 * size) as cache:
        for i in range(10):
            cache.put(f"k{i}", bytes(1000))
            hour = time.time() - 3600 * (24 - i)
            os.utime(cache.path / cache_module._file_name(f"k{i}"), (hour, hour))
        assert cache.get("k0") is not None  # now it is the most recently used
        cache.put("new", bytes(1000))
        left = {f"k{i}" for i in range(10) if cache.get(f"k{i}") is not None}
        assert cache.get("new") is not None
        assert left == {"k0", *(f"k{i}" for i in range(4, 10))}
        assert sum(entry.size for entry in cache.entries()) <= 8 * size


def test_leftovers_of_dead_processes_are_removed(kernels):
    old, young = kernels.path / f"{ASIDE}1-a", kernels.path / f"{ASIDE}2-b"
    for file in (old, young):
        file.write_bytes(b"half a kernel")
    os.utime(old, (0, 0))
    kernels.put("a", b"x")
    assert not old.exists()
    assert young.exists()


WRITER = """
import sys
from hidet_core.build.cache import KernelCache
cache = KernelCache.open()
print("ready", flush=True)
number = 0
while True:
    cache.put(f"key{number % 5}", (b"%d" % (number % 5)) * 300000)
    number += 1
"""


def _expected(key):
    return b"%d" % key * 300000


def _python(code):
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    return subprocess.Popen([sys.executable, "-c", code], env=environment, stdout=subprocess.PIPE)


def test_kill_in_the_middle_of_writing(cache_dir, caplog):
    """After kill -9 at any moment every entry is whole or missing, and the next process goes on."""
    for delay in (0.003, 0.011, 0.02, 0.031):
        writer = _python(WRITER)
        writer.stdout.readline()
        time.sleep(delay)
        writer.send_signal(signal.SIGKILL)
        writer.wait()
        with KernelCache.open() as cache:
            for key in range(5):
                assert cache.get(f"key{key}") in (None, _expected(key))
            cache.put("mine", b"x")
            assert cache.get("mine") == b"x"
    assert "damaged" not in caplog.text


def test_many_processes_and_threads_at_once(cache_dir, caplog):
    writers = [_python(WRITER) for _ in range(3)]
    seen, wrong = set(), []
    try:
        for writer in writers:
            writer.stdout.readline()
        with KernelCache.open(limit_bytes=900_000) as cache:

            def work():
                for step in range(40):
                    key = step % 5
                    found = cache.get(f"key{key}")
                    if found not in (None, _expected(key)):
                        wrong.append(key)
                    seen.add(found is not None)
                    cache.put(f"key{key}", _expected(key))

            threads = [threading.Thread(target=work) for _ in range(3)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
    finally:
        for writer in writers:
            writer.kill()
            writer.wait()
    assert not wrong
    assert True in seen
    assert "damaged" not in caplog.text
