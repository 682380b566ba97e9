"""Task mappings: every task once, composition, orders, inverse, ints and expressions alike."""

import itertools
import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Const, Var, wrap
from hidet_core.ir.simplify import Simplifier
from hidet_core.mapping import Compose, TaskMapping, custom, repeat, spatial
from tests.hidet_core.ir.integers import value_of


def atoms(dims):
    shapes = st.lists(st.integers(1, 3), min_size=dims, max_size=dims)
    ranks = st.permutations(range(dims))
    makers = st.sampled_from([spatial, repeat])
    return st.builds(lambda make, shape, order: make(*shape, ranks=order), makers, shapes, ranks)


def mappings(dims):
    return st.recursive(
        atoms(dims), lambda inner: st.builds(lambda a, b: a * b, inner, inner), max_leaves=2
    )


ANY = st.integers(1, 3).flatmap(mappings)
TRIPLES = st.integers(1, 2).flatmap(lambda dims: st.tuples(*[atoms(dims)] * 3))


def _grid(mapping):
    return list(itertools.product(*map(range, mapping.shape)))


def _all_tasks(mapping):
    return [mapping.tasks(worker) for worker in range(mapping.num_workers)]


@settings(max_examples=60, deadline=None)
@given(ANY)
def test_every_task_is_done_once(mapping):
    done = [task for tasks in _all_tasks(mapping) for task in tasks]
    assert sorted(done) == _grid(mapping)
    assert mapping.num_workers * mapping.num_steps == math.prod(mapping.shape)


@settings(max_examples=60, deadline=None)
@given(TRIPLES)
def test_composition_is_associative(triple):
    a, b, c = triple
    left, right = (a * b) * c, a * (b * c)
    assert left.shape == right.shape
    assert left.num_workers == a.num_workers * b.num_workers * c.num_workers == right.num_workers
    assert left.step_shape == right.step_shape
    assert _all_tasks(left) == _all_tasks(right)
    assert str(left) == str(right)


@settings(max_examples=60, deadline=None)
@given(TRIPLES)
def test_composition_multiplies(triple):
    a, b, _ = triple
    both = a * b
    assert both.shape == tuple(x * y for x, y in zip(a.shape, b.shape, strict=True))
    assert both.num_workers == a.num_workers * b.num_workers
    assert both.num_steps == a.num_steps * b.num_steps


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_the_inverse_leads_back(mapping):
    table = mapping.inverse()
    assert sorted(table) == _grid(mapping)
    for task, (worker, step) in table.items():
        assert mapping.tasks(worker)[step] == task


@settings(max_examples=40, deadline=None)
@given(ANY)
def test_expressions_evaluate_to_the_same_tasks(mapping):
    worker = Var("w")
    steps = tuple(Var(f"s{axis}") for axis in range(len(mapping.step_shape)))
    exprs = [wrap(index, i64) for index in mapping.task(worker, steps)]
    known = dict(zip(steps, mapping.step_shape, strict=True))
    simplifier = Simplifier({worker: mapping.num_workers, **known})
    simpler = [simplifier.simplify(expr) for expr in exprs]
    for number in range(mapping.num_workers):
        for place in itertools.product(*map(range, mapping.step_shape)):
            env = {worker: number, **dict(zip(steps, place, strict=True))}
            task = mapping.task(number, place)
            assert tuple(value_of(expr, env) for expr in exprs) == task
            assert tuple(value_of(expr, env) for expr in simpler) == task
    constant = mapping.task(Const(mapping.num_workers - 1, i64), [0] * len(steps))
    assert [value_of(wrap(i, i64), {}) for i in constant] == list(
        mapping.task(mapping.num_workers - 1, [0] * len(steps))
    )


def test_the_atoms_of_the_paper():
    assert _all_tasks(spatial(2, 2)) == [[(0, 0)], [(0, 1)], [(1, 0)], [(1, 1)]]
    assert _all_tasks(repeat(2, 2)) == [[(0, 0), (0, 1), (1, 0), (1, 1)]]
    tile = repeat(2, 1) * spatial(1, 2)
    assert _all_tasks(tile) == [[(0, 0), (1, 0)], [(0, 1), (1, 1)]]
    panel = spatial(2, 1) * repeat(1, 2)
    assert _all_tasks(panel) == [[(0, 0), (0, 1)], [(1, 0), (1, 1)]]


def test_ranks_order_workers_and_steps():
    by_column = [[(0, 0)], [(1, 0)], [(0, 1)], [(1, 1)], [(0, 2)], [(1, 2)]]
    assert _all_tasks(spatial(2, 3, ranks=[1, 0])) == by_column
    mapping = repeat(2, 3, ranks=[1, 0])
    assert mapping.step_shape == (3, 2)
    assert _all_tasks(mapping) == [[task for (task,) in by_column]]
    assert str(mapping) == "repeat(2, 3, ranks=[1, 0])"
    assert spatial(2, 3, ranks=[0, 1]) == spatial(2, 3)


def _swizzle(worker):
    row = worker // 4
    return [(row, (worker % 4 + row) % 4)]


def test_custom_mappings():
    mapping = custom((4, 4), 16, _swizzle, "swizzle")
    assert sorted(task for tasks in _all_tasks(mapping) for task in tasks) == _grid(mapping)
    rows = repeat(2, 1) * mapping
    assert rows.shape == (8, 4)
    assert rows.inverse()[7, 1] == (14, 1)
    worker = Var("w")
    expr = mapping.task(worker, (0,))
    assert [value_of(index, {worker: 7}) for index in expr] == list(mapping.tasks(7)[0])
    with pytest.raises(TypeError, match="unrolled"):
        mapping.task(worker, (Var("s"),))


def test_custom_mappings_are_what_they_do():
    """Their text, which goes into the key of the kernel cache, tells them apart."""
    swizzled = custom((4, 4), 16, _swizzle)
    again = custom((4, 4), 16, lambda w: [(w // 4, (w + w // 4) % 4)])
    plain = custom((4, 4), 16, lambda w: [(w // 4, w % 4)])
    assert swizzled == again
    assert str(swizzled) == str(again)
    assert swizzled != plain
    assert str(swizzled) != str(plain)


def test_a_task_done_twice_has_no_inverse():
    twice = custom((2,), 2, lambda w: [(w * 0,)])
    with pytest.raises(ValueError, match=r"task \(0,\) is done by workers 0 and 1"):
        twice.inverse()


WRONG = {
    "no extents": (lambda: spatial(), "extents of a task mapping are positive ints, got ()"),
    "zero": (lambda: repeat(2, 0), "positive ints, got (2, 0)"),
    "float": (lambda: repeat(2.0), "positive ints"),
    "expression": (lambda: spatial(Var("n")), "positive ints"),
    "ranks": (lambda: spatial(2, 2, ranks=[0, 0]), "ranks must be a permutation of 0..1"),
    "dims": (lambda: spatial(2) * repeat(2, 2), "cannot compose spatial(2) with repeat(2, 2)"),
    "worker": (lambda: spatial(4).on(4), "worker 4 is not in [0, 4) of spatial(4)"),
    "negative worker": (lambda: spatial(4).on(-1), "worker -1 is not in [0, 4)"),
    "workers": (lambda: custom((2,), 0, lambda w: [(w,)]), "counted by a positive int, got 0"),
    "outside": (lambda: custom((2,), 3, lambda w: [(w,)]), "task (2,) of worker 2 is outside"),
    "arity": (lambda: custom((2,), 1, lambda w: [(w, w)]), "outside the grid (2,)"),
    "uneven": (
        lambda: custom((3,), 2, lambda w: [(w,)] * (w + 1)),
        "worker 1 has 2 tasks, worker 0 has 1",
    ),
}


@pytest.mark.parametrize("name", WRONG)
def test_mistakes(name):
    make, message = WRONG[name]
    with pytest.raises(ValueError) as caught:
        make()
    assert message in str(caught.value)


def test_on_takes_any_kind_of_int():
    tile = spatial(2) * repeat(2)
    assert list(tile.on(1)) == [(2,), (3,)]
    assert list(tile.on(np.int64(1))) == [(2,), (3,)]


def test_mappings_are_values():
    tile = repeat(2, 2) * spatial(4, 8)
    assert isinstance(tile, TaskMapping)
    assert tile == Compose(repeat(2, 2), spatial(4, 8))
    assert len({tile, repeat(2, 2) * spatial(4, 8), spatial(4, 8)}) == 2
    with pytest.raises(AttributeError):
        tile.outer = spatial(1, 1)
