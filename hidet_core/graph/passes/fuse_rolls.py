"""Pieces of one value put together in another order become index maps.

    slice(slice(x))                                    ->  slice(x)
    concat(slice(x, s:), slice(x, :s), axis=k)         ->  roll(x, shifts[k]=s)
    roll(roll(x, a), b)                                ->  roll(x, a + b)
    concat of the slices x[0::2, 0::2], x[1::2, 0::2]  ->  reshape(transpose(reshape(x)))
    and so on (every step once), axis=k

The first two are torch.roll of Swin's shifted windows, the last its merging of patches (or YOLO's
focus): space to depth. A concat would store its parts one by one.
"""

from __future__ import annotations

from itertools import permutations, product
from math import prod

from hidet_core.compute.dims import Dim, same_dim, same_shape, simplify
from hidet_core.graph.builder import GraphBuilder, join_names, rewrite_graph
from hidet_core.graph.graph import Graph, Operator, Value
from hidet_core.ir.expr import is_const

MAX_STEPS = 64  # parts of a concat that are looked at


def fuse_rolls(graph: Graph) -> Graph:
    return rewrite_graph(graph, _rule)


def _rule(builder: GraphBuilder, operator: Operator) -> Value | None:
    match operator.op.name:
        case "slice":
            return _merged_slice(builder, operator)
        case "roll":
            return _merged_roll(builder, operator)
        case "concat":
            parts = [builder.producer.get(value) for value in operator.inputs]
            slices = [part for part in parts if part is not None and part.op.name == "slice"]
            if len(slices) < len(parts) or len({part.inputs[0] for part in slices}) != 1:
                return None
            return _roll(builder, operator, slices) or _to_depth(builder, operator, slices)
    return None


def _merged_slice(builder: GraphBuilder, operator: Operator) -> Value | None:
    """Element i is x[(i * step + start) * step' + start']."""
    inner = builder.producer.get(operator.inputs[0])
    if inner is None or inner.op.name != "slice":
        return None
    attrs, below = operator.attrs, inner.attrs
    terms = zip(attrs["starts"], below["starts"], below["steps"], strict=True)
    starts = tuple(simplify(start * step + first) for start, first, step in terms)
    steps = tuple(a * b for a, b in zip(attrs["steps"], below["steps"], strict=True))
    name = join_names(inner.name, operator.name)
    how = {"starts": starts, "steps": steps, "sizes": attrs["sizes"]}
    return builder.emit("slice", inner.inputs[0], name=name, **how)


def _merged_roll(builder: GraphBuilder, operator: Operator) -> Value | None:
    inner = builder.producer.get(operator.inputs[0])
    if inner is None or inner.op.name != "roll":
        return None
    shape = inner.inputs[0].type.shape
    terms = zip(operator.attrs["shifts"], inner.attrs["shifts"], shape, strict=True)
    shifts = tuple(_wrapped(a + b, size) for a, b, size in terms)
    return builder.emit("roll", inner.inputs[0], shifts=shifts, name=operator.name)


def _wrapped(shift: int, size: Dim) -> int:
    """A shift in [0, size); sizes that are symbols have at most one shift."""
    return shift % max(size, 1) if isinstance(size, int) else shift


def _roll(builder: GraphBuilder, operator: Operator, slices: list[Operator]) -> Value | None:
    if len(slices) != 2:
        return None
    axis, (tail, head) = operator.attrs["axis"], slices
    (x,) = tail.inputs
    size, shift = x.type.shape[axis], tail.attrs["starts"][axis]
    if not isinstance(size, int) or not isinstance(shift, int):
        return None
    plain = all(_is_plain(part, x, axis) for part in slices)
    fits = tail.attrs["sizes"][axis] == size - shift and head.attrs["sizes"][axis] == shift
    if not plain or not fits or not is_const(head.attrs["starts"][axis], 0):
        return None
    shifts = tuple(shift if k == axis else 0 for k in range(x.type.rank))
    rolled = builder.emit("roll", x, shifts=shifts, name=operator.name)
    inner = builder.producer[rolled] if rolled in builder.producer else None
    return (_merged_roll(builder, inner) if inner is not None else None) or rolled


def _is_plain(part: Operator, x: Value, axis: int) -> bool:
    """Whether a slice cuts one axis only, and skips nothing."""
    others = [k for k in range(x.type.rank) if k != axis]
    whole = all(
        is_const(part.attrs["starts"][k], 0) and same_dim(part.attrs["sizes"][k], x.type.shape[k])
        for k in others
    )
    return whole and set(part.attrs["steps"]) == {1}


def _to_depth(builder: GraphBuilder, operator: Operator, slices: list[Operator]) -> Value | None:
    (x,) = slices[0].inputs
    steps, axis = slices[0].attrs["steps"], operator.attrs["axis"]
    cut = [k for k, step in enumerate(steps) if step > 1]
    if not cut or axis in cut or prod(steps) != len(slices) or len(slices) > MAX_STEPS:
        return None
    shape, sizes = x.type.shape, slices[0].attrs["sizes"]
    if any(part.attrs["steps"] != steps for part in slices):
        return None
    if not all(same_shape(part.attrs["sizes"], sizes) for part in slices):
        return None
    if not all(same_dim(simplify(sizes[k] * steps[k]), shape[k]) for k in range(len(shape))):
        return None
    order = _order(slices, cut, steps)
    return None if order is None else _permuted(builder, operator, x, (order, steps))


def _order(slices: list[Operator], cut: list[int], steps: tuple[int, ...]) -> list[int] | None:
    """The axes that are cut, the one whose start changes least often first."""
    starts = [part.attrs["starts"] for part in slices]
    if any(not is_const(n, 0) for s in starts for k, n in enumerate(s) if k not in cut):
        return None
    for order in permutations(cut):
        wanted = product(*(range(steps[k]) for k in order))
        if all(
            all(is_const(s[k], n) for k, n in zip(order, each, strict=True))
            for s, each in zip(starts, wanted, strict=True)
        ):
            return list(order)
    return None


def _permuted(
    builder: GraphBuilder, operator: Operator, x: Value, cut: tuple[list[int], tuple[int, ...]]
) -> Value:
    """Each axis that is cut becomes (size, step); the steps go in front of the concat's axis."""
    order, steps = cut
    split: list[Dim] = []
    place: dict[int, int] = {}
    for k, size in enumerate(x.type.shape):
        place[k] = len(split)
        split += [exact(size, steps[k]), steps[k]] if k in order else [size]
    perm: list[int] = []
    for k in range(x.type.rank):
        if k == operator.attrs["axis"]:
            perm += [place[axis] + 1 for axis in order]
        perm.append(place[k])
    builder.source = join_names(operator.name)
    turned = builder.transpose(builder.reshape(x, split), perm)
    return builder.reshape(turned, operator.output.type.shape)


def exact(size: Dim, step: int) -> Dim:
    return simplify(size // step)
