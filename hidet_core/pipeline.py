"""The whole compiler on one page: ONNX subgraph -> Graph -> groups -> programs -> kernels -> Plan.

`compile_partition` is what the execution provider calls; `compile_graph` starts from a Graph. Every
arrow of docs/map.md is a line here, in order; stages know nothing of each other.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np

from .build import Builder, KernelCache, assembly
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
from .stages import (
    CompileOptions,
    Draft,
    Kernel,
    PartitionReport,
    Trace,
    assemble,
    config_text,
    draft_group,
    group_text,
    repro_text,
    tell_model,
    wait,
)
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
    options, start = options or CompileOptions(), time.perf_counter()
    cache = KernelCache.open(options.cache_dir) if options.cache else KernelCache.disabled()
    kernels: list[Kernel] = []
    with Trace.open(graph, options) as trace, cache, Builder(host(), cache) as builder:
        trace("import", graph)
        graph = run_passes(graph, after=trace)
        graph = trace("make_storable", make_storable(graph))
        storage, readers = plan_storage(graph), consumers(graph)
        for number, group in enumerate(form_groups(graph)):
            draft = draft_group(group, graph, storage, readers, not options.winograd)
            with trace.kernel(number, draft.name) as inner:
                inner.note("00_group.txt", lambda: group_text(draft, graph, storage))
                inner.note("repro.py", lambda: repro_text(draft, graph, inner.path))
                kernels.append(_compile(draft, graph.symbols, builder, inner))
        wait(kernels)
        plan, constants = assemble(graph, storage, kernels)
        tell_model(trace, kernels, cache.hits, time.perf_counter() - start)
    report = PartitionReport(tuple(kernel.report for kernel in kernels))
    return CompiledPartition(serialize(plan), constants, report)


def _compile(draft: Draft, symbols: tuple[Var, ...], builder: Builder, trace: Trace) -> Kernel:
    """Schedule the anchor, fuse its neighbours, lower, generate and build code."""
    scheduled = schedule(draft.problem, builder.target)
    trace.configs(lambda: config_text(draft.problem, scheduled, builder.target))
    program = trace("schedule", scheduled.program, "scheduled")
    program = fuse_epilogue(program, draft.problem.output, draft.steps, draft.stored)
    program = trace("fuse_epilogue", program)
    program = trace("fuse_prologue", fuse_prologue(program, draft.prologue))
    program = trace("name_shared", name_shared(program))
    program = trim_signature(program, symbols, f"hidet_{draft.name}", draft.stored)
    program = trace("signature", program, "scheduled")
    return Kernel(draft, scheduled, program, _build(program, builder, trace), trace)


def _build(program: Program, builder: Builder, trace: Trace) -> Future[bytes]:
    """The machine code of a program: from the cache, or lowered and compiled."""
    edited = trace.override()
    key = builder.key(text(program), edited)
    found = builder.find(key)
    if found is not None and not trace.is_active:
        return found
    for lower in LOWERING:
        program = trace(lower.__name__, lower(program), lower.gives)
    source = trace.source(edited or emit(program))
    compiled = builder.compile(key, source)
    trace.note("kernel.s", lambda: assembly(source, builder.target))
    return compiled
