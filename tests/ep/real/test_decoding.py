"""64 steps of decoding with a growing KV cache on the CPU: one compilation, each step equal to the
CPU provider.
"""

import numpy as np
import onnxruntime as ort
import pytest

from hidet_ep import zoo
from hidet_ep.bench.providers import Provider, assignment
from hidet_ep.handover import collect_reports
from tests.ep.decoding import PROMPT, SIZES, Decoder, decode
from tests.ep.real.sessions import CPU, HIDET, open_session

STEPS = 64
KERNELS_PER_LAYER = 11  # norm, projections, two caches, attention, output; norm, three of the MLP
FIXED = 8  # embedding, mask, positions, angles, last norm and logits


def equal(step, found):
    wanted, mine = found
    np.testing.assert_allclose(mine, wanted, 2e-4, 2e-5, err_msg=f"step {step}")


@pytest.mark.parametrize(
    ("spelling", "padding"), [("primitives", 0), ("primitives", 3), ("grouped", 0)]
)
def test_growing_cache(spelling, padding):
    model = zoo.llama(SIZES, spelling)
    with collect_reports() as reports:
        mine = open_session(model)
    reference = ort.InferenceSession(model.SerializeToString(), providers=[CPU])
    decoders = [Decoder(reference), Decoder(mine)]
    decode(decoders, STEPS, padding, equal)
    assert decoders[1].length == PROMPT + STEPS
    for name, cache in decoders[0].past.items():
        np.testing.assert_allclose(decoders[1].past[name], cache, 1e-4, 1e-5, err_msg=name)
    counts = assignment(mine, Provider(HIDET))
    assert counts.partitions == 1 and counts.claimed == counts.nodes
    (part,) = reports[-1].result.partitions
    listed = ["+".join(kernel.ops) for kernel in part.compiled.report.kernels]
    assert len(listed) <= KERNELS_PER_LAYER * SIZES.layers + FIXED, "\n".join(listed)
    assert sum("attention" in kernel for kernel in listed) == SIZES.layers
