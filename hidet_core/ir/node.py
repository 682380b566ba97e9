"""The base of all IR nodes, and the one traversal: rewrite and walk over dataclass fields.

Nodes are frozen dataclasses compared by identity. A rewrite returns untouched subtrees as the same
objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields
from typing import Any


class Node:
    """Base class of expressions, statements and buffers."""

    __slots__ = ()


_FIELD_NAMES: dict[type, tuple[str, ...]] = {}


def child_fields(kind: type) -> tuple[str, ...]:
    """Names of the fields of a node class that may hold children (fields with metadata leaf=True
    are skipped).
    """
    names = _FIELD_NAMES.get(kind)
    if names is None:
        names = tuple(f.name for f in fields(kind) if not f.metadata.get("leaf"))
        _FIELD_NAMES[kind] = names
    return names


def rebuild(node: Node, changed: dict[str, Any]) -> Node:
    """A copy of the node with some fields changed (dataclasses.replace without its cost)."""
    kind = type(node)
    new = object.__new__(kind)
    for field in fields(kind):
        object.__setattr__(new, field.name, changed.get(field.name, getattr(node, field.name)))
    return new


def rewrite(root: Any, rule: Callable[[Any], Any], memo: dict[int, Any] | None = None) -> Any:
    """Bottom-up. rule(node) -> new node, or None to keep it. Untouched subtrees come back as the
    same object.
    """
    memo = {} if memo is None else memo
    keep: list[Any] = []  # ids in the memo stay valid only while their objects live

    def go(item: Any) -> Any:
        if isinstance(item, tuple):
            new = tuple(go(child) for child in item)
            return item if all(x is y for x, y in zip(new, item, strict=True)) else new
        if not isinstance(item, Node):
            return item
        done = memo.get(id(item))
        if done is not None:
            return done
        changed: dict[str, Any] = {}
        for name in child_fields(type(item)):
            old = getattr(item, name)
            if isinstance(old, (Node, tuple)):
                new = go(old)
                if new is not old:
                    changed[name] = new
        built = rebuild(item, changed) if changed else item
        result = rule(built)
        result = built if result is None else result
        memo[id(item)] = result
        keep.append(item)
        return result

    return go(root)


def walk(root: Any) -> Iterator[Node]:
    """All nodes below and including root, parents before children, each object once."""
    seen: set[int] = set()
    stack: list[Any] = [root]
    while stack:
        item = stack.pop()
        if isinstance(item, tuple):
            stack.extend(reversed(item))
            continue
        if not isinstance(item, Node) or id(item) in seen:
            continue
        seen.add(id(item))
        yield item
        for name in reversed(child_fields(type(item))):
            child = getattr(item, name)
            if isinstance(child, (Node, tuple)):
                stack.append(child)
