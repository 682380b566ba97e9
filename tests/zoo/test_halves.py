"""Networks of the light zoo in float16 on the CPU, against float32 with the same weights (on the
emulated GPU: cuda/test_float16.py).
"""

import pytest

from hidet_ep import validate
from hidet_ep.validate import Request
from tests.zoo.cuda.accept import HALF_SEED, IMAGES

MODELS = ("resnet50", "shufflenet", "squeezenet")


@pytest.mark.parametrize("name", MODELS)
def test_model_is_right(name):
    request = Request(dtype="float16", image=IMAGES[name], seed=HALF_SEED, threads=2)
    verdict = validate.validate(name, request)
    assert not verdict.problems
    assert verdict.claimed == verdict.nodes > 0
    assert verdict.partitions == 1
