"""Small networks against ONNX Runtime, and what the passes make of them."""

import numpy as np
import pytest

from hidet_core.graph.graph import count_ops
from hidet_core.graph.passes import PASSES
from tests.hidet_core.importer.networks import NETWORKS, channel_shuffle
from tests.hidet_core.importer.one_node import compare, import_model


@pytest.mark.parametrize("name", NETWORKS)
def test_matches_onnx_runtime(name, rng):
    model = NETWORKS[name]()
    shape = [dim.dim_value for dim in model.graph.input[0].type.tensor_type.shape.dim]
    compare(model, {"x": rng.standard_normal(shape).astype(np.float32)}, 1e-4, 1e-5)


@pytest.mark.parametrize("name", NETWORKS)
def test_after_the_passes(name, golden):
    golden(str(import_model(NETWORKS[name]())[1]))


@pytest.mark.parametrize("name", NETWORKS)
def test_a_second_run_of_any_pass_changes_nothing(name):
    graph = import_model(NETWORKS[name]())[1]
    for one in PASSES:
        assert one(graph) is graph, one.__name__


def test_batch_one_shuffles_in_place_too(rng):
    model = channel_shuffle(batch=1)
    compare(model, {"x": rng.standard_normal((1, 4, 5, 5)).astype(np.float32)}, 1e-4, 1e-5)
    counts = count_ops(import_model(model)[1])
    assert counts["transpose"] == 3, "one at the input, one at the output, one for the shuffle"
