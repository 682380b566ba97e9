"""Graphs for the tests of schedules and fusion, and three ways to run them: the reference, the
compiled plan, and the interpreter, which checks every access.

    net = Net()
    y = net.relu(net.matmul(net.x(3, "m"), net.const("m", 4)))
    check(net.done(y))

Everything happens in this process and without a cache. `pick(candidates)` chooses the template and
config of each kernel from all valid ones, best first; by default it is the cost model's.
"""

from concurrent.futures import Future
from dataclasses import dataclass

import numpy as np
import pytest

from hidet_core._runtime import Executable
from hidet_core.build.llvm import compile_object
from hidet_core.codegen import emit, interpret, workspace_bytes
from hidet_core.compute.dims import simplify
from hidet_core.compute.evaluate import dim_value
from hidet_core.compute.types import TensorType
from hidet_core.fusion import fuse_epilogue, fuse_prologue, name_shared, trim_signature
from hidet_core.graph.builder import GraphBuilder
from hidet_core.graph.graph import consumers, verify_graph
from hidet_core.graph.groups import form_groups
from hidet_core.graph.reference import run_graph
from hidet_core.graph.storage import make_storable, plan_storage
from hidet_core.ir.dtypes import bf16, f32, from_numpy
from hidet_core.ir.expr import Expr, Load, Var
from hidet_core.ir.halves import as_dtype, single
from hidet_core.ir.node import rebuild, rewrite
from hidet_core.ir.stmt import Place, Prefetch, Program, Store
from hidet_core.ir.tensor_map import tensor_of
from hidet_core.lower import CUDA_LOWERING, LOWERING, wait_for_grid
from hidet_core.plan import serialize
from hidet_core.schedule.choose import candidates
from hidet_core.schedule.problem import Scheduled
from hidet_core.stages import CompileOptions, Draft, assemble, draft_group
from hidet_core.target import Target, host

CPU = host()
DEFAULT = CompileOptions()


class Net(GraphBuilder):
    """A builder that declares inputs and constants on the way; sizes may be names of symbols."""

    def __init__(self, seed=0):
        super().__init__("net", fold=False)
        self.rng = np.random.default_rng(seed)
        self.declared = []
        self.symbols = {}

    def dim(self, size):
        if not isinstance(size, str):
            return size
        return self.symbols.setdefault(size, Var(size))

    def x(self, *shape, dtype=f32):
        type_ = TensorType(dtype, tuple(self.dim(size) for size in shape))
        self.declared.append(self.input(f"x{len(self.declared)}", type_))
        return self.declared[-1]

    def const(self, *shape, dtype=np.float32):
        return self.constant(as_dtype(self.rng.standard_normal(shape), from_numpy(dtype)), "c")

    def conv(self, x, *weights, **attrs):
        """weights: the shape [R, S, C/g, O]."""
        return self.emit("conv2d", x, self.const(*weights), **(CONV | attrs))

    def concat(self, *values, axis):
        return self.emit("concat", *values, axis=axis)

    def __getattr__(self, op):
        """net.relu(x, attr=...) is net.emit("relu", x, attr=...)."""
        if op.startswith("_"):
            raise AttributeError(op)
        return lambda *values, **attrs: self.emit(op.rstrip("_"), *values, **attrs)

    def done(self, *outputs):
        names = [f"y{k}" for k in range(len(outputs))]
        graph = self.build(self.declared, outputs, names, tuple(self.symbols.values()))
        verify_graph(graph)
        return graph


CONV = {"strides": (1, 1), "pads": (0, 0, 0, 0), "dilations": (1, 1), "groups": 1}


def feeds_of(graph, seed=0, **sizes):
    """Random inputs; sizes: of the symbols, by name."""
    rng, symbols = np.random.default_rng(seed), symbols_of(graph, sizes)
    return {
        value.name: random_array(rng, [dim_value(d, symbols) for d in value.type.shape], value)
        for value in graph.inputs
    }


def symbols_of(graph, sizes):
    return {symbol: sizes[symbol.name] for symbol in graph.symbols}


def random_array(rng, shape, value):
    dtype = np.dtype(value.type.dtype.numpy)
    if value.type.dtype.is_float:
        return as_dtype(rng.standard_normal(shape), value.type.dtype)
    if dtype.kind == "b":
        return rng.random(shape) < 0.5
    return rng.integers(0 if dtype.kind == "u" else -9, 10, shape).astype(dtype)


@dataclass
class Kernel:
    """What `assemble` needs of a kernel."""

    draft: Draft
    scheduled: Scheduled
    program: Program
    image: Future
    launch: tuple = (0, 0, False)

    @property
    def ops(self):
        return tuple(operator.op.name for operator in self.draft.group.operators)


@dataclass
class Compiled:
    """A graph's kernels; run natively or by the interpreter."""

    graph: object
    storage: dict
    kernels: list
    target: Target = CPU

    def executable(self):
        for kernel in self.kernels:
            if not kernel.image.done():
                program = lowered(kernel.program)
                need = workspace_bytes(kernel.program)
                assert need == workspace_bytes(program)  # lowering changes no buffer
                kernel.launch = (0, need, False)
                kernel.image.set_result(compile_object(emit(program, cpu=self.target), self.target))
        plan, constants = assemble(self.graph, self.storage, self.kernels)
        return Executable(serialize(plan), constants)

    def run(self, feeds):
        """The outputs by name, of native code."""
        results = self.executable().run([_native(feed) for feed in feeds.values()], threads=1)
        held = [value.type.dtype.numpy for value in self.graph.outputs]
        outputs = [array.view(kind) for array, kind in zip(results, held, strict=True)]
        return dict(zip(self.graph.output_names, outputs, strict=True))

    def interpret(self, feeds, run=interpret, **sizes):
        """The outputs by name, of the interpreter, or of another that runs lowered programs."""
        memory = _Memory(self.graph, self.storage, feeds, symbols_of(self.graph, sizes))
        for kernel in self.kernels:
            memory.launch(kernel, lowered(kernel.program, self.target), run)
        return memory.outputs()

    @property
    def ops(self):
        """The operators of each kernel."""
        return [kernel.ops for kernel in self.kernels]


def _native(array):
    """An array as the runtime takes it: bfloat16 as ml_dtypes has it."""
    if array.dtype != bf16.numpy:
        return array
    return array.view(pytest.importorskip("ml_dtypes").bfloat16)


def best(found):
    """The candidate that the cost model likes best."""
    return found[0]


def compiled(graph, pick=best, target=CPU, options=DEFAULT):
    """The graph's kernels, fused; no code yet."""
    graph = make_storable(graph)
    verify_graph(graph)
    storage, readers = plan_storage(graph), consumers(graph)
    drafts = [
        draft_group(group, graph, storage, readers, options, kind=target.kind)
        for group in form_groups(graph)
    ]
    kernels = [_kernel(draft, graph.symbols, pick, target) for draft in drafts]
    return Compiled(graph, storage, kernels, target)


def _kernel(draft, symbols, pick, target):
    _, template, config = pick(candidates(draft.problem, target))
    scheduled = template.build(draft.problem, config, target)
    program = fuse_epilogue(scheduled.program, draft.problem.output, draft.steps, draft.stored)
    program = name_shared(fuse_prologue(program, draft.prologue))
    program = trim_signature(program, symbols, f"k_{draft.name}", draft.stored)
    if "launch_dependents" in target.features:
        constants = {buffer for buffer, _ in scheduled.packed.values()}
        program = wait_for_grid(program, draft.constants | constants)
    return Kernel(draft, scheduled, program, Future())


def lowered(program, target=CPU):
    for lower in LOWERING if target.kind == "cpu" else CUDA_LOWERING:
        program = lower(program)
    return program


class _Memory:
    """Arrays for all roots; what nothing has written yet is NaN (or -77)."""

    def __init__(self, graph, storage, feeds, symbols):
        self.graph, self.storage, self.symbols = graph, storage, symbols
        self.roots = {}
        for value in graph.inputs:
            self.root(value)[:] = np.ascontiguousarray(feeds[value.name]).reshape(-1)

    def size(self, dim):
        return dim_value(simplify(dim) if isinstance(dim, Expr) else dim, self.symbols)

    def root(self, value):
        """The flat memory of the root of a value."""
        root = self.storage[value].root
        if root not in self.roots:
            dtype = np.dtype(value.type.dtype.numpy)
            memory = np.zeros([self.size(dim) for dim in root.shape], dtype)
            inside = tuple(
                slice(before, before + self.size(dim))
                for (before, _), dim in zip(root.halo, root.value.type.shape, strict=True)
            )
            filling = 0 if dtype.kind in "buV" else -77
            if value.type.dtype.is_float:
                filling = as_dtype(np.float32(np.nan), value.type.dtype)
            memory[inside] = filling
            self.roots[root] = memory.reshape(-1)
        return self.roots[root]

    def launch(self, kernel, program, run):
        packed = {
            buffer: pack(self.graph.constants[kernel.draft.group.anchor.inputs[k]])
            for k, (buffer, pack) in kernel.scheduled.packed.items()
        }
        arrays, offsets, workspace = [], {}, kernel.scheduled.workspace
        for given in kernel.program.params:
            param = tensor_of(given)
            value = kernel.draft.values.get(param)
            if param in packed:
                arrays.append(packed[param].reshape(-1))
            elif param in workspace:
                arrays.append(self._scratch(param, workspace[param]))
            elif value in self.graph.constants:
                arrays.append(np.ascontiguousarray(self.graph.constants[value]).reshape(-1))
            else:
                offset = self.size(self.storage[value].offset)
                is_map = given is not param
                arrays.append(self.root(value)[offset if is_map else 0 :])
                offsets[param] = offset
        program = _whole_roots(program, offsets)
        run(program, arrays, [self.symbols[v] for v in program.scalars])
        for param, array in zip(kernel.program.params, arrays, strict=True):
            assert not workspace.get(param) or not array.any(), f"{param.name} is left as {array}"

    def _scratch(self, param, is_zero):
        size = np.prod([self.size(dim) for dim in param.shape])
        return np.full(size, 0 if is_zero else 99, param.dtype.numpy)

    def outputs(self):
        results = {}
        for name, value in zip(self.graph.output_names, self.graph.outputs, strict=True):
            shape = [self.size(dim) for dim in value.type.shape]
            results[name] = self.root(value).reshape(shape)
        return results


def _whole_roots(program, offsets):
    """The lowered program on whole roots: negative indices of a halo become plain ones."""

    def rule(node):
        if isinstance(node, (Load, Store, Prefetch, Place)) and offsets.get(node.buffer):
            return rebuild(node, {"indices": (node.indices[0] + offsets[node.buffer],)})
        return None

    return rewrite(program, rule)


def check(graph, *sizes, pick=best, target=CPU, interpreted=False, tolerance=2e-5):
    """Compiled code, and on demand the interpreter, give what the reference gives; for each dict of
    sizes of the symbols.
    """
    result = compiled(graph, pick, target)
    for number, symbols in enumerate(sizes or ({},)):
        feeds = feeds_of(graph, number, **symbols)
        expected = run_graph(graph, feeds)
        compare(result.run(feeds), expected, tolerance)
        if interpreted:
            compare(result.interpret(feeds, **symbols), expected, tolerance)
    return result


def compare(found, expected, tolerance=2e-5):
    """Integers exactly, floats up to tolerance (relative to the largest element too)."""
    for name, array in expected.items():
        assert found[name].dtype == array.dtype and found[name].shape == array.shape, name
        dtype = from_numpy(array.dtype)
        if not dtype.is_float:
            np.testing.assert_array_equal(found[name], array, err_msg=name)
            continue
        limit = {"f16": 4e-3, "bf16": 3e-2}.get(dtype.name, tolerance)
        array = single(array)
        finite = np.abs(array[np.isfinite(array)].astype(np.float64))
        scale = max(1.0, float(finite.max(initial=0.0)))
        np.testing.assert_allclose(single(found[name]), array, limit, limit * scale, err_msg=name)
