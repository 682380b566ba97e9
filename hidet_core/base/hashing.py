"""Hashes of values that are the same in every process: keys of caches.

Numbers, texts, containers, enums, NumPy arrays and dataclasses count by what they hold.  Instances
of the `identities` (variables, buffers) count by which one they are: the first met is number 0, and
so on, so that two values that differ only in the names of their variables have one hash.  Shared
parts are hashed once.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import Any

import numpy as np

DIGEST_BYTES = 16


def stable_hash(value: Any, identities: tuple[type, ...] = ()) -> str:
    """A hexadecimal digest of the value. Raises TypeError for what has no stable content
    (functions, ...).
    """
    return _Hasher(identities).digest(value).hex()


class _Hasher:
    def __init__(self, identities: tuple[type, ...]) -> None:
        self.identities = identities
        self.numbers: dict[int, int] = {}
        self.done: dict[int, bytes] = {}
        self.keep: list[Any] = []  # ids stay valid while their objects live

    def digest(self, value: Any) -> bytes:
        if not is_dataclass(value):
            return self._combine(self._plain(value))
        known = self.done.get(id(value))
        if known is None:
            self.keep.append(value)
            known = self.done[id(value)] = self._combine(self._dataclass(value))
        return known

    def _combine(self, parts: tuple[bytes, ...]) -> bytes:
        state = hashlib.blake2b(digest_size=DIGEST_BYTES)
        for part in parts:
            state.update(struct.pack("<Q", len(part)))
            state.update(part)
        return state.digest()

    def _dataclass(self, value: Any) -> tuple[bytes, ...]:
        kind = type(value)
        parts = [b"dataclass", f"{kind.__module__}.{kind.__qualname__}".encode()]
        skipped = ""
        if isinstance(value, self.identities):
            number = self.numbers.setdefault(id(value), len(self.numbers))
            parts.append(struct.pack("<Q", number))
            skipped = "name"
        for field in fields(value):
            if field.name != skipped:
                parts += [field.name.encode(), self.digest(getattr(value, field.name))]
        return tuple(parts)

    def _plain(self, value: Any) -> tuple[bytes, ...]:
        match value:
            case None | bool():
                return (b"const", str(value).encode())
            case Enum():
                return (b"enum", f"{type(value).__qualname__}.{value.name}".encode())
            case int():
                return (b"int", str(value).encode())
            case float():
                return (b"float", struct.pack("<d", value))
            case str():
                return (b"str", value.encode())
            case bytes() | bytearray():
                return (b"bytes", bytes(value))
            case tuple() | list():
                return (b"sequence", *(self.digest(item) for item in value))
            case Mapping():
                pairs = ((self.digest(k), self.digest(v)) for k, v in value.items())
                return (b"mapping", *(part for pair in sorted(pairs) for part in pair))
            case set() | frozenset():
                return (b"set", *sorted(self.digest(item) for item in value))
            case np.ndarray() | np.generic():
                kind = f"{value.dtype.str} {value.shape}"
                return (b"array", kind.encode(), np.ascontiguousarray(value).tobytes())
            case np.dtype():
                return (b"dtype", value.str.encode())
        raise TypeError(f"no stable hash for {type(value).__name__}: {value!r}")
