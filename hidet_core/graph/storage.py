"""Storage: where each materialised value lies. Pads and concats become addresses, not kernels.

A root is one allocation: contiguous with its own (maybe padded) shape. A value is a view of a root:
an element offset and strides. A value that a padded convolution reads is the interior of a root
with a border of zeros (halo); the inputs of a concat are parts of its output's root.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hidet_core.compute.dims import Dim, product, same_shape, simplify

from .builder import continued, replace_inputs
from .graph import Graph, Operator, Value, producers

Halo = tuple[tuple[int, int], ...]  # per axis: elements before and after


@dataclass(frozen=True, eq=False)
class Root:
    """One allocation. shape: with the halo; value: whose memory it is."""

    value: Value
    shape: tuple[Dim, ...]
    halo: Halo

    @property
    def has_halo(self) -> bool:
        return any(before or after for before, after in self.halo)

    @property
    def elements(self) -> Dim:
        return product(self.shape)


@dataclass(frozen=True, eq=False)
class Storage:
    """A value's view of its root, in elements."""

    root: Root
    offset: Dim
    strides: tuple[Dim, ...]


def make_storable(graph: Graph) -> Graph:
    """Insert copies and pads where a value cannot lie where its consumers need it.

    concat inputs that are inputs, constants, outputs or used by another concat are copied; padded
    convolutions of values whose memory is not ours get an explicit pad.
    """
    builder = continued(graph)
    mapping: dict[Value, Value] = {}
    foreign = {*graph.inputs, *graph.constants, *graph.outputs}
    foreign |= {mapping.get(value, value) for value in graph.outputs}
    placed: set[Value] = set()
    made = producers(graph)
    for operator in graph.operators:
        current = replace_inputs(operator, mapping)
        builder.source = operator.name
        if operator.op.name == "concat":
            current = _copied(builder, current, foreign, placed)
        elif operator.op.name == "conv2d" and any(operator.attrs["pads"]):
            current = _padded(builder, current, foreign, made)
        builder.append(current)
    outputs = [mapping.get(value, value) for value in graph.outputs]
    return builder.build(graph.inputs, outputs, graph.output_names, graph.symbols)


def _copied(builder: object, concat: Operator, foreign: set[Value], placed: set[Value]) -> Operator:
    inputs = []
    for value in concat.inputs:
        if value in foreign or value in placed or value in inputs:
            value = builder.emit("identity", value)
        placed.add(value)
        inputs.append(value)
    return Operator(concat.op, tuple(inputs), concat.attrs, concat.outputs, concat.name)


def _padded(
    builder: object, conv: Operator, foreign: set[Value], made: Mapping[Value, Operator]
) -> Operator:
    x = conv.inputs[0]
    if x not in foreign:
        return conv
    top, left, bottom, right = conv.attrs["pads"]
    before, after = (0, top, left, 0), (0, bottom, right, 0)
    padded = builder.emit("pad", x, before=before, after=after, mode="constant", value=0.0)
    attrs = {**conv.attrs, "pads": (0, 0, 0, 0)}
    return Operator(conv.op, (padded, *conv.inputs[1:]), attrs, conv.outputs, conv.name)


def plan_storage(graph: Graph) -> dict[Value, Storage]:
    """A storage for every value of the graph (those that end up inside a kernel just do not use
    theirs).
    """
    parents: dict[Value, tuple[Value, int, Dim]] = {}  # concat input -> (output, axis, start)
    halos: dict[Value, list[list[int]]] = {}
    for operator in graph.operators:
        if operator.op.name == "concat":
            start: Dim = 0
            for value in operator.inputs:
                parents[value] = (operator.output, operator.attrs["axis"], start)
                start = simplify(start + value.type.shape[operator.attrs["axis"]])
    for operator in graph.operators:
        if operator.op.name == "conv2d" and any(operator.attrs["pads"]):
            top, left, bottom, right = operator.attrs["pads"]
            root = _top(operator.inputs[0], parents)
            sides = halos.setdefault(root, [[0, 0] for _ in range(4)])
            for axis, pair in ((1, (top, bottom)), (2, (left, right))):
                sides[axis] = [max(old, new) for old, new in zip(sides[axis], pair, strict=True)]
    result: dict[Value, Storage] = {}
    made = [value for operator in graph.operators for value in operator.outputs]
    for value in (*graph.inputs, *graph.constants, *reversed(made)):
        result[value] = _place(value, parents, halos, result)
    return result


def _top(value: Value, parents: Mapping[Value, tuple[Value, int, Dim]]) -> Value:
    while value in parents:
        value = parents[value][0]
    return value


def _place(
    value: Value,
    parents: Mapping[Value, tuple[Value, int, Dim]],
    halos: Mapping[Value, list[list[int]]],
    done: Mapping[Value, Storage],
) -> Storage:
    if value in parents:  # consumers come first: the concat's output has its storage already
        parent, axis, start = parents[value]
        whole = done[parent]
        offset = simplify(whole.offset + start * whole.strides[axis])
        return Storage(whole.root, offset, whole.strides)
    halo = tuple((a, b) for a, b in halos.get(value, [[0, 0]] * len(value.type.shape)))
    shape = tuple(simplify(dim + a + b) for dim, (a, b) in zip(value.type.shape, halo, strict=True))
    strides: list[Dim] = []
    step: Dim = 1
    for extent in reversed(shape):
        strides.append(step)
        step = simplify(extent * step)
    strides.reverse()
    offset = 0
    for (before, _), stride in zip(halo, strides, strict=True):
        offset = offset + before * stride
    return Storage(Root(value, shape, halo), simplify(offset), tuple(strides))


def same_root(a: Storage, b: Storage) -> bool:
    return a.root is b.root and same_shape(a.strides, b.strides)
