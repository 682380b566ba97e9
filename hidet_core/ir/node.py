"""The base of all IR nodes, and the one traversal: rewrite and walk over dataclass fields.

Nodes are frozen dataclasses compared by identity. A rewrite returns untouched subtrees as the same
objects.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import fields
from typing import Any, TypeVar


class Node:
    """Base class of expressions, statements and buffers."""

    __slots__ = ()


NodeT = TypeVar("NodeT", bound=Node)
PARTS = (Node, tuple)  # what a traversal goes into

# annotations of fields that never hold children
LEAF_TYPES = frozenset({"str", "int", "float", "bool", "DType"})

_ALL_FIELDS: dict[type, tuple[str, ...]] = {}
_CHILD_FIELDS: dict[type, tuple[str, ...]] = {}


def all_fields(kind: type) -> tuple[str, ...]:
    """Names of all fields of a node class."""
    names = _ALL_FIELDS.get(kind)
    if names is None:
        names = _ALL_FIELDS[kind] = tuple(f.name for f in fields(kind))
    return names


def child_fields(kind: type) -> tuple[str, ...]:
    """Names of the fields of a node class that may hold children (fields with metadata leaf=True
    and those of LEAF_TYPES are skipped).
    """
    names = _CHILD_FIELDS.get(kind)
    if names is None:
        names = _CHILD_FIELDS[kind] = tuple(
            f.name for f in fields(kind) if not f.metadata.get("leaf") and f.type not in LEAF_TYPES
        )
    return names


def rebuild(node: NodeT, changed: Mapping[str, Any]) -> NodeT:
    """A copy of the node with some fields changed (dataclasses.replace without its cost); the node
    itself where every one of them holds that very object already.
    """
    if all(getattr(node, name) is value for name, value in changed.items()):
        return node
    kind = type(node)
    new = object.__new__(kind)
    for name in all_fields(kind):
        value = changed[name] if name in changed else getattr(node, name)
        object.__setattr__(new, name, value)
    return new


def rewrite(root: Any, rule: Callable[[Any], Any], memo: dict[int, Any] | None = None) -> Any:
    """Bottom-up. rule(node) -> new node, or None to keep it. Untouched subtrees come back as the
    same object. The rule sees an object once, however often it is used.

    memo: id -> result, for the objects that are known already; new ones are added. Who passes one
    keeps these objects alive.
    """
    memo = {} if memo is None else memo
    keep: list[Any] = []  # ids in the memo stay valid only while their objects live

    def go(item: Any) -> Any:
        if isinstance(item, tuple):
            parts = [go(child) for child in item]
            for new, old in zip(parts, item, strict=True):
                if new is not old:
                    return tuple(parts)
            return item
        if not isinstance(item, Node):
            return item
        done = memo.get(id(item))
        if done is not None:
            return done
        changed: dict[str, Any] = {}
        for name in _CHILD_FIELDS.get(type(item)) or child_fields(type(item)):
            old = getattr(item, name)
            if isinstance(old, PARTS):
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
        kind = type(item)
        for name in reversed(_CHILD_FIELDS.get(kind) or child_fields(kind)):
            child = getattr(item, name)
            if isinstance(child, PARTS):
                stack.append(child)
