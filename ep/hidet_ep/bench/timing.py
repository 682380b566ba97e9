"""Interleaved timing: the candidates take turns, so that a slow minute of the machine hits all.

In: functions that run something once; out: Stats of each. A turn is one run that is not counted
(the caches are another candidate's until then) and as many counted runs as fill TURN_SECONDS; the
order of the turns rotates from round to round. Before the first turn every candidate runs
WARM_UP_RUNS times, in which CUDA graphs are captured.
"""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

TURN_SECONDS = 0.03
WARM_UP_RUNS = 4
MAX_RUNS_PER_TURN = 100


@dataclass(frozen=True)
class Stats:
    """Times of one candidate in milliseconds; p10 and p90 are the spread."""

    median_ms: float
    p10_ms: float
    p90_ms: float
    runs: int


def summarise(seconds: Sequence[float]) -> Stats:
    p10, median, p90 = (float(v) * 1e3 for v in np.percentile(seconds, (10, 50, 90)))
    return Stats(median, p10, p90, len(seconds))


def interleave(
    candidates: Sequence[Callable[[], object]],
    seconds: float,
    min_rounds: int = 5,
    before: Sequence[Callable[[], object] | None] | None = None,
    clock: Callable[[], float] = time.perf_counter,
) -> list[Stats]:
    """Times every candidate for about `seconds` each, never less than min_rounds turns. before:
    of each candidate, what precedes each of its runs without being timed.
    """
    first = before or [None] * len(candidates)
    runs = [_runs_per_turn(candidate, clock) for candidate in candidates]
    samples: list[list[float]] = [[] for _ in candidates]
    stop, rounds = clock() + seconds * len(candidates), 0
    while rounds < min_rounds or clock() < stop:
        for turn in range(len(candidates)):
            who = (turn + rounds) % len(candidates)
            candidates[who]()
            samples[who] += _turn(candidates[who], first[who], runs[who], clock)
        rounds += 1
    return [summarise(sample) for sample in samples]


def _turn(
    candidate: Callable[[], object],
    first: Callable[[], object] | None,
    runs: int,
    clock: Callable[[], float],
) -> list[float]:
    samples = []
    for _ in range(runs):
        if first is not None:
            first()
        samples.append(_time(candidate, clock))
    return samples


def _runs_per_turn(candidate: Callable[[], object], clock: Callable[[], float]) -> int:
    for _ in range(WARM_UP_RUNS):
        candidate()
    return max(1, min(MAX_RUNS_PER_TURN, int(TURN_SECONDS / max(_time(candidate, clock), 1e-9))))


def _time(candidate: Callable[[], object], clock: Callable[[], float]) -> float:
    start = clock()
    candidate()
    return clock() - start
