"""The content-addressed cache of compiled kernels on disk.

in:  a key (hash of all that the code depends on)      out: the bytes stored under it, or None
Entries are files in one private folder: magic, key, length and checksum, then the bytes.  They are
written aside, synced and renamed, so a reader sees a whole entry or none, whatever dies when; a
damaged one is removed and counts as missing.  A folder that cannot be trusted or written costs one
warning, never an error: kernels are compiled anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import os
import secrets
import stat
import struct
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hidet_core.base import knobs
from hidet_core.base.hashing import stable_hash
from .fingerprint import fingerprint
from .private_folder import Refused, is_private, open_private

log = logging.getLogger("hidet_core.cache")
MAGIC = b"HIDETKC1"
HEADER = struct.Struct("<8s32sQ32s")
SUFFIX, ASIDE = ".kernel", ".aside-"
ABANDONED_SECONDS = 3600  # an aside file this old belongs to a process that died
TOUCH_SECONDS = 600  # how exactly the time of last use is kept
KEEP_FRACTION = 0.8  # of the limit, after removing the least recently used
_warned: set[str] = set()


@dataclass(frozen=True)
class Entry:
    """A file of the cache, for eviction and for people."""

    name: str
    size: int
    used: float


class KernelCache:
    """One folder of kernels. Safe for many threads and processes at once."""

    def __init__(self, descriptor: int | None, path: Path | None, limit_bytes: int) -> None:
        self.path = path
        self.limit_bytes = limit_bytes
        self.hits = self.misses = 0
        self._folder = descriptor
        self._can_write = descriptor is not None
        self._size: int | None = None

    @classmethod
    def open(cls, folder: str | Path | None = None, limit_bytes: int | None = None) -> KernelCache:
        """The cache in a folder (default: the knobs'); one that keeps nothing where it cannot."""
        if not knobs.read("HIDET_CACHE"):
            return cls.disabled()
        limit = knobs.read("HIDET_CACHE_MB") << 20 if limit_bytes is None else limit_bytes
        path = Path(folder or knobs.read("HIDET_CACHE_DIR") or knobs.user_cache() / "hidet")
        try:
            return cls(open_private(path / "kernels"), path / "kernels", limit)
        except Refused as refused:
            _warn(f"the kernel cache is not used: {refused}")
            return cls.disabled()

    @property
    def tuned(self) -> Path | None:
        """The folder of the user's tuned schedules; None: nothing is kept."""
        return None if self.path is None else self.path.parent / "tuned"

    @classmethod
    def disabled(cls) -> KernelCache:
        """Keeps nothing."""
        return cls(None, None, 0)

    @staticmethod
    def key(*material: Any) -> str:
        """The key of what depends on the material and on this compiler."""
        return stable_hash((fingerprint(), material))

    def close(self) -> None:
        if self._folder is not None:
            os.close(self._folder)
        self._folder, self._can_write = None, False

    def __enter__(self) -> KernelCache:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def get(self, key: str) -> bytes | None:
        """What was put under the key, if it is there and whole."""
        payload = self._read(_file_name(key), key)
        self.hits += payload is not None
        self.misses += payload is None
        return payload

    def put(self, key: str, payload: bytes) -> None:
        """Keep the payload; says so once where that fails."""
        if not self._can_write:
            return
        header = HEADER.pack(MAGIC, _key_bytes(key), len(payload), _checksum(key, payload))
        aside = f"{ASIDE}{os.getpid()}-{secrets.token_hex(8)}"
        try:
            self._write(aside, header + payload)
            os.rename(aside, _file_name(key), src_dir_fd=self._folder, dst_dir_fd=self._folder)
        except OSError as error:
            self._can_write = False
            _warn(f"kernels are not kept in {self.path}: {error.strerror}")
            self._remove(aside)
            return
        self._make_room(len(header) + len(payload))

    def entries(self) -> list[Entry]:
        """All entries, least recently used first."""
        return sorted(self._list(SUFFIX), key=lambda entry: entry.used)

    def clear(self) -> int:
        """Remove all entries; how many there were."""
        entries = self.entries()
        for entry in entries:
            self._remove(entry.name)
        self._size = 0
        return len(entries)

    # files

    def _read(self, name: str, key: str) -> bytes | None:
        if self._folder is None:
            return None
        flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC
        try:
            with os.fdopen(os.open(name, flags, dir_fd=self._folder), "rb") as file:
                info = os.fstat(file.fileno())
                trusted = stat.S_ISREG(info.st_mode) and is_private(info)
                content = file.read() if trusted else b""
        except FileNotFoundError:
            return None
        except OSError:
            content = b""
        payload = _payload(content, key)
        if payload is None:
            log.warning("the cached kernel %s is damaged: it is removed and compiled anew", name)
            self._remove(name)
        elif time.time() - info.st_mtime > TOUCH_SECONDS:
            with contextlib.suppress(OSError):
                os.utime(name, dir_fd=self._folder)
        return payload

    def _write(self, name: str, content: bytes) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
        with os.fdopen(os.open(name, flags, 0o600, dir_fd=self._folder), "wb") as file:
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def _remove(self, name: str) -> None:
        if self._folder is not None:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=self._folder)

    def _list(self, mark: str) -> Iterator[Entry]:
        if self._folder is None:
            return
        for name in os.listdir(self._folder):  # noqa: PTH208 (a descriptor)
            if mark not in name:
                continue
            with contextlib.suppress(OSError):  # another process may have removed it
                info = os.stat(name, dir_fd=self._folder, follow_symlinks=False)
                yield Entry(name, info.st_size, info.st_mtime)

    def _make_room(self, added: int) -> None:
        """Count what is there once, then only what is added; other processes' entries are seen
        when it is full.
        """
        if self._size is None:
            self._size = sum(entry.size for entry in self._list(SUFFIX))
            for entry in self._list(ASIDE):
                if time.time() - entry.used > ABANDONED_SECONDS:
                    self._remove(entry.name)
        else:
            self._size += added
        if self._size <= self.limit_bytes:
            return
        entries = self.entries()
        self._size = sum(entry.size for entry in entries)
        for entry in entries[:-1]:  # the newest stays, however large
            if self._size <= KEEP_FRACTION * self.limit_bytes:
                break
            self._remove(entry.name)
            self._size -= entry.size


def _file_name(key: str) -> str:
    return f"{_key_bytes(key).hex()}{SUFFIX}"


def _key_bytes(key: str) -> bytes:
    return hashlib.blake2b(key.encode(), digest_size=32).digest()


def _checksum(key: str, payload: bytes) -> bytes:
    return hashlib.blake2b(payload, key=_key_bytes(key), digest_size=32).digest()


def _payload(content: bytes, key: str) -> bytes | None:
    """The payload of a file's content if it is whole and of this key."""
    if len(content) < HEADER.size:
        return None
    magic, stored_key, length, checksum = HEADER.unpack_from(content)
    payload = content[HEADER.size :]
    whole = magic == MAGIC and stored_key == _key_bytes(key) and length == len(payload)
    return payload if whole and checksum == _checksum(key, payload) else None


def _warn(text: str) -> None:
    """Once per process and text."""
    if text not in _warned:
        _warned.add(text)
        log.warning("%s", text)
