"""Classification of definitions, with NumPy as the judge of inverse maps."""

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from hidet_core.compute.classify import (
    index_maps,
    inverse_map,
    is_elementwise_in,
    is_injective,
)
from hidet_core.compute.definition import compute, reduce_over
from hidet_core.compute.evaluate import evaluate
from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Buffer, load, wrap

X = Buffer("x", f32, (3, 4))
ROW = Buffer("row", f32, (4,))


def test_elementwise_with_a_broadcast_operand():
    definition = compute(
        "y", f32, (3, 4), lambda i, j: load(X, i, j) * load(ROW, j) + load(X, i, j)
    )
    assert is_elementwise_in(definition, X)
    assert not is_elementwise_in(definition, ROW)
    assert len(index_maps(definition, X)) == 1
    assert is_injective([definition])


def test_reductions_are_not_injective():
    total = compute("y", f32, (3,), lambda i: reduce_over("sum", (4,), lambda k: load(X, i, k)))
    assert not is_injective([total])
    assert inverse_map(total, X) is None


def test_reads_elsewhere_are_not_elementwise():
    shifted = compute("y", f32, (3, 3), lambda i, j: load(X, i, j) - load(X, i, j + 1))
    assert not is_elementwise_in(shifted, X)
    assert inverse_map(shifted, X) is None


def test_broadcasts_and_slices_have_no_inverse():
    assert inverse_map(compute("y", f32, (3, 4), lambda i, j: load(ROW, j)), ROW) is None
    assert inverse_map(compute("y", f32, (3, 2), lambda i, j: load(X, i, j)), X) is None
    assert inverse_map(compute("y", f32, (3,), lambda i: load(X, i, i)), X) is None


@st.composite
def permutations(draw):
    """A buffer's shape, and for each output axis the buffer's axis (None: a new dim of 1)."""
    shape = draw(st.lists(st.integers(1, 4), min_size=1, max_size=4))
    kept = [k for k, dim in enumerate(shape) if dim > 1 or draw(st.booleans())]
    order = draw(st.permutations([*kept, *[None] * draw(st.integers(0, 2))]))
    return tuple(shape), order


@given(permutations())
def test_inverse_of_permutations(case):
    shape, order = case
    buffer = Buffer("x", i64, shape)
    out_shape = tuple(1 if axis is None else shape[axis] for axis in order)

    def value(*at):
        index = [at[order.index(k)] if k in order else wrap(0) for k in range(len(shape))]
        return load(buffer, *index)

    definition = compute("y", i64, out_shape, value)
    inverse = inverse_map(definition, buffer)
    assert inverse is not None
    array = np.arange(np.prod(shape)).reshape(shape)
    result = evaluate([definition], {buffer: array})[definition.out]
    for index in np.ndindex(*shape):
        place = tuple(int(e.value) for e in inverse([wrap(n) for n in index]))
        assert result[place] == array[index]
