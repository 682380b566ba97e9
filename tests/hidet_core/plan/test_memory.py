"""Lifetimes of temporary buffers."""

from hidet_core.plan import lifetimes
from hidet_core.plan.memory import NEVER


def test_from_first_to_last_use(plan):
    assert lifetimes(plan) == (NEVER, (0, 1), (1, 2), (2, 2), NEVER, NEVER, NEVER)
