"""Tuned schedules: what was measured to be best, per target, before any cost model is asked.

Tables are the package's, in tuned/ beside this file, and the user's, in the folder of the kernel
cache; the user's count only on the device for which they were measured. <target>.json is
{"schema": 1, "device": ..., "best": {problem: [template, config]}}, where a problem is its
`problem_key`, a template the name of its class, a config its text. An entry whose template or
config is not offered any more is passed over.
"""

from __future__ import annotations

import functools
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hidet_core.base.errors import CompilerBug
from hidet_core.base.hashing import stable_hash
from hidet_core.ir.expr import Buffer, Expr, Var
from hidet_core.ir.printer import text
from hidet_core.target import Target

from .problem import Problem

log = logging.getLogger("hidet_core.tuned")
SCHEMA = 1
FOLDER = Path(__file__).parent / "tuned"
HASH_DIGITS = 12


class Best(NamedTuple):
    """The template's class and the config's text."""

    template: str
    config: str


def problem_key(problem: Problem) -> str:
    """What a schedule's speed depends on, as text: equal for equal problems of different models.

    matmul f32[128, 768] const f32[768, 3072] -> f32[128, 3072] tf32
    Strides are said where a tensor is not contiguous, alignment where it is known. Operators
    without a name of their own (`injective`) count by what they compute.
    """
    inputs = [
        ("const " if constant else "computed " if computed else "") + _tensor(buffer)
        for buffer, constant, computed in zip(
            problem.inputs, problem.constant, problem.computed, strict=True
        )
    ]
    attrs = [f"{key}={problem.attrs[key]}" for key in sorted(problem.attrs)]
    flags = [name for name in ("exact", "tf32") if _flag(problem, name)]
    what = []
    if problem.op == "injective":
        what = [stable_hash(problem.definitions, (Var, Buffer))[:HASH_DIGITS]]
    return " ".join([problem.op, *attrs, *what, *inputs, "->", _tensor(problem.output), *flags])


def find(key: str, target: str) -> Best | None:
    """The tuned schedule of the problem of that key on the target of that name; None: none was
    measured.
    """
    return table(target).get(key)


@functools.cache
def table(target: str, folder: Path = FOLDER) -> Mapping[str, Best]:
    """All tuned schedules of a target; {} where there are none."""
    path = folder / f"{target}.json"
    if not path.exists():
        return {}
    data = json.loads(path.read_text())
    if data.get("schema") != SCHEMA:
        found = data.get("schema")
        raise CompilerBug("schedule", f"{path.name}: expected schema {SCHEMA}, found {found!r}")
    return {key: Best(*entry) for key, entry in data["best"].items()}


def own_table(folder: Path | None, target: Target) -> Mapping[str, Best]:
    """The user's table in a folder for this very device; {} where there is none, or one that cannot
    be read.
    """
    return _read_own(folder, target)[0]


def searched(folder: Path, target: Target) -> Mapping[str, str]:
    """By what effort each problem was searched for this device, found a better config or not."""
    return _read_own(folder, target)[1]


def _read_own(folder: Path | None, target: Target) -> tuple[dict[str, Best], dict[str, str]]:
    if folder is None:
        return {}, {}
    try:
        data = json.loads(own_path(folder, target).read_text())
        if data["schema"] != SCHEMA or data["device"] != target.device:
            return {}, {}
        best = {key: Best(*entry) for key, entry in data["best"].items()}
        return best, dict(data["searched"])
    except FileNotFoundError:
        return {}, {}
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        log.warning("the tuned table of %s in %s is not used: %s", target.name, folder, error)
        return {}, {}


def write_own_table(
    folder: Path, target: Target, best: Mapping[str, Best], effort: Mapping[str, str]
) -> Path:
    """Replaces the entries of these problems in the user's table for this device: `effort` says by
    what they were searched, `best` what is better than the default. The table of another device is
    replaced. The file is written as a whole or not at all. Raises OSError.
    """
    path, (known, done) = own_path(folder, target), _read_own(folder, target)
    whole = {key: entry for key, entry in known.items() if key not in effort} | dict(best)
    data = {
        "schema": SCHEMA,
        "device": target.device,
        "best": {key: list(entry) for key, entry in sorted(whole.items())},
        "searched": {**done, **effort},
    }
    folder.mkdir(parents=True, exist_ok=True)
    aside = path.with_suffix(f".{os.getpid()}")
    aside.write_text(json.dumps(data, indent=1) + "\n")
    aside.replace(path)
    return path


def own_path(folder: Path, target: Target) -> Path:
    return folder / f"{target.name}.json"


def _flag(problem: Problem, name: str) -> bool:
    if name == "exact":
        return problem.exact
    is_f32 = problem.output.dtype.name == "f32"
    return problem.allow_tf32 and is_f32  # of other types nothing depends on it


def _tensor(buffer: Buffer) -> str:
    told = f"{buffer.dtype.name}[{_dims(buffer.shape)}]"
    if buffer.strides is not None and not _is_contiguous(buffer.shape, buffer.strides):
        told += f" strides [{_dims(buffer.strides)}]"
    return told + (f" align {buffer.alignment}" if buffer.alignment else "")


def _is_contiguous(shape: Sequence[int | Expr], strides: Sequence[int | Expr]) -> bool:
    """For certain: dims of a size that is not known count as not contiguous."""
    expected = 1
    for dim, stride in reversed(list(zip(shape, strides, strict=True))):
        if not (isinstance(dim, int) and isinstance(stride, int) and stride == expected):
            return False
        expected *= dim
    return True


def _dims(values: Sequence[int | Expr]) -> str:
    return ", ".join(text(value) if isinstance(value, Expr) else str(value) for value in values)
