"""The whole compiler on one page: ONNX subgraph -> Graph -> groups -> programs -> kernels -> Plan.

`compile_partition` is what the execution provider calls; `compile_graph` starts from a Graph. Every
arrow of docs/map.md is a line here, in order; stages know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from .build import Builder, KernelCache
from .codegen import emit
from .fusion import fuse_epilogue, fuse_prologue, name_shared, trim_signature
from .graph.graph import Graph, consumers
from .graph.groups import form_groups
from .graph.passes import run_passes
from .graph.storage import make_storable, plan_storage
from .importer import OnnxGraph, import_subgraph
from .ir.expr import Var
from .ir.printer import text
from .ir.stmt import Program
from .lower import LOWERING
from .plan import serialize
from .schedule.choose import schedule
from .stages import CompileOptions, Draft, Kernel, PartitionReport, Trace, assemble, draft_group
from .target import host


@dataclass(frozen=True, eq=False)
class CompiledPartition:
    """plan: its bytes; constants: the arrays it refers to, in order."""

    plan: bytes
    constants: list[np.ndarray]
    report: PartitionReport


def compile_partition(
    graph: OnnxGraph,
    node_ids: Sequence[int],
    inputs: Sequence[str],
    outputs: Sequence[str],
    options: CompileOptions | None = None,
) -> CompiledPartition:
    """Compile some nodes of an ONNX graph. Raises Unsupported where a node cannot be compiled."""
    imported = import_subgraph(graph, tuple(node_ids), tuple(inputs), tuple(outputs))
    return compile_graph(imported, options)


def compile_graph(graph: Graph, options: CompileOptions | None = None) -> CompiledPartition:
    """Compile a graph for the CPU of this machine."""
    options = options or CompileOptions()
    trace = Trace.open(graph.name, options)
    trace("import", graph)
    graph = run_passes(graph, after=trace)
    graph = trace("make_storable", make_storable(graph))
    storage, readers, symbols = plan_storage(graph), consumers(graph), graph.symbols
    cache = KernelCache.open(options.cache_dir) if options.cache else KernelCache.disabled()
    kernels = []
    with cache, Builder(host(), cache) as builder:
        for number, group in enumerate(form_groups(graph)):
            draft = draft_group(group, graph, storage, readers)
            kernels.append(_compile(draft, symbols, builder, trace.kernel(number, draft.name)))
        plan, constants = assemble(graph, storage, kernels)
    report = PartitionReport(tuple(kernel.report for kernel in kernels))
    return CompiledPartition(serialize(plan), constants, report)


def _compile(draft: Draft, symbols: tuple[Var, ...], builder: Builder, trace: Trace) -> Kernel:
    """Schedule the anchor, fuse its neighbours, lower, generate and build code."""
    scheduled = schedule(draft.problem, builder.cpu)
    program = trace("schedule", scheduled.program)
    program = fuse_epilogue(program, draft.problem.output, draft.steps, draft.stored)
    program = trace("fuse_epilogue", program)
    program = trace("fuse_prologue", fuse_prologue(program, draft.prologue))
    program = trace("name_shared", name_shared(program))
    program = trace("signature", trim_signature(program, symbols, f"hidet_{draft.name}"))
    return Kernel(draft, scheduled, program, _build(program, builder, trace))


def _build(program: Program, builder: Builder, trace: Trace) -> Future[bytes]:
    """The machine code of a program: from the cache, or lowered and compiled."""
    key = builder.key(text(program))
    image = builder.lookup(key)
    if image is not None and not trace.is_dumping:
        done: Future[bytes] = Future()
        done.set_result(image)
        return done
    for lower in LOWERING:
        program = trace(lower.__name__, lower(program))
    return builder.compile(key, trace("codegen", emit(program)))
