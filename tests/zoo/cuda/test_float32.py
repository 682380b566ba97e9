"""float32, multiplied as such; and one network multiplied on tensor cores."""

import pytest

from hidet_ep import zoo
from tests.zoo.cuda.accept import IMAGES, accept


def test_these_are_all_models():
    assert set(IMAGES) == set(zoo.names())


@pytest.mark.parametrize("name", IMAGES)
def test_a_model_of_the_zoo(name):
    accept(name, "float32")


def test_on_tensor_cores():
    accept("squeezenet", "tf32")
