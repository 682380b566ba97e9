"""Decides which nodes of a graph HidetEP takes: a pure function of the graph and the options.

In: an OnnxGraph with every node of one graph level. Out: compiled partitions, and for each other
node the reason why it is left. Invariants: every node is in exactly one partition or refused once;
each partition is a convex group, and the groups are the fewest possible (convex.py) unless a group
was not worth the hand-over or failed to compile.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from math import prod
from typing import Any, Protocol

import numpy as np

from hidet_core import HidetError, OnnxGraph, OnnxNode, OnnxValue, Unsupported
from hidet_ep.convex import convex_groups
from hidet_ep.options import Options

# operators that only move or rename data
LAYOUT_OPS = frozenset(
    "Cast Concat DepthToSpace Expand Flatten Gather Identity Pad Reshape Shape Slice SpaceToDepth "
    "Split Squeeze Tile Transpose Unsqueeze".split()
)
SHAPE_ELEMENTS = 16  # integer tensors up to this size count as shapes
INTEGERS = frozenset((6, 7, 9, 12, 13))  # int32, int64, bool, uint32, uint64


class Compiled(Protocol):
    """What the compiler makes of a group of nodes."""

    plan: bytes
    constants: list[np.ndarray]
    report: Any


class Compiler(Protocol):
    """The compiler as the partitioner sees it (tests give another one)."""

    def explain(self, graph: OnnxGraph, node: OnnxNode) -> str | None: ...

    def compile(
        self,
        graph: OnnxGraph,
        node_ids: Sequence[int],
        inputs: Sequence[str],
        outputs: Sequence[str],
    ) -> Compiled: ...


@dataclass(frozen=True)
class Partition:
    """Nodes that become one, and their compiled form."""

    node_ids: tuple[int, ...]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    compiled: Compiled


@dataclass(frozen=True)
class Refusal:
    """A node that stays with ONNX Runtime, and why. is_shape: it makes nothing but sizes."""

    node_id: int
    node: str
    op_type: str
    reason: str
    is_shape: bool = False


@dataclass(frozen=True)
class PartitionResult:
    partitions: tuple[Partition, ...]
    refused: tuple[Refusal, ...]
    warnings: tuple[str, ...] = ()


def partition(
    graph: OnnxGraph,
    compiler: Compiler,
    options: Options,
    reserved: Mapping[int, str] | None = None,
    implicit: Mapping[int, Sequence[str]] | None = None,
) -> PartitionResult:
    """`reserved`: nodes that are not ours to take, with the reason. `implicit`: outer values that
    the bodies of a control-flow node use."""
    return _Partitioner(graph, compiler, options, dict(reserved or {}), implicit or {}).run()


@dataclass
class _Partitioner:
    graph: OnnxGraph
    compiler: Compiler
    options: Options
    reasons: dict[int, str]  # of the nodes refused so far
    implicit: Mapping[int, Sequence[str]]
    warnings: list[str] = field(default_factory=list)

    def run(self) -> PartitionResult:
        self.consumers = _consumers(self.graph, self.implicit)
        self._explain_nodes()
        done: dict[tuple[int, ...], Partition] = {}
        while (partitions := self._compile_groups(done)) is None:
            pass  # each round refuses at least one more node
        refused = [
            Refusal(
                node.id,
                node.name,
                node.op_type,
                self.reasons[node.id],
                _makes_shapes(self.graph, node),
            )
            for node in self.graph.nodes
            if node.id in self.reasons
        ]
        return PartitionResult(tuple(partitions), tuple(refused), tuple(self.warnings))

    def _explain_nodes(self) -> None:
        for node in self.graph.nodes:
            if node.id not in self.reasons:
                reason = self._explain(node)
                if reason is not None:
                    self.reasons[node.id] = reason

    def _explain(self, node: OnnxNode) -> str | None:
        if node.has_subgraph:
            return "control flow stays with ONNX Runtime (its body is looked at by itself)"
        for name in node.inputs:
            value = self.graph.values.get(name)
            if value is not None and value.is_constant and value.data is None:
                return f"the data of constant {name!r} (ONNX type {value.dtype}) cannot be read"
        return self.compiler.explain(self.graph, node)

    def _compile_groups(self, done: dict[tuple[int, ...], Partition]) -> list[Partition] | None:
        """All groups compiled, or None: a node was refused and the groups are to be made anew."""
        partitions = []
        for group in self._groups():
            ids = tuple(node.id for node in group)
            reason = _not_worth(self.graph, group, self.options)
            if reason is not None:
                self._refuse(group, reason)
                continue
            if ids not in done:
                failure = self._compile(group, done)
                if failure is not None:
                    self._refuse(failure[0], failure[1])
                    if len(failure[0]) < len(group):
                        return None
                    continue
            partitions.append(done[ids])
        return partitions

    def _groups(self) -> list[list[OnnxNode]]:
        nodes = self.graph.nodes
        producer = {name: at for at, node in enumerate(nodes) for name in node.outputs if name}
        before = [
            [producer[name] for name in self._uses(node) if name in producer] for node in nodes
        ]
        groups = convex_groups(before, [node.id not in self.reasons for node in nodes])
        return [[nodes[at] for at in group] for group in groups]

    def _uses(self, node: OnnxNode) -> list[str]:
        return [*node.inputs, *self.implicit.get(node.id, ())]

    def _compile(
        self, group: list[OnnxNode], done: dict[tuple[int, ...], Partition]
    ) -> tuple[list[OnnxNode], str] | None:
        """Adds the group to `done`, or says which of its nodes are to blame and why."""
        ids = tuple(node.id for node in group)
        inputs = _inputs(self.graph, group)
        outputs = _outputs(self.graph, group, self.consumers)
        try:
            compiled = self.compiler.compile(self.graph, ids, inputs, outputs)
        except Unsupported as error:
            culprits = [node for node in group if node.name and node.name == error.node]
            return culprits or group, error.why
        except HidetError as error:
            self.warnings.append(f"a group of {len(group)} nodes failed to compile: {error}")
            return group, str(error)
        except Exception as error:
            text = f"{type(error).__name__}: {error}"
            self.warnings.append(f"a group of {len(group)} nodes failed to compile: {text}")
            return group, f"the compiler failed: {text}"
        done[ids] = Partition(ids, inputs, outputs, compiled)
        return None

    def _refuse(self, nodes: Iterable[OnnxNode], reason: str) -> None:
        self.reasons.update((node.id, reason) for node in nodes)


def _consumers(graph: OnnxGraph, implicit: Mapping[int, Sequence[str]]) -> dict[str, set[int]]:
    consumers: dict[str, set[int]] = {}
    for node in graph.nodes:
        for name in (*node.inputs, *implicit.get(node.id, ())):
            consumers.setdefault(name, set()).add(node.id)
    return consumers


def _inputs(graph: OnnxGraph, group: Sequence[OnnxNode]) -> tuple[str, ...]:
    """Values the group reads from outside, in order of first use; constants are not inputs."""
    made = {name for node in group for name in node.outputs}
    wanted = dict.fromkeys(name for node in group for name in node.inputs if name)
    return tuple(name for name in wanted if name not in made and not _is_constant(graph, name))


def _outputs(
    graph: OnnxGraph, group: Sequence[OnnxNode], consumers: Mapping[str, set[int]]
) -> tuple[str, ...]:
    """Values the group makes that anything outside uses."""
    ids = {node.id for node in group}
    outside = {*graph.outputs, *graph.outer_used}
    return tuple(
        name
        for node in group
        for name in node.outputs
        if name and (name in outside or consumers.get(name, set()) - ids)
    )


def _is_constant(graph: OnnxGraph, name: str) -> bool:
    return name in graph.values and graph.values[name].is_constant


def _not_worth(graph: OnnxGraph, group: Sequence[OnnxNode], options: Options) -> str | None:
    """Why a supported group is better left to ONNX Runtime, None if it is worth the hand-over."""
    if len(group) < options.min_partition_nodes:
        return f"a group of {len(group)} nodes, option min_partition_nodes asks for more"
    if options.claim == "useful" and not any(_computes(graph, node) for node in group):
        return f"a group of {len(group)} nodes that only moves data or computes shapes"
    return None


def _computes(graph: OnnxGraph, node: OnnxNode) -> bool:
    return node.op_type not in LAYOUT_OPS and not _makes_shapes(graph, node)


def _makes_shapes(graph: OnnxGraph, node: OnnxNode) -> bool:
    return all(_is_shape(graph.values.get(name)) for name in node.outputs if name)


def _is_shape(value: OnnxValue | None) -> bool:
    """Whether a value is (part of) a shape: a few integers."""
    if value is None or value.dtype not in INTEGERS or value.shape is None:
        return False
    sizes = [size for size in value.shape if isinstance(size, int)]
    return len(sizes) == len(value.shape) and prod(sizes) <= SHAPE_ELEMENTS
