"""The light zoo through sessions: right, wholly claimed, in one partition, few kernels.

Images are small, which leaves the networks' channels as they are. scripts/validate_zoo.py is the
same at full size.
"""

from collections import Counter

import numpy as np
import pytest

import hidet_core
from hidet_ep import compiler, validate, zoo
from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.providers import open_session, parse_provider
from hidet_ep.handover import collect_reports
from hidet_ep.validate import Request

SMALL = 64
MODELS = (
    "bvlc_alexnet densenet121 inception_v1 inception_v2 resnet50 shufflenet squeezenet vgg19 "
    "zfnet512"
).split()
SYMBOLIC = ("resnet50", "shufflenet", "squeezenet")
BATCHES = (1, 2, 7, 32)
RESNET50_KERNELS = 60
ONLY_MOVES = {"pad", "identity", "transpose", "reshape", "slice", "copy", "broadcast_to"}


def test_these_are_all_models():
    assert set(MODELS) == set(zoo.names())


@pytest.mark.parametrize("name", MODELS)
def test_model_is_right(name):
    verdict = validate.validate(name, Request(image=SMALL, threads=2))
    assert not verdict.problems
    assert verdict.claimed == verdict.nodes > 0
    assert verdict.partitions == 1


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic_batch_is_compiled_once(name, monkeypatch):
    compiled = []
    original = hidet_core.compile_partition

    def counted(graph, node_ids, *rest):
        compiled.append(len(node_ids))
        return original(graph, node_ids, *rest)

    monkeypatch.setattr(compiler.hidet_core, "compile_partition", counted)
    verdict = validate.validate(name, Request(batches=BATCHES, image=SMALL, threads=2))
    assert not verdict.problems
    assert len(compiled) == 1


def test_any_order_of_batches(rng):
    """Memory that a large batch left behind must not show in a small one, nor the other way."""
    path = zoo.path("squeezenet", batch="N", image=SMALL)
    session = open_session(path, parse_provider("hidet"), 2)
    seen = {}
    for batch in (7, 1, 32, 2, 32, 1, 7):
        feeds = zoo.inputs(path, seed=batch, dims={"N": batch})
        outputs = session.run(None, feeds)
        if batch in seen:
            assert np.array_equal(outputs[0], seen[batch])
        else:
            want = open_session(path, parse_provider("cpu"), 2).run(None, feeds)
            assert max_relative_error(outputs, want) <= 1e-3
        seen[batch] = outputs[0]


def kernels_of(name):
    path = zoo.path(name, image=SMALL)
    with collect_reports() as reports:
        open_session(path, parse_provider("hidet"), 2)
    return [
        kernel for part in reports[-1].result.partitions for kernel in part.compiled.report.kernels
    ]


def test_kernels_of_resnet50():
    """Each convolution, pooling and product is one kernel; only the border may move data."""
    kernels = kernels_of("resnet50")
    assert len(kernels) <= RESNET50_KERNELS
    moving = [kernel.ops for kernel in kernels if set(kernel.ops) <= ONLY_MOVES]
    assert len(moving) <= 1, "the input is padded and laid out anew, nothing else"
    anchors = Counter(op for kernel in kernels for op in kernel.ops)
    assert anchors["conv2d"] == 53


@pytest.mark.parametrize("name", ["squeezenet", "densenet121", "inception_v2"])
def test_concats_are_no_kernels(name):
    assert not [k.ops for k in kernels_of(name) if "concat" in k.ops]
