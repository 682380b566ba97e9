"""From compiled kernels to a plan: buffers, constants (packed once), launches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence

import numpy as np

from hidet_core.graph.graph import Graph, Value
from hidet_core.graph.storage import Root, Storage
from hidet_core.ir.expr import Const, Expr, minimum
from hidet_core.ir.printer import text
from hidet_core.plan import Argument, BufferKind, Dim, KernelCode, Launch, Plan, TensorSpec
from hidet_core.plan import Buffer as PlanBuffer
from hidet_core.schedule.problem import Pack

from .kernel import Kernel

MIN_TASK_NS = 1.0


def assemble(
    graph: Graph, storage: Mapping[Value, Storage], kernels: Sequence[Kernel]
) -> tuple[Plan, list[np.ndarray]]:
    """The plan, and the constant arrays that it refers to by number."""
    memory = _Memory(graph, storage)
    codes: list[KernelCode] = []
    numbers: dict[bytes, int] = {}  # of images: equal kernels share their code
    launches = []
    for kernel in kernels:
        image = kernel.image.result()
        if image not in numbers:
            numbers[image] = len(codes)
            codes.append(KernelCode(kernel.program.name, image))
        launches.append(_launch(kernel, numbers[image], memory))
    plan = Plan(
        symbols=graph.symbols,
        inputs=tuple(_spec(value.name, value) for value in graph.inputs),
        outputs=tuple(map(_spec, graph.output_names, graph.outputs)),
        buffers=tuple(memory.buffers),
        kernels=tuple(codes),
        launches=tuple(launches),
        name=graph.name,
    )
    return plan, memory.constants


def _spec(name: str, value: Value) -> TensorSpec:
    return TensorSpec(name, value.type.dtype, value.type.shape)


def _launch(kernel: Kernel, code: int, memory: _Memory) -> Launch:
    program, scheduled = kernel.program, kernel.scheduled
    anchor = kernel.draft.group.anchor
    packed = {buffer: (anchor.inputs[k], pack) for k, (buffer, pack) in scheduled.packed.items()}
    arguments = []
    for param in program.params:
        if param in packed:
            value, pack = packed[param]
            form = (anchor.op.name, param.shape, scheduled.config)
            arguments.append(memory.packed(value, form, pack))
        else:
            arguments.append(memory.argument(kernel.draft.values[param]))
    work = max(float(scheduled.task_ns), MIN_TASK_NS)
    tasks = _dim(program.tasks)
    return Launch(code, tuple(arguments), tuple(program.scalars), tasks, work, program.name)


class _Memory:
    """The plan's buffers, made when a launch first uses them."""

    def __init__(self, graph: Graph, storage: Mapping[Value, Storage]) -> None:
        self.graph, self.storage = graph, storage
        self.buffers: list[PlanBuffer] = []
        self.constants: list[np.ndarray] = []
        self.places: dict[object, int] = {}

    def argument(self, value: Value) -> Argument:
        """Where a value lies."""
        if value in self.graph.constants:
            return Argument(self._constant(value, self.graph.constants[value]))
        storage = self.storage[value]
        size = value.type.dtype.bytes
        bytes_ = _dim(storage.root.elements * size)
        if storage.root not in self.places:
            kind, index = self._kind(storage.root.value)
            self._add(storage.root, PlanBuffer(kind, index, bytes_, _halo_key(storage.root)))
        # the place of a value without elements may lie behind the end
        offset = minimum(_dim(storage.offset * size), bytes_)
        return Argument(self.places[storage.root], _dim(offset))

    def packed(self, value: Value, form: Hashable, pack: Pack) -> Argument:
        """A constant as a schedule wants it; equal forms mean equal arrays."""
        key = (value, form)
        if key in self.places:
            return Argument(self.places[key])
        return Argument(self._constant(key, pack(self.graph.constants[value])))

    def _constant(self, key: object, array: np.ndarray) -> int:
        if key not in self.places:
            array = np.ascontiguousarray(array)
            self._add(key, PlanBuffer(BufferKind.CONSTANT, len(self.constants), array.nbytes))
            self.constants.append(array)
        return self.places[key]

    def _add(self, key: object, buffer: PlanBuffer) -> None:
        self.places[key] = len(self.buffers)
        self.buffers.append(buffer)

    def _kind(self, value: Value) -> tuple[BufferKind, int]:
        for kind, values in (
            (BufferKind.INPUT, self.graph.inputs),
            (BufferKind.OUTPUT, self.graph.outputs),
        ):
            if value in values:
                return kind, values.index(value)
        return BufferKind.TEMP, 0


def _halo_key(root: Root) -> str | None:
    """Equal for buffers that may share memory: the same layout, the same border of zeros."""
    if not root.has_halo:
        return None
    dims = [text(dim) if isinstance(dim, Expr) else str(dim) for dim in root.shape]
    return f"{root.value.type.dtype}[{', '.join(dims)}]{root.halo}"


def _dim(value: Dim) -> Dim:
    return int(value.value) if isinstance(value, Const) else value
