"""The definition of attention against NumPy in float64."""

import numpy as np
import pytest

from hidet_core.base.errors import Unsupported
from hidet_core.compute.types import TensorType
from hidet_core.graph.reference import run_graph
from hidet_core.ir.dtypes import f16, f32, i64
from hidet_core.ops import OPS
from tests.hidet_core.compiled import Net, feeds_of
from tests.hidet_core.schedule.attention_cases import CASES, PLAIN, attention, heads


def reference(q, k, v, mask=None, *, attrs):
    scale, causal, fill, zero_nan = (attrs[key] for key in ("scale", "causal", "fill", "zero_nan"))
    scores = np.einsum("...id,...jd->...ij", q, k) * scale
    if cap := attrs.get("softcap"):
        scores = np.tanh(scores / cap) * cap
    if mask is not None:
        scores = np.where(mask, scores, fill) if mask.dtype == bool else scores + mask
    if causal:
        rows, cols = scores.shape[-2:]
        scores = np.where(np.tri(rows, cols, cols - rows, dtype=bool), scores, -np.inf)
    if "left" in attrs:
        rows, cols = scores.shape[-2:]
        hidden = np.tri(rows, cols, cols - rows - attrs["left"] - 1, dtype=bool)
        scores = np.where(hidden, -np.inf, scores)
    with np.errstate(invalid="ignore"):
        weights = np.exp(scores - scores.max(-1, keepdims=True))
        weights /= weights.sum(-1, keepdims=True)
    return np.where(np.isnan(weights), 0, weights) @ v if zero_nan else weights @ v


@pytest.mark.parametrize("name", CASES)
def test_definition(name):
    graph = CASES[name](Net())
    feeds = feeds_of(graph)
    arrays = [a.astype(np.float64) if a.dtype.kind == "f" else a for a in feeds.values()]
    (operator,) = graph.operators
    expected = reference(*arrays, attrs=operator.attrs)
    np.testing.assert_allclose(run_graph(graph, feeds)["y0"], expected, 1e-5, 1e-6)


def test_halves_are_summed_in_f32():
    net = Net()
    graph = net.done(attention(net, *heads(net, (2, 40, 8), dtype=f16)))
    feeds = feeds_of(graph)
    wide = [array.astype(np.float64) for array in feeds.values()]
    found = run_graph(graph, feeds)["y0"]
    assert found.dtype == np.float16
    np.testing.assert_allclose(found, reference(*wide, attrs=PLAIN), 1e-3, 1e-3)


@pytest.mark.parametrize(
    ("shapes", "dtypes"),
    [
        (((2, 5, 8), (2, 5, 7), (2, 5, 8)), (f32, f32, f32)),
        (((2, 5, 8), (2, 6, 8), (2, 5, 8)), (f32, f32, f32)),
        (((2, 5, 8), (3, 5, 8), (3, 5, 8)), (f32, f32, f32)),
        (((2, 5, 8), (2, 5, 8), (2, 5, 8)), (f32, f16, f32)),
        (((2, 5, 8), (2, 5, 8), (2, 5, 8), (3, 2, 5, 5)), (f32, f32, f32, f32)),
        (((2, 5, 8), (2, 5, 8), (2, 5, 8), (2, 5, 5)), (f32, f32, f32, i64)),
        (((8,), (5, 8), (5, 8)), (f32, f32, f32)),
    ],
)
def test_what_does_not_fit_is_refused(shapes, dtypes):
    types = tuple(TensorType(d, s) for d, s in zip(dtypes, shapes, strict=True))
    with pytest.raises(Unsupported):
        OPS["attention"].infer(types, PLAIN)
