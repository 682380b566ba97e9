"""float16, against float32 with the same weights on the CPU provider."""

import pytest

from tests.zoo.cuda.accept import HALF_SEED, IMAGES, accept


@pytest.mark.parametrize("name", IMAGES)
def test_a_model_of_the_zoo(name):
    accept(name, "float16", HALF_SEED)
