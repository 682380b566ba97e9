"""The light zoo in float16 on the CPU, against float32 with the same weights."""

import pytest

from hidet_ep import validate
from hidet_ep.validate import Request
from tests.zoo.cuda.accept import IMAGES

FAST = ("shufflenet", "squeezenet")
SEED = 1  # of the image: some bring resnet50's softmax near a tie, which float16 decides by chance


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in IMAGES]
)
def test_model_is_right(name):
    request = Request(dtype="float16", image=IMAGES[name], seed=SEED, threads=2)
    verdict = validate.validate(name, request)
    assert not verdict.problems
    assert verdict.claimed == verdict.nodes > 0
    assert verdict.partitions == 1
