"""The numbers of a seed: these, on every machine and with every version of Python and NumPy."""

import numpy as np

from hidet_ep.fuzz.draws import Draws


def test_the_stream_of_a_seed_is_fixed():
    draws = Draws(7)
    assert [draws.integer(0, 99) for _ in range(8)] == [55, 25, 8, 75, 17, 4, 98, 72]
    assert draws.number(-1, 1) == 0.6228009019763894
    assert draws.words(2).tolist() == [8666808343407542606, 14649433028188582651]


def test_ranges_include_both_ends():
    draws = Draws(1)
    seen = {draws.integer(-1, 2) for _ in range(100)}
    assert seen == {-1, 0, 1, 2}
    array = draws.integers((50, 3), -2, 1)
    assert array.dtype == np.int64 and set(array.flat) == {-2, -1, 0, 1}
    floats = draws.floats((100,), 3.0, 4.0)
    assert floats.min() >= 3.0 and floats.max() < 4.0


def test_choices():
    draws = Draws(2)
    assert sorted(draws.shuffled("abcd")) == list("abcd")
    assert {draws.weighted([("a", 1), ("b", 0), ("c", 2)]) for _ in range(60)} == {"a", "c"}
    assert all("b" in draws.subset("b", least=1) for _ in range(5))
