"""Hashes that are the same in every process, and differ where the content does."""

import subprocess
import sys
from dataclasses import dataclass
from enum import Enum
from pathlib import Path

import numpy as np
import pytest

from hidet_core.base.hashing import stable_hash
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, Const, Load, Var

ROOT = Path(__file__).parents[3]


class Colour(Enum):
    RED = 1
    BLUE = 2


@dataclass(frozen=True)
class Point:
    x: object
    y: object = None


DIFFERENT = [
    None, True, 1, 1.0, "1", b"1", 0.0, -0.0, float("nan"), 1 << 80,
    (), (1,), [[1]], (1, 2), (2, 1), ("ab", "c"), ("a", "bc"), {}, {1: 2}, {2: 1}, {1, 2},
    Colour.RED, Colour.BLUE, Point(1), Point(1, 2), np.int64(1), np.dtype(np.float32),
    np.arange(3), np.arange(3.0), np.arange(4), np.arange(4).reshape(2, 2),
]  # fmt: skip


def test_different_values_have_different_hashes():
    hashes = [stable_hash(value) for value in DIFFERENT]
    assert len(set(hashes)) == len(DIFFERENT)


def test_order_does_not_count_in_sets_and_mappings():
    assert stable_hash({"a": 1, "b": 2}) == stable_hash({"b": 2, "a": 1})
    assert stable_hash({"x", "y", "z"}) == stable_hash({"z", "y", "x"})
    assert stable_hash([1, 2]) == stable_hash((1, 2))


def test_every_process_agrees():
    value = "{'a': (1, 2.5, None), 'b': frozenset({'x', 'y', 'z'})}"
    code = f"from hidet_core.base.hashing import stable_hash; print(stable_hash({value}))"
    here = stable_hash(eval(value))
    for seed in ("1", "2"):
        environment = {"PYTHONPATH": str(ROOT), "PYTHONHASHSEED": seed}
        there = subprocess.check_output([sys.executable, "-c", code], env=environment, text=True)
        assert there.strip() == here


def _sum_of(first, second):
    n = Var(second)
    buffer = Buffer(first, f32, (n, 4))
    return Load(buffer, (n - 1, Const(0, i64)), f32)


def test_identities_count_by_which_one_not_by_name():
    kinds = (Var, Buffer)
    assert stable_hash(_sum_of("a", "n"), kinds) == stable_hash(_sum_of("b", "m"), kinds)
    x, y = Var("v"), Var("v")
    assert stable_hash(x + x, kinds) == stable_hash(y + y, kinds)
    assert stable_hash(x + x, kinds) != stable_hash(x + y, kinds)
    assert stable_hash(x + 1, kinds) != stable_hash(x + 2, kinds)


def test_shared_parts_cost_once_and_count_like_copies():
    x, y = Var("x"), Var("x")
    for _ in range(200):
        x, y = x * x, y * y
    assert stable_hash(x, (Var,)) == stable_hash(y, (Var,))
    shared = Point(1)
    assert stable_hash((shared, shared)) == stable_hash((Point(1), Point(1)))


def test_functions_have_no_stable_hash():
    with pytest.raises(TypeError, match="no stable hash for function"):
        stable_hash(Point(lambda: 0))
