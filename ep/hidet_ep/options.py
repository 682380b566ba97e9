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

from hidet_core import TARGETS, BadOption

PROVIDER_NAME = "HidetEP"
ALIASES = {"use_tf32": "allow_tf32"}  # as the CUDA provider calls it
UNSIGNED_64 = (1 << 64) - 1


@dataclass(frozen=True)
class Rule:
    """How a row reads a text: `read` raises ValueError for what is not in `allowed`."""

    read: Callable[[str], Any]
    allowed: str
    help: str


def _choice(default: str, choices: tuple[str, ...], help: str) -> Any:
    def read(text: str) -> str:
        if text not in choices:
            raise ValueError(text)
        return text

    return field(default=default, metadata={"rule": Rule(read, ", ".join(choices), help)})


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


def _number(default: int, high: int, help: str) -> Any:
    """A whole number, in decimal or as 0x..."""

    def read(text: str) -> int:
        number = int(text, 0)
        if not 0 <= number <= high:
            raise ValueError(text)
        return number

    return field(default=default, metadata={"rule": Rule(read, "a whole number", help)})


def _sizes(help: str) -> Any:
    """NAME=N, several with spaces between them."""

    def read(text: str) -> str:
        for word in text.split():
            name, _, size = word.rpartition("=")
            if not name or not size.isdecimal():
                raise ValueError(text)
        return text

    rule = Rule(read, "NAME=N NAME=N ...", help)
    return field(default="", metadata={"rule": rule})


def _folder(default: str, help: str) -> Any:
    return field(default=default, metadata={"rule": Rule(str, "a path", help)})


@dataclass(frozen=True)
class Options:
    """What a session asked for."""

    target: str = _choice(
        "auto",
        TARGETS,
        "what to compile for; auto: the GPU where there is one and NVRTC is installed, else the "
        "CPU; cuda: the GPU; sm_..: the GPU, as that architecture",
    )
    device_id: int = _integer(0, 0, 255, "which GPU, as the CUDA driver counts them")
    gpu_mem_limit: int = _number(
        0, UNSIGNED_64, "bytes of GPU memory that a session may take; 0: no limit"
    )
    user_compute_stream: int = _number(
        0, UNSIGNED_64, "address of a CUstream on which to run; 0: streams of our own"
    )
    enable_cuda_graph: bool = _switch(
        True, "replay a CUDA graph per input shape instead of launching kernel by kernel"
    )
    allow_tf32: bool = _switch(
        True, "multiply float32 on the GPU's tensor cores, which keep 10 bits of the fraction"
    )
    tuning: str = _choice(
        "off",
        ("off", "fast", "full"),
        "measure schedules when the session is created, once for each model and machine: fast up "
        "to about a minute, full up to ten; what is found serves all later sessions, off included",
    )
    tuning_sizes: str = _sizes(
        "sizes of symbolic dims to measure with; others are 1 in the first axis, else 64"
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
        name = ALIASES.get(key, key)
        if name not in rows:
            raise BadOption(key, value, _unknown(key, list(rows)))
        if name in values and values[name] != _read(rows[name], value):
            raise BadOption(key, value, f"the value of {name}, which is the same option")
        values[name] = _read(rows[name], value)
    return Options(**values)


def as_texts(options: Mapping[str, object]) -> dict[str, str]:
    """Values as ONNX Runtime passes them on."""
    return {key: _text(value) for key, value in options.items()}


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
