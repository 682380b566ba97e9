"""Tuned schedules: what was measured to be best, per target, before any cost model is asked.

tuned/<target>.json: {"schema": 1, "device": ..., "best": {problem: [template, config]}}, where a
problem is its `problem_key`, a template the name of its class, a config its text. An entry whose
template or config is not offered any more is passed over.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from hidet_core.base.errors import CompilerBug
from hidet_core.base.hashing import stable_hash
from hidet_core.ir.expr import Buffer, Expr, Var
from hidet_core.ir.printer import text

from .problem import Problem

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
