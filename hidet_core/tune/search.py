"""Successive halving over the schedule spaces of all problems of a graph at once.

in:  how many configs each problem has (number 0: the default), and a function that measures one
     config of every problem in one go             out: the best config of each problem

A measurement is a ratio to the default's time, both taken in turns, so that a machine that gets
slower for a while does not change it. A pass measures all configs that are left a few times; the
best quarter goes on to the next pass, with more repeats. A config wins only where the default is
slower for certain (Jamieson and Talwalkar, AISTATS'16; AutoTVM and Ansor measure each once).
"""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

# problem -> number of its config, and how often -> problem -> ratios; none where it did not run
Measure = Callable[[Mapping[str, int], int], Mapping[str, Sequence[float]]]

GAIN = 0.03  # less is not worth another config than the default
HOPELESS = 1.3  # times the default: not measured again
KEPT = 4  # one of so many goes on


@dataclass(frozen=True)
class Effort:
    """What a search may spend. configs, within: of each problem at most so many configs, predicted
    to take at most so many times the best one's time. seconds: for all passes. passes: repeats of a
    measurement, and how many configs of a problem at most, in each pass.
    """

    configs: int
    within: float
    seconds: float
    passes: tuple[tuple[int, int], ...]


EFFORTS = {
    "fast": Effort(8, 2.0, 60.0, ((3, 8), (5, 3), (9, 1))),
    "full": Effort(256, 8.0, 520.0, ((3, 256), (5, 12), (9, 4), (15, 1))),
}


class Step(NamedTuple):
    """A measurement is done: rounds of this and of all that are planned, seconds that the planned
    ones will take (at most: until the end of the time), best ratio of each problem so far.
    """

    done: int
    planned: int
    seconds_left: float
    best: Mapping[str, float]


Tell = Callable[[Step], None]


@dataclass
class Search:
    """sizes: configs of each problem, the default included. known: ratios of configs that were
    measured before, which count as if they were measured in the first pass.
    """

    sizes: Mapping[str, int]
    measure: Measure
    effort: Effort
    known: Mapping[tuple[str, int], float] = field(default_factory=dict)
    tell: Tell = lambda step: None
    clock: Callable[[], float] = time.monotonic

    def run(self) -> dict[str, int]:
        """Of each problem the number of its best config, 0 where the default is as good."""
        self.ratios: dict[tuple[str, int], list[float]] = {
            one: [ratio] for one, ratio in self.known.items()
        }
        self.start, self.done = self.clock(), 0
        left = {key: list(range(1, size)) for key, size in self.sizes.items() if size > 1}
        for number, (repeats, most) in enumerate(self.effort.passes):
            left = {key: self._best_of(key, found, most, number) for key, found in left.items()}
            share = (number + 1) / len(self.effort.passes)
            self._pass(left, number, repeats, self.effort.seconds * share)
        return {key: self._winner(key, left.get(key, [])) for key in self.sizes}

    def _best_of(self, key: str, found: Sequence[int], most: int, number: int) -> list[int]:
        """Those that go on to a pass: of the first one all, in the cost model's order."""
        if number == 0:
            return list(found[:most])
        measured = [one for one in found if self.ratios.get((key, one))]
        good = [one for one in measured if self._ratio(key, one) < HOPELESS]
        good.sort(key=lambda one: self._ratio(key, one))
        return good[: min(most, math.ceil(len(found) / KEPT))]

    def _pass(
        self, left: Mapping[str, Sequence[int]], number: int, repeats: int, until: float
    ) -> None:
        waiting = {
            key: [one for one in found if number or (key, one) not in self.known]
            for key, found in left.items()
        }
        rounds = max(map(len, waiting.values()), default=0)
        for turn in range(rounds):
            if self.clock() - self.start > until:
                break
            self._round({key: w[turn] for key, w in waiting.items() if turn < len(w)}, repeats)
            self._report(rounds - turn - 1, number)

    def _round(self, chosen: Mapping[str, int], repeats: int) -> None:
        for key, ratios in self.measure(chosen, repeats).items():
            self.ratios.setdefault((key, chosen[key]), []).extend(ratios)
        self.done += 1

    def _report(self, rounds_left: int, number: int) -> None:
        planned = self.done + rounds_left + self._later(number)
        took = self.clock() - self.start
        expected = took / self.done * (planned - self.done)
        seconds_left = max(min(expected, self.effort.seconds - took), 0.0)
        best = dict.fromkeys(self.sizes, 1.0)
        for (key, _), ratios in self.ratios.items():
            if ratios:
                best[key] = min(best.get(key, 1.0), statistics.median(ratios))
        self.tell(Step(self.done, planned, seconds_left, best))

    def _later(self, number: int) -> int:
        """Rounds of the passes after this one, if as many configs as may go on do so."""
        widest = max(self.sizes.values(), default=1) - 1
        later = 0
        for _, most in self.effort.passes[number + 1 :]:
            widest = min(most, math.ceil(widest / KEPT))
            later += widest
        return later

    def _ratio(self, key: str, one: int) -> float:
        return statistics.median(self.ratios[key, one])

    def _winner(self, key: str, left: Sequence[int]) -> int:
        measured = [one for one in left if self.ratios.get((key, one))]
        if not measured:
            return 0
        best = min(measured, key=lambda one: self._ratio(key, one))
        return best if is_faster(self.ratios[key, best]) else 0


def is_faster(ratios: Sequence[float], gain: float = GAIN) -> bool:
    """Whether these ratios to a default's time are less than one for certain: by `gain` in the
    middle, and in three of four measurements at all.
    """
    upper = sorted(ratios)[math.ceil(len(ratios) * 3 / 4) - 1]
    return statistics.median(ratios) <= 1 - gain and upper < 1
