"""Random numbers that depend on a seed and nothing else: no machine, no version of Python or NumPy.

splitmix64 (Steele, Lea and Flood, 2014), for single numbers and, by counters, for arrays.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
MASK = (1 << 64) - 1
STEP = 0x9E3779B97F4A7C15
FIRST, SECOND = 0xBF58476D1CE4E5B9, 0x94D049BB133111EB


def _mixed(state: int) -> int:
    state = ((state ^ (state >> 30)) * FIRST) & MASK
    state = ((state ^ (state >> 27)) * SECOND) & MASK
    return state ^ (state >> 31)


class Draws:
    """A stream of numbers. Ranges include both ends."""

    def __init__(self, seed: int) -> None:
        self.state = _mixed(seed & MASK)

    def bits(self) -> int:
        self.state = (self.state + STEP) & MASK
        return _mixed(self.state)

    def integer(self, low: int, high: int) -> int:
        return low + self.bits() % (high - low + 1)

    def chance(self, probability: float) -> bool:
        return (self.bits() >> 11) < probability * (1 << 53)

    def number(self, low: float, high: float) -> float:
        return low + (high - low) * ((self.bits() >> 11) / (1 << 53))

    def pick(self, items: Sequence[T]) -> T:
        return items[self.integer(0, len(items) - 1)]

    def weighted(self, items: Sequence[tuple[T, float]]) -> T:
        left = self.number(0.0, sum(weight for _, weight in items))
        for item, weight in items:
            left -= weight
            if left < 0:
                return item
        return items[-1][0]

    def shuffled(self, items: Sequence[T]) -> list[T]:
        left = list(items)
        return [left.pop(self.integer(0, len(left) - 1)) for _ in range(len(left))]

    def subset(self, items: Sequence[T], least: int = 0) -> list[T]:
        """At least that many of the items, in their order."""
        kept = self.shuffled(range(len(items)))[: self.integer(least, len(items))]
        return [items[k] for k in sorted(kept)]

    def words(self, count: int) -> np.ndarray:
        """uint64[count]."""
        with np.errstate(over="ignore"):
            z = np.uint64(self.bits()) + np.arange(1, count + 1, dtype=np.uint64) * np.uint64(STEP)
            z = (z ^ (z >> np.uint64(30))) * np.uint64(FIRST)
            z = (z ^ (z >> np.uint64(27))) * np.uint64(SECOND)
            return z ^ (z >> np.uint64(31))

    def floats(self, shape: Sequence[int], low: float, high: float) -> np.ndarray:
        """float64 in [low, high)."""
        unit = (self.words(int(np.prod(shape))) >> np.uint64(11)).astype(np.float64) / (1 << 53)
        return (low + (high - low) * unit).reshape(shape)

    def integers(self, shape: Sequence[int], low: int, high: int) -> np.ndarray:
        """int64 in [low, high]."""
        words = self.words(int(np.prod(shape))) % np.uint64(high - low + 1)
        return (words.astype(np.int64) + low).reshape(shape)
