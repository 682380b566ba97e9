"""The distinct scheduling problems of models, with how often each occurs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import onnx

from hidet_core import CompileOptions, from_model
from hidet_core.graph.graph import Graph, Value, consumers
from hidet_core.graph.groups import form_groups
from hidet_core.graph.passes import run_passes
from hidet_core.graph.storage import Storage, make_storable, plan_storage
from hidet_core.importer import import_subgraph
from hidet_core.ir.expr import Buffer
from hidet_core.schedule.choose import Candidate, candidates
from hidet_core.schedule.tuned import problem_key
from hidet_core.stages import Draft, draft_group
from hidet_core.target import Target


@dataclass(eq=False)
class Workload:
    """A fusion group's kernel as its models use it. key: the `problem` and what is fused into it.

    candidates: best first. uses: in how many kernels of each model.
    """

    key: str
    problem: str
    draft: Draft
    graph: Graph
    storage: dict[Value, Storage]
    candidates: list[Candidate] = field(default_factory=list)
    uses: dict[str, int] = field(default_factory=dict)

    @property
    def predicted_ns(self) -> float:
        """Of all its uses, with the best config."""
        return self.candidates[0].cost * sum(self.uses.values())


def workloads(
    models: Iterable[tuple[str, Path]], target: Target, options: CompileOptions
) -> list[Workload]:
    """Those of all models, the dearest first; equal ones once."""
    found: dict[str, Workload] = {}
    for name, path in models:
        for workload in _of_model(path, target, options):
            known = found.setdefault(workload.key, workload)
            known.uses[name] = known.uses.get(name, 0) + 1
    for workload in found.values():
        workload.candidates = candidates(workload.draft.problem, target)
    return sorted(found.values(), key=lambda workload: -workload.predicted_ns)


def _of_model(path: Path, target: Target, options: CompileOptions) -> Iterator[Workload]:
    model = onnx.load(path)
    given = {tensor.name for tensor in model.graph.initializer}
    inputs = tuple(value.name for value in model.graph.input if value.name not in given)
    outputs = tuple(value.name for value in model.graph.output)
    nodes = tuple(range(len(model.graph.node)))
    graph = make_storable(run_passes(import_subgraph(from_model(model), nodes, inputs, outputs)))
    storage, readers = plan_storage(graph), consumers(graph)
    for group in form_groups(graph):
        draft = draft_group(group, graph, storage, readers, options, target.kind)
        key = problem = problem_key(draft.problem)
        fused = [operator.op.name for operator in (*group.prologue, *group.epilogue)]
        key = f"{key} with {' '.join(fused)}" if fused else key
        yield Workload(key, problem, draft, graph, storage)


def argument_bytes(workload: Workload, buffer: Buffer) -> tuple[int, int]:
    """(bytes of the allocation that a parameter lies in, its offset there); 0 offset for what the
    schedule made itself: packed constants, workspaces.
    """
    value = workload.draft.values.get(buffer)
    size = buffer.dtype.bytes
    if value is None or value in workload.graph.constants:
        elements = 1
        for dim in buffer.shape:
            elements *= int(dim)
        return elements * size, 0
    storage = workload.storage[value]
    return int(storage.root.elements) * size, int(storage.offset) * size
