"""BERT and GPT-2 of two layers through sessions on the CPU: right, wholly claimed, one kernel for
each attention, no layout kernels.
"""

import numpy as np
import pytest

from hidet_ep import zoo
from hidet_ep.bench.compare import max_relative_error
from hidet_ep.handover import collect_reports
from tests.ep.real.sessions import LEVELS, check, open_session, reference, settings
from tests.ep.transformers import KERNELS, SYMBOLIC, models

MODELS = models()
HALVES = {name: model for name, model in models("float16").items() if "primitives" not in name}


def kernels_of(model, **options):
    """The operators of each kernel, as the session compiles them."""
    with collect_reports() as reports:
        open_session(model, options)
    (part,) = reports[-1].result.partitions
    return [kernel.ops for kernel in part.compiled.report.kernels]


@pytest.mark.parametrize("level", ["ORT_ENABLE_ALL", "ORT_DISABLE_ALL"])
@pytest.mark.parametrize("name", MODELS)
def test_model(name, level):
    """Also without ONNX Runtime's own rewrites, which fuse normalisation first."""
    model = MODELS[name]
    made = check(model, zoo.inputs(model, 3), None, settings(level=getattr(LEVELS, level)))
    assert made.claimed == made.nodes and made.partitions == 1


@pytest.mark.parametrize("name", MODELS)
def test_kernels(name):
    found = kernels_of(MODELS[name])
    listed = "\n".join("+".join(ops) for ops in found)
    assert len(found) == KERNELS[name.split()[0]], listed
    assert sum("attention" in ops for ops in found) == 2, listed
    assert not any("softmax" in ops for ops in found), listed


@pytest.mark.parametrize("name", HALVES)
def test_halves(name):
    """Sums are f32, so the error against f32 is no larger than the CPU provider's, or tiny."""
    model = HALVES[name]
    feeds = zoo.inputs(model, 3)
    made = check(model, feeds, None, tolerance=2e-2)
    wanted = reference(MODELS[name], feeds)
    errors = [
        max_relative_error(outputs, wanted)
        for outputs in (made.session.run(None, feeds), reference(model, feeds))
    ]
    assert errors[0] <= max(errors[1] * 1.5, 5e-3)


def test_rows_of_padding_do_not_matter():
    """Changing tokens behind the mask changes nothing in front of it."""
    model = MODELS["bert traced additive"]
    session = check(model, zoo.inputs(model, 3)).session
    feeds = zoo.inputs(model, 3)
    feeds["attention_mask"][:] = np.arange(11) < 5
    first = session.run(None, feeds)[0]
    feeds["input_ids"][:, 5:] = 7
    second = session.run(None, feeds)[0]
    np.testing.assert_array_equal(first[:, :5], second[:, :5])
    assert (first[:, 5:] != second[:, 5:]).any()


SIZES = ((2, 11), (1, 1), (3, 16), (1, 7))


@pytest.mark.parametrize("name", ["bert traced", "bert dynamo", "gpt2 traced", "gpt2 dynamo"])
def test_symbolic_sizes(name):
    """One partition for all batches and sequences; more positions than there are is an error."""
    make, spelling = name.split()
    model = getattr(zoo, make)(SYMBOLIC, spelling)
    made = check(model, zoo.inputs(model, 3, {"b": 2, "s": 5}))
    assert made.claimed == made.nodes and made.partitions == 1
    for batch, sequence in SIZES:
        feeds = zoo.inputs(model, 3, {"b": batch, "s": sequence})
        found = made.session.run(None, feeds)
        assert max_relative_error(found, reference(model, feeds)) <= 1e-5
    with pytest.raises(Exception, match="sizes 17 and 16 do not broadcast"):
        made.session.run(None, zoo.inputs(model, 3, {"b": 1, "s": 17}))
    assert len(kernels_of(model)) == KERNELS[make]
