"""A compiler for tests: float32 Relu, Neg and Add of equal shapes, one launch per node.

It makes real plans with real machine code (LLVM through llvmlite), so that all of the C++ is run:
symbolic dims, constants, temporaries, parallel launches. `explain` refuses everything else.
"""

import contextlib
import functools
import operator
from dataclasses import dataclass

import llvmlite.binding as llvm
import numpy as np

from hidet_core.ir.dtypes import f32, i64
from hidet_core.ir.expr import Var
from hidet_core.plan import (
    Argument,
    Buffer,
    BufferKind,
    KernelCode,
    Launch,
    Plan,
    TensorSpec,
    serialize,
)
from hidet_ep import handover

WORK_NS = 100.0  # per element: a few hundred elements are split over the threads

KERNEL = """
define void @{name}(i8** %args, i64* %scalars, i64 %begin, i64 %end) {{
entry:
  %table = bitcast i8** %args to float**
  %a_slot = getelementptr float*, float** %table, i64 0
  %b_slot = getelementptr float*, float** %table, i64 1
  %out_slot = getelementptr float*, float** %table, i64 2
  %a = load float*, float** %a_slot
  %b = load float*, float** %b_slot
  %out = load float*, float** %out_slot
  %any = icmp slt i64 %begin, %end
  br i1 %any, label %loop, label %done
loop:
  %i = phi i64 [ %begin, %entry ], [ %next, %loop ]
  %a_at = getelementptr float, float* %a, i64 %i
  %b_at = getelementptr float, float* %b, i64 %i
  %out_at = getelementptr float, float* %out, i64 %i
  %x = load float, float* %a_at
  %y = load float, float* %b_at
  {body}
  store float %z, float* %out_at
  %next = add i64 %i, 1
  %more = icmp slt i64 %next, %end
  br i1 %more, label %loop, label %done
done:
  ret void
}}
"""
BODIES = {
    "Add": "%z = fadd float %x, %y",
    "Neg": "%z = fneg float %x",
    "Relu": "%p = fcmp ogt float %x, 0.0\n  %z = select i1 %p, float %x, float 0.0",
}


@functools.cache
def machine_code(op_type):
    llvm.initialize_native_target()
    llvm.initialize_native_asmprinter()
    module = llvm.parse_assembly(KERNEL.format(name=op_type, body=BODIES[op_type]))
    target = llvm.Target.from_default_triple()
    return target.create_target_machine(codemodel="small", reloc="pic").emit_object(module)


@dataclass
class Kernel:
    name: str
    ops: tuple
    config: str = "none"


@dataclass
class Report:
    kernels: list


@dataclass
class Compiled:
    plan: bytes
    constants: list
    report: Report


class FakeCompiler:
    """`spoil(plan bytes)` -> bytes or an exception, to test what happens then."""

    def __init__(self, spoil=lambda plan: plan):
        self.spoil = spoil
        self.graphs = []

    def explain(self, graph, node):
        if graph not in self.graphs:
            self.graphs.append(graph)
        if node.op_type not in BODIES:
            return f"operator {node.op_type} is not known"
        values = [graph.values[name] for name in (*node.inputs, *node.outputs)]
        if any(value.dtype != 1 or value.shape is None for value in values):
            return "not float32, or its rank is unknown"
        return None if len({value.shape for value in values}) == 1 else "shapes differ"

    def compile(self, graph, node_ids, inputs, outputs):
        return PlanMaker(graph, node_ids, inputs, outputs, self.spoil).make()


class PlanMaker:
    def __init__(self, graph, node_ids, inputs, outputs, spoil):
        self.values, self.spoil, self.symbols = graph.values, spoil, {}
        self.nodes = [node for node in graph.nodes if node.id in set(node_ids)]
        self.inputs = [self.spec(name) for name in inputs]
        self.outputs = [self.spec(name) for name in outputs]
        self.constants, self.buffers, self.number = [], [], {}
        for index, name in enumerate(inputs):
            self.buffer(name, BufferKind.INPUT, index)
        for index, name in enumerate(outputs):
            self.buffer(name, BufferKind.OUTPUT, index)

    def make(self):
        kernels = list(dict.fromkeys(node.op_type for node in self.nodes))
        launches = [self.launch(node, kernels.index(node.op_type)) for node in self.nodes]
        plan = Plan(
            symbols=tuple(self.symbols.values()),
            inputs=tuple(self.inputs),
            outputs=tuple(self.outputs),
            buffers=tuple(self.buffers),
            kernels=tuple(KernelCode(op, machine_code(op)) for op in kernels),
            launches=tuple(launches),
            name="fake",
        )
        report = Report([Kernel(launch.name, (launch.name,)) for launch in launches])
        return Compiled(self.spoil(serialize(plan)), self.constants, report)

    def spec(self, name):
        return TensorSpec(name, f32, tuple(self.dim(size) for size in self.values[name].shape))

    def dim(self, size):
        return size if isinstance(size, int) else self.symbols.setdefault(size, Var(size, i64))

    def elements(self, name):
        return functools.reduce(operator.mul, self.spec(name).shape, 1)

    def buffer(self, name, kind, index):
        self.number[name] = len(self.buffers)
        self.buffers.append(Buffer(kind, index, self.elements(name) * 4))

    def argument(self, name):
        if name not in self.number and self.values[name].is_constant:
            self.constants.append(np.array(self.values[name].data))
            self.buffer(name, BufferKind.CONSTANT, len(self.constants) - 1)
        elif name not in self.number:
            self.buffer(name, BufferKind.TEMP, 0)
        return Argument(self.number[name], 0)

    def launch(self, node, kernel):
        names = (node.inputs[0], node.inputs[-1], node.outputs[0])
        args = tuple(self.argument(name) for name in names)
        return Launch(kernel, args, (), self.elements(names[0]), WORK_NS, node.op_type)


@contextlib.contextmanager
def installed(compiler):
    """Sessions created inside use this compiler instead of hidet_core's."""
    real, handover.make_compiler = handover.make_compiler, lambda options: compiler
    try:
        yield compiler
    finally:
        handover.make_compiler = real
