"""Which values of one root are apart, and that plans tell it."""

import itertools

import numpy as np
import pytest

from hidet_core.build.llvm import compile_object
from hidet_core.codegen import emit
from hidet_core.graph.storage import make_storable, plan_storage
from hidet_core.stages import assemble
from hidet_core.stages.parts import box_of, parts_of
from tests.hidet_core.compiled import CPU, Net, compiled, lowered, symbols_of


def elements(value, storage, sizes):
    """The places in its root that a value has, by enumeration."""
    place = storage[value]
    shape = [sizes.get(dim, dim) for dim in value.type.shape]
    offset = np.zeros(shape, np.int64) + int(place.offset)
    for axis, stride in enumerate(place.strides):
        steps = np.arange(shape[axis]) * int(sizes.get(stride, stride))
        offset += steps.reshape([-1 if k == axis else 1 for k in range(len(shape))])
    return set(offset.reshape(-1).tolist())


def joined(batch, axis, halo=False):
    """Branches of different forms that end in one concat, part of which another concat joins."""
    net = Net()
    x = net.x(batch, 6, 5, 8)
    branches = [net.relu(net.conv(x, 1, 1, 8, 8)) for _ in range(2)]
    branches.append(net.relu(branches[0]))
    both = net.concat(*branches, axis=axis)
    more = net.concat(*branches, net.relu(both if axis == 2 else x), axis=axis)
    pads = {"pads": (1, 1, 1, 1)} if halo else {}
    weights = more.type.shape[3]
    return net.done(net.conv(more, 3 if halo else 1, 3 if halo else 1, weights, 4, **pads), both)


@pytest.mark.parametrize("halo", [False, True])
@pytest.mark.parametrize("axis", [1, 2, 3])
@pytest.mark.parametrize("batch", [2, "n"])
def test_parts_with_different_numbers_have_no_common_element(batch, axis, halo):
    graph = make_storable(joined(batch, axis, halo))
    storage = plan_storage(graph)
    sizes = symbols_of(graph, {"n": 2})
    values = [value for value in storage if value not in graph.constants]
    parts = parts_of(values, storage)
    apart = 0
    for one, other in itertools.combinations(values, 2):
        if storage[one].root is not storage[other].root:
            continue
        numbers = {parts.get(one, 0), parts.get(other, 0)}
        if 0 in numbers or len(numbers) == 1:
            continue
        apart += 1
        assert not elements(one, storage, sizes) & elements(other, storage, sizes)
    assert apart >= 3


def test_views_that_are_no_boxes():
    net = Net()
    x = net.x("n", 4, 6)
    y = net.relu(x)
    graph = make_storable(net.done(net.relu(net.reshape(y, shape=(y.type.shape[0], 24)))))
    storage = plan_storage(graph)
    whole = [value for value in storage if box_of(value, storage[value]) is not None]
    assert len(whole) == len(storage)
    for value in whole:
        assert all(start == 0 for start, _ in box_of(value, storage[value]))


def test_the_plan_tells_parts():
    result = compiled(joined(1, 3))
    for kernel in result.kernels:
        kernel.image.set_result(compile_object(emit(lowered(kernel.program)), CPU))
    plan, _ = assemble(result.graph, result.storage, result.kernels)
    stored = {}
    for launch in plan.launches:
        for arg in launch.args:
            if arg.stored:
                stored.setdefault(arg.buffer, []).append(arg.part)
    shared = [parts for parts in stored.values() if len(parts) > 1]
    assert shared and all(0 not in parts and len(set(parts)) > 1 for parts in shared)
