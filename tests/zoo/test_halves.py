"""The light zoo in float16: on the CPU, and (a sample, the rest being slow) on the emulated GPU.

Both providers round weights alike; activations between kernels are float16 here, and mostly float32
inside ONNX Runtime, so what counts is the error against the network in float32.
"""

import numpy as np
import pytest

from hidet_ep import zoo
from hidet_ep.bench.compare import max_relative_error
from tests.ep.real.sessions import check, reference
from tests.zoo.test_zoo import MODELS

IMAGE = 32
FAST = ("squeezenet",)
ROUNDED = 1.5e-2  # of the output's scale: what twenty layers of rounding may add


def _check(name, options):
    single = zoo.build(name, image=IMAGE)
    model = zoo.to_float16(single)
    feeds = zoo.inputs(model, seed=3)
    made = check(model, feeds, options, tolerance=0.1)
    assert made.claimed == made.nodes and made.partitions == 1
    wanted = reference(single, {key: array.astype(np.float32) for key, array in feeds.items()})
    errors = []
    for outputs in (made.session.run(None, feeds), reference(model, feeds)):
        assert all(array.dtype == np.float16 for array in outputs)
        errors.append(max_relative_error([a.astype(np.float32) for a in outputs], wanted))
    assert errors[0] <= errors[1] + ROUNDED, f"{errors[0]:.1e}, ONNX Runtime has {errors[1]:.1e}"


@pytest.mark.parametrize("name", MODELS)
def test_on_the_cpu(name):
    _check(name, None)


@pytest.mark.parametrize(
    "name", [pytest.param(n, marks=() if n in FAST else pytest.mark.slow) for n in MODELS]
)
def test_on_the_emulated_gpu(name, monkeypatch):
    monkeypatch.setenv("HIDET_CUDA_DRIVER", "emulated")
    _check(name, {"target": "cuda"})
