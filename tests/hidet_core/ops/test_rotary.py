"""The definition of rotary embedding against complex numbers, and its kernels."""

import numpy as np
import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.compute.types import TensorType
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f16, f32
from hidet_core.ops import OPS
from tests.hidet_core.compiled import Net, compare, compiled, feeds_of


def turned(x, cos, sin, interleaved):
    half = cos.shape[-1]
    part = x[..., : 2 * half]
    pairs = part.reshape(*part.shape[:-1], *((half, 2) if interleaved else (2, half)))
    axis = -1 if interleaved else -2
    a, b = (np.take(pairs, k, axis) for k in range(2))
    z = (a + 1j * b) * (cos + 1j * sin)
    pairs = np.stack([z.real, z.imag], axis).reshape(part.shape)
    return np.concatenate([pairs, x[..., 2 * half :]], -1)


@pytest.mark.parametrize("dtype", [f32, f16])
@pytest.mark.parametrize("width", [8, 11])
@pytest.mark.parametrize("interleaved", [False, True])
def test_rotary(interleaved, width, dtype):
    net = Net()
    x = net.x(2, 3, 5, width, dtype=dtype)
    cos, sin = (net.x(1, 1, 5, 4, dtype=dtype) for _ in range(2))
    graph = net.done(net.rotary(x, cos, sin, interleaved=interleaved))
    feeds = feeds_of(graph)
    wide = (array.astype(np.float64) for array in feeds.values())
    wanted = {"y0": turned(*wide, interleaved).astype(dtype.numpy)}
    for found in (run_graph(graph, feeds), compiled(graph).run(feeds)):
        compare(found, wanted)


def test_an_angle_for_each_element():
    """Where both of a pair have the same angle it is the same rotation."""
    net = Net()
    x, cos, sin = net.x(2, 5, 8), net.x(5, 4), net.x(5, 4)
    twice = (net.concat(part, part, axis=1) for part in (cos, sin))
    whole = net.rotary(x, *twice, interleaved=False, whole=True)
    graph = net.done(whole, net.rotary(x, cos, sin, interleaved=False))
    found = compiled(graph).run(feeds_of(graph))
    np.testing.assert_allclose(found["y0"], found["y1"], 1e-6, 1e-6)


@pytest.mark.parametrize("shapes", [((2, 5, 8), (5, 5)), ((2, 5, 8), (4, 4)), ((5, 8), (2, 5, 4))])
def test_what_does_not_fit_is_refused(shapes):
    x, cos = (TensorType(f32, shape) for shape in shapes)
    with pytest.raises(Unsupported):
        OPS["rotary"].infer((x, cos, cos), {"interleaved": False})
