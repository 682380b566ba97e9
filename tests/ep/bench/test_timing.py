"""Interleaving, with a clock that the candidates themselves move."""

import pytest

from hidet_ep.bench.timing import TURN_SECONDS, WARM_UP_RUNS, interleave, summarise


class World:
    """A clock, candidates that take a given time, and a record of who ran."""

    def __init__(self):
        self.now, self.ran = 0.0, []

    def clock(self):
        return self.now

    def candidate(self, name, seconds):
        def run():
            self.now += seconds
            self.ran.append(name)

        return run


def test_median_and_spread():
    stats = summarise([0.001 * n for n in range(1, 12)])
    assert stats.median_ms == pytest.approx(6.0)
    assert (stats.p10_ms, stats.p90_ms) == (pytest.approx(2.0), pytest.approx(10.0))
    assert stats.runs == 11


def test_each_candidate_gets_its_own_time():
    world = World()
    fast, slow = world.candidate("fast", 0.002), world.candidate("slow", 0.1)
    stats = interleave([fast, slow], seconds=1.0, clock=world.clock)
    assert [s.median_ms for s in stats] == [pytest.approx(2.0), pytest.approx(100.0)]
    assert stats[0].runs > stats[1].runs >= 5
    assert world.now == pytest.approx(2.0, rel=0.5)


def test_turns_alternate_and_rotate():
    world = World()
    pair = [world.candidate("a", TURN_SECONDS), world.candidate("b", TURN_SECONDS)]
    interleave(pair, seconds=0.0, min_rounds=2, clock=world.clock)
    trial = WARM_UP_RUNS + 1
    turns = world.ran[2 * trial :]
    assert turns == list("aabb" + "bbaa")  # in each turn the first run is not counted


def test_what_precedes_a_run_is_not_timed():
    world = World()
    flush, plain = world.candidate("flush", 0.5), world.candidate("plain", 0.002)
    cold = world.candidate("cold", 0.001)
    stats = interleave([cold, plain], 0.0, 2, [flush, None], clock=world.clock)
    assert [s.median_ms for s in stats] == [pytest.approx(1.0), pytest.approx(2.0)]
    ran = world.ran[2 * (WARM_UP_RUNS + 1) :]
    assert ran[:5] == ["cold", "flush", "cold", "flush", "cold"]  # the first one is not counted
    assert ran.count("flush") == stats[0].runs
    assert ran[ran.index("plain") + 1] == "plain"


def test_rounds_have_a_minimum():
    world = World()
    (stats,) = interleave([world.candidate("x", 5.0)], 0.0, min_rounds=7, clock=world.clock)
    assert stats.runs == 7


def test_instant_candidates_do_not_run_for_ever():
    world = World()
    world.clock = lambda: 0.0
    (stats,) = interleave([lambda: None], -1.0, min_rounds=1, clock=world.clock)
    assert stats.runs <= 100
