"""Reshape as an index map: segments, and agreement with NumPy."""

import math

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hidet_core.compute.definition import compute
from hidet_core.compute.evaluate import evaluate
from hidet_core.compute.reshaping import reshape_index, segments
from hidet_core.ir.dtypes import i64
from hidet_core.ir.expr import Buffer, Var, load
from hidet_core.ir.node import walk

N = Var("N")


def test_untouched_dims_pair_up():
    assert segments((N, 6, 5, 7), (N, 2, 3, 5, 7)) == [
        ((0,), (0,)), ((1,), (1, 2)), ((2,), (3,)), ((3,), (4,)),
    ]  # fmt: skip


def test_symbolic_dims_merge():
    assert segments((N, 4, 3), (N * 4, 3)) == [((0, 1), (0,)), ((2,), (1,))]
    assert segments((N * 4, 3), (N, 2, 6)) == [((0, 1), (0, 1, 2))]


def test_dims_of_one_join_a_neighbour():
    assert segments((2, 1, 1), (2,)) == [((0, 1, 2), (0,))]
    assert segments((1, 1), ()) == [((0, 1), ())]


def test_different_sizes_have_no_segments():
    assert segments((2, 3), (4,)) is None
    assert segments((N,), (3,)) is None
    assert segments((0, 2), (3,)) is None


def test_split_and_merged_channels_leave_other_axes_alone():
    axes = tuple(Var(f"a{k}") for k in range(4))
    index = reshape_index((8, 2, 3, 5), (8, 6, 5, 1), axes)
    assert index[0] is axes[0]
    assert index[3] is axes[2]


@st.composite
def reshapes(draw):
    factors = draw(st.lists(st.integers(1, 4), min_size=1, max_size=5))

    def cut():
        order = draw(st.permutations(factors))
        shape, run = [], 1
        for factor in order:
            run *= factor
            if draw(st.booleans()):
                shape.append(run)
                run = 1
        return tuple([*shape, run])

    return cut(), cut()


@given(reshapes())
def test_agrees_with_numpy(pair):
    source, target = pair
    assert math.prod(source) == math.prod(target)
    buffer = Buffer("x", i64, source)
    definition = compute(
        "y", i64, target, lambda *at: load(buffer, *reshape_index(source, target, at))
    )
    array = np.arange(math.prod(source)).reshape(source)
    found = evaluate([definition], {buffer: array})[definition.out]
    np.testing.assert_array_equal(found, array.reshape(target))
    assert len(list(walk(definition.value))) <= 60
