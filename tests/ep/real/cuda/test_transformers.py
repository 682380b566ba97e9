"""BERT and GPT-2 of two layers through sessions on the emulated GPU, graph replay on."""

import pytest

from hidet_ep import zoo
from tests.ep.real.cuda.gpu import on_gpu
from tests.ep.transformers import TINY, models

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
