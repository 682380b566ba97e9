"""Decoding with a growing KV cache on the emulated GPU: a prompt and a few steps."""

import numpy as np
import onnxruntime as ort

from hidet_ep import zoo
from tests.ep.decoding import Decoder, decode
from tests.ep.real.cuda.gpu import open_gpu

SIZES = zoo.LlamaSizes(
    layers=1, hidden=64, heads=4, groups=2, intermediate=32, vocabulary=50, positions=16
)
STEPS = 3


def test_growing_cache():
    model = zoo.llama(SIZES)
    reference = ort.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])

    def equal(step, found):
        np.testing.assert_allclose(*found, 2e-4, 2e-5, err_msg=f"step {step}")

    decode([Decoder(reference), Decoder(open_gpu(model))], STEPS, check=equal)
