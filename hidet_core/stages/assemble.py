"""From compiled kernels to a plan: buffers, constants (packed once), launches."""

from __future__ import annotations

from collections.abc import Hashable, Mapping, Sequence
from dataclasses import replace

import numpy as np

from hidet_core.compute.dims import product, simplify
from hidet_core.graph.graph import Graph, Value
from hidet_core.graph.size_checks import size_checks
from hidet_core.graph.storage import Root, Storage
from hidet_core.ir.expr import Binary, Buffer, Const, Expr, minimum
from hidet_core.ir.intrinsics import stored_buffers
from hidet_core.ir.node import walk
from hidet_core.ir.printer import text
from hidet_core.ir.tensor_map import TensorMap, tensor_of
from hidet_core.plan import (
    Argument,
    BufferKind,
    Dim,
    KernelCode,
    Launch,
    Plan,
    SizeCheck,
    TensorSpec,
)
from hidet_core.plan import Buffer as PlanBuffer
from hidet_core.plan import TensorMap as PlanMap
from hidet_core.schedule.problem import Pack

from .kernel import Kernel
from .parts import parts_of

MIN_TASK_NS = 1.0


def assemble(
    graph: Graph,
    storage: Mapping[Value, Storage],
    kernels: Sequence[Kernel],
    device: str = "cpu",
) -> tuple[Plan, list[np.ndarray]]:
    """The plan for a device ('cpu' or 'cuda'), and the constant arrays that it refers to by number.

    For CUDA each kernel has its `launch`.
    """
    used = dict.fromkeys(value for kernel in kernels for value in kernel.draft.values.values())
    memory = _Memory(graph, storage, parts_of(used, storage))
    codes: list[KernelCode] = []
    numbers: dict[bytes, int] = {}  # of images: equal kernels share their code
    launches = []
    for kernel in kernels:
        image = kernel.image.result()
        if image not in numbers:
            numbers[image] = len(codes)
            codes.append(KernelCode(kernel.program.name, image, *kernel.launch))
        launches.append(_launch(kernel, numbers[image], memory))
    plan = Plan(
        symbols=graph.symbols,
        inputs=tuple(_spec(value.name, value) for value in graph.inputs),
        outputs=tuple(map(_spec, graph.output_names, graph.outputs)),
        buffers=tuple(memory.buffers),
        kernels=tuple(codes),
        launches=tuple(launches),
        name=graph.name,
        checks=tuple(
            SizeCheck(check.where, _dim(check.left), _dim(check.right))
            for check in size_checks(graph)
        ),
        device=device,
    )
    return plan, memory.constants


def _spec(name: str, value: Value) -> TensorSpec:
    return TensorSpec(name, value.type.dtype, value.type.shape)


def _launch(kernel: Kernel, code: int, memory: _Memory) -> Launch:
    program, scheduled = kernel.program, kernel.scheduled
    anchor = kernel.draft.group.anchor
    packed = {buffer: (anchor.inputs[k], pack) for k, (buffer, pack) in scheduled.packed.items()}
    stored = stored_buffers(program)
    arguments = []
    for param in program.params:
        source = tensor_of(param)
        if source in packed:
            value, pack = packed[source]
            form = (anchor.op.name, source.shape, scheduled.config)
            argument = memory.packed(value, form, pack)
        elif param in scheduled.workspace:
            argument = memory.workspace(param, scheduled.workspace[param])
        else:
            argument = memory.argument(kernel.draft.values[source], param.alignment)
        map_ = _map(param) if isinstance(param, TensorMap) else None
        arguments.append(replace(argument, stored=param in stored, map=map_))
    work = max(float(scheduled.task_ns), MIN_TASK_NS)
    written = [kernel.draft.values.get(tensor_of(param)) for param in stored]
    tasks = _dim(_unless_empty(program.tasks, [value for value in written if value is not None]))
    return Launch(code, tuple(arguments), tuple(program.scalars), tasks, work, program.name)


def _unless_empty(tasks: Dim, written: Sequence[Value]) -> Dim:
    """No tasks where nothing is to be written. Kernels take symbols for 1 or more, so that
    min(n, 1) is 1 for them; in a plan it may be 0.
    """
    sizes = [dim for value in written for dim in value.type.shape if isinstance(dim, Expr)]
    cuts = [node for dim in sizes for node in walk(dim) if isinstance(node, Binary)]
    if not any(node.op in ("min", "max") for node in cuts):
        return tasks
    elements = sum((product(value.type.shape) for value in written[1:]),
                   start=product(written[0].type.shape))  # fmt: skip
    return simplify(minimum(elements, 1) * tasks)


def _map(param: TensorMap) -> PlanMap:
    """As the driver takes it: the contiguous dimension first, strides in bytes."""
    assert param.strides is not None
    strides = (_dim(stride * param.dtype.bytes) for stride in reversed(param.strides))
    sizes = tuple(map(_dim, reversed(param.shape)))
    return PlanMap(param.dtype, sizes, tuple(strides), param.box[::-1], param.swizzle)


class _Memory:
    """The plan's buffers, made when a launch first uses them."""

    def __init__(
        self, graph: Graph, storage: Mapping[Value, Storage], parts: Mapping[Value, int]
    ) -> None:
        self.graph, self.storage, self.parts = graph, storage, parts
        self.buffers: list[PlanBuffer] = []
        self.constants: list[np.ndarray] = []
        self.places: dict[object, int] = {}

    def argument(self, value: Value, alignment: int) -> Argument:
        """Where a value lies; alignment: that the kernel relies on, in bytes."""
        if value in self.graph.constants:
            return Argument(self._constant(value, self.graph.constants[value]))
        storage = self.storage[value]
        size = value.type.dtype.bytes
        bytes_ = _dim(storage.root.elements * size)
        if storage.root not in self.places:
            kind, index = self._kind(storage.root.value)
            self._add(storage.root, PlanBuffer(kind, index, bytes_, _halo_key(storage.root)))
        number = self.places[storage.root]
        buffer = self.buffers[number]
        self.buffers[number] = replace(buffer, alignment=max(buffer.alignment, alignment))
        # the place of a value without elements may lie behind the end
        offset = minimum(_dim(storage.offset * size), bytes_)
        return Argument(number, _dim(offset), part=self.parts.get(value, 0))

    def workspace(self, param: Buffer, is_zero: bool) -> Argument:
        """Scratch memory of one launch."""
        size = _dim(product(param.shape) * param.dtype.bytes)
        key = f"zero {len(self.buffers)}" if is_zero else None
        alignment = max(param.alignment, 1)
        self.buffers.append(PlanBuffer(BufferKind.TEMP, 0, size, key, alignment))
        return Argument(len(self.buffers) - 1)

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
