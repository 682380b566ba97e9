"""The networks that are written here through sessions on the CPU target: right, claimed, few
partitions; with symbols for all sizes that a network allows, one compile serves every size.

Reduced sizes; scripts/validate_zoo.py is the same at any scale, for other targets and data types.
"""

import pytest

import hidet_core
from hidet_ep import compiler, validate, zoo
from hidet_ep.validate import Request

# these run with symbols, which is more than without
SYMBOLIC = sorted(name for name in zoo.NETWORKS if zoo.NETWORKS[name].is_transformer)
# left to the script: their layers are those of the others, or are tested elsewhere
LEFT = {"inception_v3", "mobilenet_v2", "resnet50_int8"}
STATIC = sorted({*zoo.NETWORKS} - {*SYMBOLIC} - LEFT)
# kernels of a layer (reduced networks have two), and of what is before and after them
KERNELS = {"bert": (7, 2), "gpt2": (7, 2), "t5_encoder": (7, 4), "whisper_encoder": (7, 7)}


@pytest.fixture
def compiled(monkeypatch):
    """Counts partitions that are compiled."""
    seen = []
    original = hidet_core.compile_partition

    def counted(graph, node_ids, *rest):
        seen.append(len(node_ids))
        return original(graph, node_ids, *rest)

    monkeypatch.setattr(compiler.hidet_core, "compile_partition", counted)
    return seen


@pytest.mark.parametrize("name", STATIC)
def test_static(name):
    verdict = validate.validate(name, Request(scale="reduced", batches=(2,), threads=2))
    assert not verdict.problems


@pytest.mark.parametrize("name", SYMBOLIC)
def test_symbolic(name, compiled):
    """At several sizes, 0, 1 and odd ones among them."""
    verdict = validate.validate(name, Request(scale="symbolic", threads=2))
    assert not verdict.problems
    assert verdict.claimed == verdict.nodes > 0
    assert verdict.partitions == len(compiled) == 1
    if name in KERNELS:
        layer, rest = KERNELS[name]
        assert verdict.kernels <= 2 * layer + rest
