"""A fusion group in terms of the IR: the problem to schedule, and what to fuse into its program.

takes: a group, the storage of its values      gives: a Draft; nothing after it knows of graphs
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from hidet_core.compute.definition import Definition, loads
from hidet_core.compute.dims import simplify
from hidet_core.fusion import Step, inline
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.graph.groups import FusionGroup
from hidet_core.graph.storage import Storage
from hidet_core.ir.expr import Buffer, Const, Var, is_const
from hidet_core.ir.halves import single
from hidet_core.schedule.problem import Problem

from .options import CompileOptions

MAX_NAME = 60
# bytes; who runs a plan keeps to what its buffers ask for, and on CPUs nothing has to be aligned
ALIGNMENT = {"cpu": 0, "cuda": 16}
DEFAULT = CompileOptions()


@dataclass(frozen=True, eq=False)
class Draft:
    """problem: the anchor alone. prologue: fused inputs and literals by buffer; steps: the epilogue
    chain. stored: buffers of the group that are tensors in memory; values: whose memory that is;
    constants: those that no kernel writes.
    """

    group: FusionGroup
    name: str
    problem: Problem
    prologue: Mapping[Buffer, Definition]
    steps: tuple[Step, ...]
    stored: tuple[Buffer, ...]
    values: Mapping[Buffer, Value]
    constants: frozenset[Buffer] = frozenset()


def draft_group(
    group: FusionGroup,
    graph: Graph,
    storage: Mapping[Value, Storage],
    readers: Mapping[Value, Sequence[Operator]],
    options: CompileOptions = DEFAULT,
    kind: str = "cpu",
) -> Draft:
    """readers: the operators that read a value (`consumers(graph)`). kind: of the target."""
    buffers = _Buffers(graph, storage, ALIGNMENT[kind])
    defined = {operator: buffers.define(operator) for operator in group.operators}
    prologue = {buffers.of(o.output): defined[o][-1] for o in group.prologue}
    prologue |= buffers.literals()
    inside = [value for operator in group.operators for value in operator.outputs]
    running = {operator.output for operator in (group.anchor, *group.epilogue)}
    return Draft(
        group,
        "_".join(dict.fromkeys(operator.op.name for operator in group.operators))[:MAX_NAME],
        replace(
            _problem(group.anchor, defined[group.anchor], buffers, prologue),
            exact=not options.winograd,
            allow_tf32=options.allow_tf32,
        ),
        prologue,
        tuple(
            _step(operator, defined[operator][-1], running, buffers) for operator in group.epilogue
        ),
        tuple(buffers.of(v) for v in inside if _is_stored(v, group, graph, readers)),
        {buffer: value for value, buffer in buffers.known.items()},
        frozenset(buffer for value, buffer in buffers.known.items() if value in graph.constants),
    )


class _Buffers:
    """The buffers of the values that a group touches, with the strides of their storage.
    alignment: in bytes, of the start of every root.
    """

    def __init__(self, graph: Graph, storage: Mapping[Value, Storage], alignment: int = 0) -> None:
        self.graph, self.storage, self.alignment = graph, storage, alignment
        self.known: dict[Value, Buffer] = {}

    def of(self, value: Value, name: str = "x") -> Buffer:
        if value not in self.known:
            strides = None if value in self.graph.constants else self.storage[value].strides
            alignment = self._alignment(value)
            shape, dtype = value.type.shape, value.type.dtype
            self.known[value] = Buffer(name, dtype, shape, strides, alignment=alignment)
        return self.known[value]

    def _alignment(self, value: Value) -> int:
        """Of a value's first element: as much as its offset keeps of the root's."""
        alignment = self.alignment
        if value in self.graph.constants:
            return alignment
        offset = self.storage[value].offset * value.type.dtype.bytes
        while alignment and not is_const(simplify(offset % alignment), 0):
            alignment //= 2
        return alignment

    def define(self, operator: Operator) -> tuple[Definition, ...]:
        """An operator's definitions on these buffers; () of one that has none."""
        arguments = tuple(self.of(value) for value in operator.inputs)
        types = tuple(value.type for value in operator.outputs)
        if operator.op.define is None:
            self.of(operator.output, operator.op.name)
            return ()
        *inner, last = operator.op.define(arguments, types, operator.attrs)
        out = self.of(operator.output, operator.op.name)
        return (*inner, Definition(out, last.axes, last.value))

    def literals(self) -> dict[Buffer, Definition]:
        """Constants of one element become literals in the code."""
        found: dict[Buffer, Definition] = {}
        for value, buffer in self.known.items():
            array = self.graph.constants.get(value)
            if array is not None and array.size == 1 and not buffer.dtype.is_float8:
                axes = tuple(Var(f"i{k}") for k in range(array.ndim))
                item = single(array.reshape(-1)[0]).item()
                found[buffer] = Definition(buffer, axes, Const(item, value.type.dtype))
        return found


def _problem(
    anchor: Operator,
    definitions: tuple[Definition, ...],
    buffers: _Buffers,
    prologue: Mapping[Buffer, Definition],
) -> Problem:
    problem = Problem(
        op=anchor.op.name,
        attrs=anchor.attrs,
        inputs=tuple(buffers.of(value) for value in anchor.inputs),
        output=buffers.of(anchor.output),
        definitions=definitions,
        constant=tuple(value in buffers.graph.constants for value in anchor.inputs),
        computed=tuple(buffers.of(value) in prologue for value in anchor.inputs),
    )
    if anchor.op.kind != "injective":
        return problem
    # the rule-based schedule is chosen by the accesses of the whole chain
    (last,) = definitions
    whole = Definition(last.out, last.axes, inline(last.value, prologue))
    inputs = tuple(dict.fromkeys(load.buffer for load in loads(whole)))
    flags = (False,) * len(inputs)
    return replace(
        problem,
        op="injective",
        inputs=inputs,
        definitions=(whole,),
        constant=flags,
        computed=flags,
    )


def _step(
    operator: Operator, definition: Definition, running: Collection[Value], buffers: _Buffers
) -> Step:
    """An operator of the epilogue; running: the values of the anchor and the epilogue."""
    mains = tuple(buffers.of(v) for v in dict.fromkeys(operator.inputs) if v in running)
    scatter = operator.op.scatter
    if scatter is None:
        return Step(definition, mains, lambda index: index)
    types = tuple(value.type for value in operator.inputs)
    return Step(
        definition,
        mains,
        lambda index: scatter(0, index, types, operator.output.type, operator.attrs),
    )


def _is_stored(
    value: Value,
    group: FusionGroup,
    graph: Graph,
    readers: Mapping[Value, Sequence[Operator]],
) -> bool:
    members = set(group.operators)
    users = readers.get(value, ())
    return value in graph.outputs or any(user not in members for user in users)
