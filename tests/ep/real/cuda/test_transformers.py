"""BERT and GPT-2 of two layers through sessions on the emulated GPU, graph replay on."""

import numpy as np
import pytest

from hidet_ep import zoo
from tests.ep.real.cuda.gpu import on_gpu, reference
from tests.ep.transformers import SYMBOLIC, TINY, models

CHOSEN = ("bert traced additive", "bert dynamo boolean", "gpt2 traced")
MODELS = {name: model for name, model in models().items() if name in CHOSEN}


def both_runs(model, feeds, tolerance):
    """The first run and the replay of its graph; all nodes in one partition of ours."""
    made = on_gpu(model, feeds, tolerance=tolerance)
    assert made.claimed == made.nodes and made.partitions == 1
    first, again = (made.session.run(None, feeds) for _ in range(2))
    assert all((a == b).all() for a, b in zip(first, again, strict=True))


@pytest.mark.parametrize("name", MODELS)
def test_model(name):
    both_runs(MODELS[name], zoo.inputs(MODELS[name], 3), 1e-5)


@pytest.mark.parametrize("make", [zoo.bert, zoo.gpt2])
def test_halves(make):
    model = make(TINY, dtype="float16")
    both_runs(model, zoo.inputs(model, 3), 2e-2)


@pytest.mark.parametrize("make", [zoo.bert, zoo.gpt2])
def test_symbolic_sizes(make):
    model = make(SYMBOLIC)
    session = on_gpu(model, zoo.inputs(model, 3, {"b": 2, "s": 5}), tolerance=1e-5).session
    for batch, sequence in ((1, 16), (2, 7), (1, 1)):
        feeds = zoo.inputs(model, 4, {"b": batch, "s": sequence})
        for found, wanted in zip(session.run(None, feeds), reference(model, feeds), strict=True):
            np.testing.assert_allclose(found, wanted, 1e-4, 1e-5)
    with pytest.raises(Exception, match="sizes 17 and 16 do not broadcast"):
        session.run(None, zoo.inputs(model, 3, {"b": 1, "s": 17}))
