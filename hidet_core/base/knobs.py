"""The environment variables of the compiler: one table, read nowhere else.

`read("HIDET_DEBUG")` is the value of a knob now: typed, checked, its default where the variable is
unset or empty. A knob that changes generated code says so (`alters_code`), and `code_key()` is part
of every cache key.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from .errors import BadOption

_TRUE = ("1", "on", "true", "yes")
_FALSE = ("0", "off", "false", "no")


@dataclass(frozen=True)
class Knob:
    """kind: 'switch', 'number' or 'path' (a path that is not set is None)."""

    name: str
    kind: str
    default: Any
    help: str
    alters_code: bool = False


KNOBS = (
    Knob("HIDET_DUMP", "path", None, "folder for the text of every stage of every kernel"),
    Knob("HIDET_DEBUG", "number", 0, "1 models, 2 kernels, 3 configs, 4 source, 5 every stage"),
    Knob("HIDET_CACHE", "switch", True, "keep compiled kernels on disk"),
    Knob(
        "HIDET_CACHE_DIR", "path", None, "where to keep them (default: hidet in the user's cache)"
    ),
    Knob("HIDET_CACHE_MB", "number", 1024, "size at which the least recently used are removed"),
    Knob("HIDET_VERIFY", "switch", False, "check programs after every stage"),
    Knob(
        "HIDET_OVERRIDE", "path", None, "folder of edited dumps that replace a stage's output", True
    ),
    Knob(
        "HIDET_EARLY_LAUNCH", "switch", True, "start kernels of GPUs early (docs/runtime.md)", True
    ),
    Knob("HIDET_WORKERS", "number", -1, "compiler processes (-1: one per core, 0: none)"),
)
_BY_NAME = {knob.name: knob for knob in KNOBS}


def read(name: str) -> Any:
    """The value of a knob. Raises BadOption for a text that is not one of its values."""
    knob = _BY_NAME[name]
    text = os.environ.get(name, "").strip()
    if not text:
        return knob.default
    match knob.kind:
        case "switch":
            if text.lower() not in _TRUE + _FALSE:
                raise BadOption(name, text, _TRUE + _FALSE)
            return text.lower() in _TRUE
        case "number":
            try:
                return int(text)
            except ValueError:
                raise BadOption(name, text, "a whole number") from None
    return text


def user_cache() -> Path:
    """Where this user's programs keep what they can make again (XDG base directories)."""
    chosen = os.environ.get("XDG_CACHE_HOME")
    return Path(chosen) if chosen else Path("~/.cache").expanduser()


def code_key() -> str:
    """The knobs that change generated code, with their values."""
    return ";".join(f"{knob.name}={read(knob.name)}" for knob in KNOBS if knob.alters_code)
