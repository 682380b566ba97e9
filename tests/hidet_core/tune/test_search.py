"""Successive halving, on times that are made up."""

import statistics

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hidet_core.tune.search import EFFORTS, GAIN, Effort, Search, is_faster

SHORT = Effort(100, 9.0, 1e9, ((2, 100), (4, 4), (8, 1)))


class Machine:
    """True ratios of configs, with noise; a clock that goes on by a second in each round."""

    def __init__(self, ratios, noise=0.0, seed=0):
        self.ratios, self.noise = ratios, noise
        self.rng = np.random.default_rng(seed)
        self.rounds, self.now = [], 0.0

    def measure(self, chosen, repeats):
        self.rounds.append((dict(chosen), repeats))
        self.now += 1.0
        found = {}
        for key, number in chosen.items():
            ratio = self.ratios[key][number]
            spread = 1 + self.noise * np.abs(self.rng.standard_normal(repeats))
            found[key] = [] if ratio is None else list(ratio * spread)
        return found

    def search(self, effort=SHORT, **more):
        sizes = {key: len(ratios) for key, ratios in self.ratios.items()}
        return Search(sizes, self.measure, effort, clock=lambda: self.now, **more)


def test_the_best_of_every_problem_is_found():
    rng = np.random.default_rng(3)
    ratios = {f"p{n}": [1.0, *rng.uniform(0.4, 2.0, 5 + 9 * n)] for n in range(5)}
    found = Machine(ratios, noise=0.02).search().run()
    for key, best in found.items():
        assert ratios[key][best] <= 1.05 * min(ratios[key])


@given(st.lists(st.floats(0.98, 5.0), max_size=12))
def test_the_default_stays_where_nothing_gains(others):
    assert Machine({"p": [1.0, *others]}).search().run() == {"p": 0}


def test_what_did_not_run_does_not_win():
    machine = Machine({"p": [1.0, None, 0.9, None], "q": [1.0, None], "one": [1.0]})
    assert machine.search().run() == {"p": 2, "q": 0, "one": 0}


def test_a_lucky_measurement_does_not_win():
    """Half of the time faster is not faster."""
    assert not is_faster([0.5, 0.5, 1.2, 1.2])
    assert is_faster([0.9, 0.9, 0.9, 1.2])
    assert not is_faster([1 - GAIN / 2] * 9)


def test_rounds_are_shared_and_fewer_in_each_pass():
    machine = Machine({"p": [1.0, *[0.9] * 40], "q": [1.0, *[0.8] * 7]})
    machine.search().run()
    repeats = [repeats for _, repeats in machine.rounds]
    assert repeats == [2] * 40 + [4] * 4 + [8]
    assert sum("q" in chosen for chosen, _ in machine.rounds) == 7 + 2 + 1


def test_what_is_hopeless_is_not_measured_again():
    machine = Machine({"p": [1.0, 1.5, 3.0, 0.9, 2.0]})
    assert machine.search().run() == {"p": 3}
    assert [chosen["p"] for chosen, _ in machine.rounds] == [1, 2, 3, 4, 3, 3]


def test_known_configs_are_not_measured_in_the_first_pass():
    machine = Machine({"p": [1.0, 0.7, 0.8, 0.9]})
    known = {("p", 1): 0.7, ("p", 3): 0.9}
    assert machine.search(known=known).run() == {"p": 1}
    assert [chosen["p"] for chosen, _ in machine.rounds] == [2, 1, 1]


@pytest.mark.parametrize("seconds", [0.5, 10.0, 60.0])
def test_the_time_is_kept(seconds):
    machine = Machine({"p": [1.0, *[0.9] * 200]})
    effort = Effort(300, 9.0, seconds, SHORT.passes)
    found = machine.search(effort).run()
    assert machine.now <= seconds + len(effort.passes)
    assert found["p"] > 0 or seconds < 1


def test_steps_tell_of_progress():
    steps, machine = [], Machine({"p": [1.0, 0.9, 0.5, 0.6], "q": [1.0]})
    machine.search(tell=steps.append).run()
    assert [step.done for step in steps] == list(range(1, len(machine.rounds) + 1))
    assert all(step.planned >= step.done and step.seconds_left >= 0 for step in steps)
    assert steps[-1].planned == steps[-1].done
    assert steps[-1].best == {"p": 0.5, "q": 1.0}


@pytest.mark.parametrize("effort", EFFORTS.values())
def test_efforts_end_with_one_config_measured_often(effort):
    repeats = [repeats for repeats, _ in effort.passes]
    most = [most for _, most in effort.passes]
    assert repeats == sorted(repeats) and most == sorted(most, reverse=True) and most[-1] == 1
    assert most[0] >= effort.configs or statistics.mean(most) > 0
