"""The whole compiler on one page: ONNX subgraph -> Graph -> groups -> programs -> kernels -> Plan.

`compile_partition` is what the execution provider calls; `compile_graph` starts from a Graph. Every
arrow of docs/map.md is a line here; stages know nothing of each other.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field

import numpy as np

from .base.errors import BadOption
from .build import Builder, KernelCache
from .codegen import emit
from .compute.definition import Definition
from .fusion import Step, fuse_epilogue, fuse_prologue, inline
from .graph.graph import Graph, Operator, Value, consumers
from .graph.groups import FusionGroup, form_groups
from .graph.passes import run_passes
from .graph.storage import Storage, make_storable, plan_storage
from .importer import OnnxGraph, import_subgraph
from .ir.expr import Buffer, Const, Expr, Load, Var
from .ir.node import rebuild, walk
from .ir.printer import text
from .ir.stmt import Program, Store
from .lower import LOWERING
from .plan import Argument, BufferKind, KernelCode, Launch, Plan, TensorSpec, serialize
from .plan import Buffer as PlanBuffer
from .schedule.choose import choose
from .schedule.problem import Problem, Scheduled
from .target import Cpu, host


@dataclass(frozen=True)
class CompileOptions:
    """target: 'auto' or 'cpu'; cache: keep kernels on disk (in cache_dir, default the user's)."""

    target: str = "auto"
    cache: bool = True
    cache_dir: str | None = None
    dump_dir: str | None = None
    debug: int = 0


@dataclass(frozen=True)
class KernelReport:
    """One kernel: its name, the operators fused into it, the schedule config."""

    name: str
    ops: tuple[str, ...]
    config: str


@dataclass(frozen=True)
class PartitionReport:
    """The kernels of a partition, in the order in which they run."""

    kernels: tuple[KernelReport, ...]


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
    options = options or CompileOptions()
    if options.target not in ("auto", "cpu"):
        raise BadOption("target", options.target, ("auto", "cpu"))
    imported = import_subgraph(graph, tuple(node_ids), tuple(inputs), tuple(outputs))
    return compile_graph(imported, options)


def compile_graph(graph: Graph, options: CompileOptions | None = None) -> CompiledPartition:
    """Compile a graph for the CPU of this machine."""
    options = options or CompileOptions()
    cache = KernelCache.open(options.cache_dir) if options.cache else KernelCache.disabled()
    graph = make_storable(run_passes(graph))
    with Builder(host(), cache) as builder:
        return _Assembler(graph, builder).run()


@dataclass(eq=False)
class _Kernel:
    """A group on its way to a launch."""

    group: FusionGroup
    scheduled: Scheduled
    program: Program
    image: Future[bytes]
    values: dict[Buffer, Value]
    report: KernelReport = field(init=False)


class _Assembler:
    """Compiles the groups of one graph and gathers the plan."""

    def __init__(self, graph: Graph, builder: Builder) -> None:
        self.graph, self.builder = graph, builder
        self.storage: dict[Value, Storage] = plan_storage(graph)
        self.consumers = consumers(graph)
        self.buffers: list[PlanBuffer] = []
        self.places: dict[object, int] = {}
        self.constants: list[np.ndarray] = []

    def run(self) -> CompiledPartition:
        compiled = [self._compile(group) for group in form_groups(self.graph)]
        launches: list[Launch] = []
        kernels: dict[bytes, int] = {}
        codes: list[KernelCode] = []
        for kernel in compiled:
            image = kernel.image.result()
            if image not in kernels:
                kernels[image] = len(codes)
                codes.append(KernelCode(kernel.program.name, image))
            launches.append(self._launch(kernel, kernels[image]))
        graph = self.graph
        plan = Plan(
            symbols=graph.symbols,
            inputs=tuple(TensorSpec(v.name, v.type.dtype, v.type.shape) for v in graph.inputs),
            outputs=tuple(
                TensorSpec(name, v.type.dtype, v.type.shape)
                for name, v in zip(graph.output_names, graph.outputs, strict=True)
            ),
            buffers=tuple(self.buffers),
            kernels=tuple(codes),
            launches=tuple(launches),
            name=graph.name,
        )
        report = PartitionReport(tuple(_report(kernel) for kernel in compiled))
        return CompiledPartition(serialize(plan), self.constants, report)

    # groups -> programs -> images

    def _compile(self, group: FusionGroup) -> _Kernel:
        scheduled, program, values = self._program(group)
        key = self.builder.key(text(program))
        image = self.builder.lookup(key)
        if image is None:
            lowered = program
            for lower in LOWERING:
                lowered = lower(lowered)
            future = self.builder.compile(key, emit(lowered))
        else:
            future = Future()
            future.set_result(image)
        return _Kernel(group, scheduled, program, future, values)

    def _program(self, group: FusionGroup) -> tuple[Scheduled, Program, dict[Buffer, Value]]:
        """Schedule the anchor, then fuse its neighbours (Hidet, ASPLOS'23, section 5.2)."""
        values: dict[Buffer, Value] = {}
        known: dict[Value, Buffer] = {}
        inside = {v for operator in group.operators for v in operator.outputs}

        def buffer_of(value: Value, name: str = "x") -> Buffer:
            if value not in known:
                strides = None if value in self.graph.constants else self.storage[value].strides
                known[value] = Buffer(name, value.type.dtype, value.type.shape, strides)
                values[known[value]] = value
            return known[value]

        defined: dict[Operator, tuple[Definition, ...]] = {}
        for operator in group.operators:
            arguments = tuple(buffer_of(value, "x") for value in operator.inputs)
            types = tuple(value.type for value in operator.outputs)
            *inner, last = operator.op.define(arguments, types, operator.attrs)
            out = buffer_of(operator.output, operator.op.name)
            defined[operator] = (*inner, Definition(out, last.axes, last.value))
        prologue = {known[o.output]: defined[o][-1] for o in group.prologue}
        prologue |= self._literals(known, inside)
        stored = {known[v] for v in inside if self._is_stored(v, group)}
        scheduled = self._schedule(group, defined, known, prologue)
        steps = [
            Step(defined[operator][-1], known[operator.inputs[k]], _place(operator, k))
            for operator, k in group.epilogue
        ]
        out = known[group.anchor.output]
        program = fuse_epilogue(scheduled.program, out, steps, stored, prologue)
        program = fuse_prologue(program, prologue)
        program = _with_signature(program, group, set(self.graph.symbols))
        return scheduled, program, values

    def _schedule(
        self,
        group: FusionGroup,
        defined: dict[Operator, tuple[Definition, ...]],
        known: dict[Value, Buffer],
        prologue: dict[Buffer, Definition],
    ) -> Scheduled:
        anchor = group.anchor
        inputs = tuple(known[value] for value in anchor.inputs)
        problem = Problem(
            op="injective" if anchor.op.kind == "injective" else anchor.op.name,
            attrs=anchor.attrs,
            inputs=inputs,
            output=known[anchor.output],
            definitions=defined[anchor],
            constant=tuple(value in self.graph.constants for value in anchor.inputs),
            computed=tuple(buffer in prologue for buffer in inputs),
            name="kernel",
        )
        target: Cpu = self.builder.cpu
        template, config = choose(_flattened(problem, prologue), target)
        return template.build(problem, config, target)

    def _literals(self, known: dict[Value, Buffer], inside: set[Value]) -> dict[Buffer, Definition]:
        """Constants of one element become literals in the code."""
        found: dict[Buffer, Definition] = {}
        for value, buffer in known.items():
            array = self.graph.constants.get(value)
            if array is not None and array.size == 1 and value not in inside:
                axes = tuple(Var(f"i{k}") for k in range(array.ndim))
                item = array.reshape(-1)[0].item()
                found[buffer] = Definition(buffer, axes, Const(item, value.type.dtype))
        return found

    def _is_stored(self, value: Value, group: FusionGroup) -> bool:
        members = set(group.operators)
        users = self.consumers.get(value, [])
        return value in self.graph.outputs or any(user not in members for user in users)

    # programs -> launches

    def _launch(self, kernel: _Kernel, code: int) -> Launch:
        packed = {
            buffer: (kernel.group.anchor.inputs[k], pack)
            for k, (buffer, pack) in kernel.scheduled.packed.items()
        }
        arguments = []
        for param in kernel.program.params:
            if param in packed:
                value, pack = packed[param]
                place = self._constant((value, kernel.scheduled.config), value, pack)
                arguments.append(Argument(place))
            else:
                arguments.append(self._argument(kernel.values[param]))
        name = kernel.program.name
        program = kernel.program
        tasks = _dim(program.tasks)
        work = max(float(kernel.scheduled.task_ns), 1.0)
        return Launch(code, tuple(arguments), tuple(program.scalars), tasks, work, name)

    def _argument(self, value: Value) -> Argument:
        if value in self.graph.constants:
            return Argument(self._constant(value, value, np.ascontiguousarray))
        storage = self.storage[value]
        root = storage.root
        bytes_each = value.type.dtype.bytes
        if root not in self.places:
            kind, index = self._kind(root.value)
            size = _dim(root.elements * bytes_each)
            key = f"{value.type.dtype}{_shapes(root)}" if root.has_halo else None
            self.places[root] = len(self.buffers)
            self.buffers.append(PlanBuffer(kind, index, size, key))
        return Argument(self.places[root], _dim(storage.offset * bytes_each))

    def _kind(self, value: Value) -> tuple[BufferKind, int]:
        if value in self.graph.inputs:
            return BufferKind.INPUT, self.graph.inputs.index(value)
        if value in self.graph.outputs:
            return BufferKind.OUTPUT, self.graph.outputs.index(value)
        return BufferKind.TEMP, 0

    def _constant(self, key: object, value: Value, pack: object) -> int:
        if key not in self.places:
            array = np.ascontiguousarray(pack(self.graph.constants[value]))
            self.places[key] = len(self.buffers)
            self.buffers.append(PlanBuffer(BufferKind.CONSTANT, len(self.constants), array.nbytes))
            self.constants.append(array)
        return self.places[key]


def _place(operator: Operator, k: int) -> object:
    """Where an element of input k goes in the operator's output."""
    if operator.op.scatter is None:
        return lambda index: index
    types = tuple(value.type for value in operator.inputs)
    return lambda index: operator.op.scatter(k, index, types, operator.output.type, operator.attrs)


def _flattened(problem: Problem, prologue: dict[Buffer, Definition]) -> Problem:
    """An injective problem as its cost model should see it: with its prologue written out."""
    if problem.op != "injective" or not prologue:
        return problem
    last = problem.definitions[-1]
    from_inside = Definition(last.out, last.axes, inline(last.value, prologue))
    return _with_definition(problem, from_inside)


def _with_definition(problem: Problem, definition: Definition) -> Problem:
    loads = {node.buffer for node in walk(definition.value) if isinstance(node, Load)}
    return Problem(
        problem.op,
        problem.attrs,
        tuple(loads) or problem.inputs,
        problem.output,
        (*problem.definitions[:-1], definition),
        problem.constant,
        problem.computed,
        problem.name,
    )


def _with_signature(program: Program, group: FusionGroup, symbols: set[Var]) -> Program:
    """The program with the parameters that its fused body really uses, in order of appearance."""
    params: dict[Buffer, None] = {}
    used: dict[Var, None] = {}
    for node in walk((program.tasks, program.body)):
        if isinstance(node, (Load, Store)) and node.buffer.scope == "global":
            params[node.buffer] = None
        if isinstance(node, Var) and node in symbols:
            used[node] = None
    for buffer in params:
        for dim in (*buffer.shape, *(buffer.strides or ())):
            if isinstance(dim, Expr):
                used |= {v: None for v in walk(dim) if isinstance(v, Var) and v in symbols}
    name = "_".join(dict.fromkeys(o.op.name for o in group.operators))[:60]
    return rebuild(
        program, {"name": f"hidet_{name}", "params": tuple(params), "scalars": tuple(used)}
    )


def _report(kernel: _Kernel) -> KernelReport:
    ops = tuple(operator.op.name for operator in kernel.group.operators)
    return KernelReport(kernel.program.name, ops, kernel.scheduled.config)


def _shapes(root: object) -> str:
    return f"{[text(d) if isinstance(d, Expr) else d for d in root.shape]}{root.halo}"


def _dim(value: int | Expr) -> int | Expr:
    return int(value.value) if isinstance(value, Const) else value
