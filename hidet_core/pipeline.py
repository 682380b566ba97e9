"""The whole compiler on one page: ONNX subgraph -> Graph -> groups -> programs -> kernels -> Plan.

`compile_partition` is what the execution provider calls; `compile_graph` starts from a Graph. Every
arrow of docs/map.md is a line here, in order; stages know nothing of each other.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, replace
from functools import partial

import numpy as np

from .base.knobs import read
from .build import Builder, KernelCache, assembly, is_installed
from .codegen import emit_for, launch_of, workspace_bytes
from .fusion import fuse_epilogue, fuse_prologue, name_shared, trim_signature
from .graph.graph import Graph, Value, consumers
from .graph.groups import form_groups
from .graph.passes import run_passes
from .graph.storage import Storage, make_storable, plan_storage
from .importer import OnnxGraph, import_subgraph
from .ir.expr import Var
from .ir.printer import text
from .ir.stmt import Program
from .lower import lowering_for, wait_for_grid
from .plan import serialize
from .schedule import tuned
from .schedule.choose import Candidate, schedules
from .schedule.problem import Problem, Scheduled
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
    settle,
    tell_model,
)
from .target import Target, host, resolve

# the schedules of a problem, best first
Chooser = Callable[[Problem], Iterator[Scheduled]]


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
    """Compile a graph for the target that the options name. Raises Unsupported where this machine
    has no such target, or no compiler for it.
    """
    options, start = options or CompileOptions(), time.perf_counter()
    target = choose_target(options)
    trace = Trace.open(graph, options, target.kind)
    with trace, open_cache(options) as cache, Builder(target, cache) as builder:
        prepared = prepare(graph, options, target, trace)
        known: dict[str, list[Candidate]] = {}
        own = tuned.own_table(cache.tuned, target)
        kernels = compile_kernels(
            prepared, lambda problem: schedules(problem, target, known, own), builder, trace
        )
        compiled = prepared.assembled(kernels)
        tell_model(trace, kernels, cache.hits, time.perf_counter() - start)
    return compiled


@dataclass(frozen=True, eq=False)
class Prepared:
    """A graph after its passes, where its values lie, and its groups in terms of the IR."""

    graph: Graph
    storage: Mapping[Value, Storage]
    drafts: tuple[Draft, ...]
    target: Target

    def assembled(self, kernels: Sequence[Kernel]) -> CompiledPartition:
        """The partition of compiled kernels, one for each draft."""
        plan, constants = assemble(self.graph, self.storage, kernels, self.target.kind)
        report = PartitionReport(tuple(kernel.report for kernel in kernels))
        return CompiledPartition(serialize(plan), constants, report)


def open_cache(options: CompileOptions) -> KernelCache:
    """The kernel cache that the options ask for."""
    return KernelCache.open(options.cache_dir) if options.cache else KernelCache.disabled()


def prepare(graph: Graph, options: CompileOptions, target: Target, trace: Trace) -> Prepared:
    """All that is done before schedules are chosen."""
    trace("import", graph)
    graph = run_passes(graph, after=trace)
    graph = trace("make_storable", make_storable(graph))
    storage, readers = plan_storage(graph), consumers(graph)
    drafts = tuple(
        draft_group(group, graph, storage, readers, options, target.kind)
        for group in form_groups(graph)
    )
    return Prepared(graph, storage, drafts, target)


def compile_kernels(
    prepared: Prepared, choose: Chooser, builder: Builder, trace: Trace
) -> list[Kernel]:
    """The kernel of each draft, by the first of its schedules that the compiler does not reject."""
    kernels = []
    graph, target = prepared.graph, prepared.target
    for number, draft in enumerate(prepared.drafts):
        with trace.kernel(number, draft.name) as inner:
            inner.note("00_group.txt", lambda: group_text(draft, graph, prepared.storage))
            inner.note("repro.py", lambda: repro_text(draft, graph, inner.path, target))
            configs = _compile_configs(draft, graph.symbols, builder, inner, choose)
            kernels.append(replace(next(configs), others=configs))
    return [settle(kernel) for kernel in kernels]


def choose_target(options: CompileOptions) -> Target:
    """What `auto` comes to on this machine, or what was asked for. Raises Unsupported where this
    machine has no such target.
    """
    target = resolve(options.target, options.device_id)
    return target if options.target != "auto" or is_installed(target) else host()


def _compile_configs(
    draft: Draft,
    symbols: tuple[Var, ...],
    builder: Builder,
    trace: Trace,
    choose: Chooser,
) -> Iterator[Kernel]:
    """The kernel with the best config; then, if they are asked for, with the others."""
    for scheduled in choose(draft.problem):
        trace.configs(partial(config_text, draft.problem, scheduled, builder.target))
        yield compile_kernel(draft, scheduled, symbols, builder, trace)


def compile_kernel(
    draft: Draft, scheduled: Scheduled, symbols: tuple[Var, ...], builder: Builder, trace: Trace
) -> Kernel:
    """Fuse the anchor's neighbours into its scheduled program, lower, generate and build code."""
    program = trace("schedule", scheduled.program, "scheduled")
    program = fuse_epilogue(program, draft.problem.output, draft.steps, draft.stored)
    program = trace("fuse_epilogue", program)
    program = trace("fuse_prologue", fuse_prologue(program, draft.prologue))
    program = trace("name_shared", name_shared(program))
    program = trim_signature(program, symbols, f"hidet_{draft.name}", draft.stored)
    program = trace("signature", program, "scheduled")
    if "launch_dependents" in builder.target.features and read("HIDET_EARLY_LAUNCH"):
        constants = draft.constants | {buffer for buffer, _ in scheduled.packed.values()}
        program = trace("wait_for_grid", wait_for_grid(program, constants), "scheduled")
    image = _build(program, builder, trace)
    return Kernel(draft, scheduled, program, image, trace, _block(program, builder.target))


def _block(program: Program, target: Target) -> tuple[int, int, bool]:
    """`Kernel.launch`."""
    if target.kind == "cpu":
        return 0, workspace_bytes(program), False
    launch = launch_of(program)
    return launch.threads, launch.shared_bytes, launch.dependent


def _build(program: Program, builder: Builder, trace: Trace) -> Future[bytes]:
    """The machine code of a program: from the cache, or lowered and compiled."""
    edited = trace.override()
    key = builder.key(text(program), edited)
    found = builder.find(key)
    if found is not None and not trace.is_active:
        return found
    for lower in lowering_for(builder.target):
        program = trace(lower.__name__, lower(program), lower.gives)
    source = trace.source(edited or emit_for(program, builder.target))
    compiled = builder.compile(key, source)
    trace.note("kernel.s", lambda: assembly(source, builder.target))
    return compiled
