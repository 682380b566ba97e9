"""How many kernels a run of a network is, on either target (groups are formed before a target's
templates are asked); a failure prints them.

Small numbers of channels: neither layers nor their fusion depend on them.
"""

from collections import Counter

import pytest

from hidet_core.graph.graph import consumers
from hidet_core.graph.groups import form_groups
from hidet_core.graph.passes import run_passes
from hidet_core.graph.storage import make_storable, plan_storage
from hidet_core.importer import explain_graph, from_model, import_subgraph
from hidet_core.schedule.choose import templates_for
from hidet_core.stages import draft_group
from hidet_core.target import AVX512, CUDAS
from hidet_ep import zoo

BASE = zoo.Sizes(hidden=48, vocabulary=64)  # 12 layers, 12 heads
LIMITS = {
    "bert": (lambda: zoo.bert(BASE), 86),
    "bert, by dynamo": (lambda: zoo.bert(BASE, "dynamo", "boolean"), 86),
    "bert in primitives": (lambda: zoo.bert(BASE, "primitives"), 86),
    "bert, optimized": (lambda: zoo.bert(BASE, zoo.OPTIMIZED), 86),
    "gpt2": (lambda: zoo.gpt2(BASE), 86),
    "gpt2, by dynamo": (lambda: zoo.gpt2(BASE, "dynamo"), 86),
    "mobilenet_v2": (lambda: zoo.mobilenet_v2(share=0.25), 55),
    "resnet50": (lambda: zoo.build("resnet50", image=64), 58),
    "inception_v3": (lambda: zoo.inception_v3(share=0.25), 111),
}


def graph_of(model):
    graph = from_model(model)
    assert explain_graph(graph) == {}, "every node is taken"
    ids = [node.id for node in graph.nodes]
    return make_storable(run_passes(import_subgraph(graph, ids, graph.inputs, graph.outputs)))


@pytest.mark.parametrize("name", LIMITS)
def test_kernels(name):
    make, limit = LIMITS[name]
    graph = graph_of(make())
    groups = form_groups(graph)
    kinds = Counter("+".join(op.op.name for op in group.operators) for group in groups)
    listed = "\n".join(f"{count:4} {kind}" for kind, count in kinds.items())
    if name.startswith(("bert", "gpt2")):
        assert sum("attention" in kind for kind in kinds.elements()) == BASE.layers, listed
    assert len(groups) <= limit, f"{name} is {len(groups)} kernels:\n{listed}"
    storage, readers = plan_storage(graph), consumers(graph)
    for group in groups:
        draft = draft_group(group, graph, storage, readers)
        for target in (AVX512, CUDAS["sm_90a"]):
            assert templates_for(draft.problem, target), f"{draft.name} on {target.name}"
