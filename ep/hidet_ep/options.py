"""The options of the provider: one table, the dataclass `Options`.

In: the texts a user gave, ("HidetEP", {"tuning": "off"}). Out: a checked, typed `Options`, or
BadOption naming the option, the value and what is allowed. Each field is a row of the table: type,
default, rule, help.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import Field, dataclass, field, fields
from typing import Any

from hidet_core import BadOption

PROVIDER_NAME = "HidetEP"


@dataclass(frozen=True)
class Rule:
    """How a row reads a text: `read` raises ValueError for what is not in `allowed`."""

    read: Callable[[str], Any]
    allowed: str
    help: str


def _choice(default: str, choices: tuple[str, ...], help: str, note: str = "") -> Any:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return field(default=default, metadata={"rule": Rule(read, ", ".join(choices) + note, help)})


def _switch(default: bool, help: str) -> Any:
    words = {"on": True, "off": False, "1": True, "0": False, "true": True, "false": False}

    def read(text: str) -> bool:
        if text.lower() not in words:
            raise ValueError(text)
        return words[text.lower()]

    return field(default=default, metadata={"rule": Rule(read, "on, off", help)})


def _integer(default: int, low: int, high: int, help: str) -> Any:
    def read(text: str) -> int:
        number = int(text)
        if not low <= number <= high:
            raise ValueError(text)
        return number

    rule = Rule(read, f"a whole number from {low} to {high}", help)
    return field(default=default, metadata={"rule": rule})


def _folder(default: str, help: str) -> Any:
    return field(default=default, metadata={"rule": Rule(str, "a path", help)})


@dataclass(frozen=True)
class Options:
    """What a session asked for."""

    target: str = _choice(
        "auto",
        ("auto", "cpu"),
        "what to compile for; auto: the best this machine has",
        note=" (this build has no CUDA target)",
    )
    tuning: str = _choice(
        "off",
        ("off",),
        "how much time to spend on the search for better schedules",
        note=" (this build has no tuner)",
    )
    cache: bool = _switch(True, "keep compiled kernels on disk for later sessions")
    cache_dir: str = _folder("", "where to keep them; empty: HIDET_CACHE_DIR or the user's cache")
    dump_dir: str = _folder("", "write every stage of every kernel there; empty: HIDET_DUMP")
    debug: int = _integer(0, 0, 5, "how much the compiler tells, see docs")
    winograd: bool = _switch(
        True,
        "allow Winograd's 3x3 convolutions: faster, errors some 10 times those of direct sums",
    )
    claim: str = _choice(
        "useful",
        ("useful", "all"),
        "useful: leave groups that compute nothing to ONNX Runtime; all: take what is supported",
    )
    min_partition_nodes: int = _integer(1, 1, 1 << 20, "take no group with fewer nodes")


def parse(given: Mapping[str, object]) -> Options:
    """Texts -> Options; raises BadOption."""
    rows = {row.name: row for row in fields(Options)}
    values = {}
    for key, value in given.items():
        if key not in rows:
            raise BadOption(key, value, _unknown(key, list(rows)))
        values[key] = _read(rows[key], value)
    return Options(**values)


def provider(**options: object) -> tuple[str, dict[str, str]]:
    """An entry for `providers=[...]`, checked here and now.

    ONNX Runtime itself reports a bad option late: it prints "EP Error" and goes on with its CPU
    provider, unless InferenceSession is called with enable_fallback=0.
    """
    texts = {key: _text(value) for key, value in options.items()}
    parse(texts)
    return PROVIDER_NAME, texts


def describe() -> list[tuple[str, str, str, str]]:
    """(key, default, allowed, help) of every option, for help texts and docs."""
    return [
        (row.name, _text(row.default), row.metadata["rule"].allowed, row.metadata["rule"].help)
        for row in fields(Options)
    ]


def _text(value: object) -> str:
    return ("off", "on")[value] if isinstance(value, bool) else str(value)


def _read(row: Field[Any], value: object) -> Any:
    rule: Rule = row.metadata["rule"]
    try:
        return rule.read(_text(value))
    except ValueError:
        raise BadOption(row.name, value, rule.allowed) from None


def _unknown(key: str, known: list[str]) -> str:
    close = difflib.get_close_matches(key, known, n=1)
    hint = f", did you mean {close[0]!r}?" if close else ";"
    return f"nothing, there is no such option{hint} (options: {', '.join(known)})"
