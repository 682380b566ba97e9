"""Values that share a root but no element, such as the inputs of a concat.

takes: values and their storage      gives: a number for each, different for those that are apart
The runtime need not order kernels that use different ones.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping

from hidet_core.graph.graph import Value
from hidet_core.graph.storage import Root, Storage

Box = tuple[tuple[int, int | None], ...]  # start and size along each axis of a root; None: unknown


def parts_of(values: Iterable[Value], storage: Mapping[Value, Storage]) -> dict[Value, int]:
    """Numbers > 0 of values that are boxes of their roots: different ones of a root only where the
    boxes are apart. Values without a number may be anywhere in theirs.
    """
    boxes = {value: box_of(value, storage[value]) for value in values if value in storage}
    known = {value: box for value, box in boxes.items() if box is not None}
    roots: dict[Root, list[Box]] = {}
    found: dict[Value, int] = {}
    # the small ones first: one that holds others is not apart from them
    for value in sorted(known, key=lambda value: _volume(known[value])):
        box, numbered = known[value], roots.setdefault(storage[value].root, [])
        if box not in numbered and all(_are_apart(box, other) for other in numbered):
            numbered.append(box)
        if box in numbered:
            found[value] = numbered.index(box) + 1
    return found


def box_of(value: Value, storage: Storage) -> Box | None:
    """The box of its root that a value is. None if it is none, or if sizes other than that of the
    first axis are symbols.
    """
    extents, sizes, offset = storage.root.shape, value.type.shape, storage.offset
    strides = tuple(_size(stride) for stride in storage.strides)
    inner = [_size(extent) for extent in extents[1:]]
    if not sizes or len(sizes) != len(extents) or None in inner or not isinstance(offset, int):
        return None
    if offset < 0 or strides != tuple(math.prod(inner[k:]) for k in range(len(sizes))):
        return None
    box: list[tuple[int, int | None]] = []
    for stride, size in zip(strides, sizes, strict=True):
        start, offset = divmod(offset, stride or 1)
        box.append((start, _size(size)))
    fits = [
        size is not None and start + size <= extent
        for (start, size), extent in zip(box[1:], inner, strict=True)
    ]
    return tuple(box) if all(fits) else None


def _size(dim: object) -> int | None:
    return dim if isinstance(dim, int) else None


def _volume(box: Box) -> int:
    return math.prod(1 if size is None else size for _, size in box)


def _are_apart(left: Box, right: Box) -> bool:
    return any(
        (size is not None and start + size <= other)
        or (other_size is not None and other + other_size <= start)
        for (start, size), (other, other_size) in zip(left, right, strict=True)
    )
