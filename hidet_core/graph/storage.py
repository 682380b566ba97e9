"""Storage: where each value lies. Pads and concats become addresses, not kernels.

takes: a graph after all passes      gives: a graph whose concats and padded convolutions need no
code, and a view of memory for every value of it
A root is one allocation: contiguous with its own (maybe padded) shape. A value is a view of a root:
an element offset and strides. A value that a padded convolution reads is the interior of a root
with a border of zeros (halo); the inputs of a concat are parts of its output's root, and where a
part needs a halo the whole root has it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from hidet_core.compute.dims import Dim, product, simplify

from .builder import GraphBuilder, continued
from .graph import Graph, Operator, Value

Halo = tuple[tuple[int, int], ...]  # per axis: elements before and after

IMAGE_AXES = (1, 2)  # H and W of NHWC: the axes that have a halo


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


@dataclass(frozen=True, eq=False)
class _Part:
    """The value that lies in a concat's output from `start` on along `axis`."""

    whole: Value
    axis: int
    start: Dim


Parts = Mapping[Value, _Part]
Padded = dict[tuple[Value, tuple[int, ...], float], Value]  # by value, pads and what is around it
Earlier = dict[tuple[int, tuple[Value, ...]], Value]  # outputs of concats, by axis and inputs


def make_storable(graph: Graph) -> Graph:
    """Insert copies and pads where a value cannot lie where its consumers need it.

    concat(x, y, z)            ->  concat(c, z)                       c = concat(x, y) is there
    concat(..., x, ...)        ->  concat(..., identity(x), ...)      x an input, constant or
                                   output of the graph, or already part of a concat
    conv2d(x, w, pads=p)       ->  conv2d(pad(x, p), w, pads=0)       x cannot have a halo, or
                                   what is around it is not 0
    """
    graph = _copy_parts(graph)
    parts, foreign = _parts(graph), _foreign(graph)
    builder = continued(graph, fold=False)
    padded: Padded = {}
    for operator in graph.operators:
        builder.source = operator.name
        if _is_padded(operator) and not (
            _pads_zeros(operator) and _can_have_halo(operator.inputs[0], parts, foreign)
        ):
            operator = _padded(builder, operator, padded)
        builder.append(operator)
    if not padded:
        return graph
    return builder.build(graph.inputs, graph.outputs, graph.output_names, graph.symbols)


def _foreign(graph: Graph) -> set[Value]:
    """Values whose memory is laid out by others."""
    return {*graph.inputs, *graph.constants, *graph.outputs}


def _copy_parts(graph: Graph) -> Graph:
    """Every input of a concat is a value that can lie in that concat's output."""
    builder, taken = continued(graph, fold=False), _foreign(graph)
    earlier: Earlier = {}
    for operator in graph.operators:
        builder.source = operator.name
        if operator.op.name == "concat":
            parts: list[Value] = []
            for value in _nested(operator, earlier):
                parts.append(builder.emit("identity", value) if value in taken else value)
                taken.add(parts[-1])
            earlier[operator.attrs["axis"], operator.inputs] = operator.output
            if tuple(parts) != operator.inputs:
                operator = _with_inputs(operator, tuple(parts))
        builder.append(operator)
    if tuple(builder.operators) == graph.operators:
        return graph
    return builder.build(graph.inputs, graph.outputs, graph.output_names, graph.symbols)


def _nested(concat: Operator, earlier: Earlier) -> tuple[Value, ...]:
    """The inputs, the first of them as one value where an earlier concat has joined them already:
    layers that read all features so far (DenseNet) then need no copy of any.
    """
    for count in range(len(concat.inputs) - 1, 1, -1):
        joined = earlier.get((concat.attrs["axis"], concat.inputs[:count]))
        if joined is not None:
            return joined, *concat.inputs[count:]
    return concat.inputs


def _with_inputs(operator: Operator, inputs: tuple[Value, ...]) -> Operator:
    return Operator(operator.op, inputs, operator.attrs, operator.outputs, operator.name)


def _is_padded(operator: Operator) -> bool:
    return operator.op.name == "conv2d" and any(operator.attrs["pads"])


def _pads_zeros(conv: Operator) -> bool:
    return conv.attrs.get("pad_value", 0) == 0


def _can_have_halo(value: Value, parts: Parts, foreign: set[Value]) -> bool:
    """Whether zeros can lie around the value: not between the parts of a concat along H or W, nor
    in memory that is not ours.
    """
    while value not in foreign:
        if value not in parts:
            return True
        if parts[value].axis in IMAGE_AXES:
            return False
        value = parts[value].whole
    return False


def _padded(
    builder: GraphBuilder,
    conv: Operator,
    known: Padded,
) -> Operator:
    """The convolution of an explicitly padded input; known: the pads there are already."""
    x, pads, around = conv.inputs[0], tuple(conv.attrs["pads"]), conv.attrs.get("pad_value", 0)
    key = x, pads, around
    if key not in known:
        top, left, bottom, right = pads
        before, after = (0, top, left, 0), (0, bottom, right, 0)
        known[key] = builder.emit(
            "pad", x, before=before, after=after, mode="constant", value=float(around)
        )
    attrs = {**conv.attrs, "pads": (0, 0, 0, 0)}
    inputs = (known[key], *conv.inputs[1:])
    return Operator(conv.op, inputs, attrs, conv.outputs, conv.name)


def plan_storage(graph: Graph) -> dict[Value, Storage]:
    """A storage for every value of the graph (those that end up inside a kernel just do not use
    theirs).
    """
    parts = _parts(graph)
    halos = _halos(graph, parts)
    result: dict[Value, Storage] = {}
    made = [value for operator in graph.operators for value in operator.outputs]
    # a concat's output before its parts
    for value in (*graph.inputs, *graph.constants, *reversed(made)):
        part = parts.get(value)
        if part is None:
            result[value] = _own(value, halos.get(value, ((0, 0),) * value.type.rank))
        else:
            whole = result[part.whole]
            offset = simplify(whole.offset + part.start * whole.strides[part.axis])
            result[value] = Storage(whole.root, offset, whole.strides)
    return result


def _parts(graph: Graph) -> dict[Value, _Part]:
    """Which values are parts of concats."""
    parts: dict[Value, _Part] = {}
    for operator in graph.operators:
        if operator.op.name != "concat":
            continue
        axis, start = operator.attrs["axis"], 0
        for value in operator.inputs:
            parts[value] = _Part(operator.output, axis, start)
            start = simplify(start + value.type.shape[axis])
    return parts


def _halos(graph: Graph, parts: Parts) -> dict[Value, Halo]:
    """The halo of each root's value: enough for all padded convolutions that read it or a part."""
    halos: dict[Value, Halo] = {}
    for operator in graph.operators:
        if not _is_padded(operator):
            continue
        value = operator.inputs[0]
        while value in parts:
            value = parts[value].whole
        top, left, bottom, right = operator.attrs["pads"]
        new = ((0, 0), (top, bottom), (left, right), (0, 0))
        old = halos.get(value, ((0, 0),) * 4)
        halos[value] = tuple(
            (max(a, c), max(b, d)) for (a, b), (c, d) in zip(old, new, strict=True)
        )
    return halos


def _own(value: Value, halo: Halo) -> Storage:
    """A root of the value's own."""
    shape = tuple(simplify(dim + a + b) for dim, (a, b) in zip(value.type.shape, halo, strict=True))
    strides: list[Dim] = []
    step: Dim = 1
    for extent in reversed(shape):
        strides.append(step)
        step = simplify(extent * step)
    strides.reverse()
    offset: Dim = 0
    for (before, _), stride in zip(halo, strides, strict=True):
        offset = offset + before * stride
    return Storage(Root(value, shape, halo), simplify(offset), tuple(strides))
