"""What the importer takes, read off the importer itself: for documentation and for users.

The reasons for which a node is left to ONNX Runtime are the texts with which import functions fail;
they are collected from the source of each function and of those it uses.
"""

from __future__ import annotations

import ast
import functools
import inspect
import re
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any

from hidet_core.ir.dtypes import ALL

from .registry import HANDLERS

PACKAGE = __name__.rpartition(".")[0]
# methods of Context that fail if an input is not constant: name -> what is said
NEEDS = {
    "constant": "{what} not constant",
    "dims": "{what} not known at compile time",
    "ints": "{what} not known at compile time, or symbolic",
}


@dataclass(frozen=True)
class OperatorSupport:
    """An importable operator. `since`: the opset versions from which an import function holds,
    rising; the last one holds for all later versions. `types`: the element types that ONNX allows
    for its first input and that we have; empty where ONNX has no schema of the operator. `refused`:
    cases that are left to ONNX Runtime, in words, `...` for what depends on the node."""

    domain: str
    op_type: str
    since: tuple[int, ...]
    types: tuple[str, ...]
    refused: tuple[str, ...]


def describe_operators() -> tuple[OperatorSupport, ...]:
    """All importable operators, ordered by domain and name."""
    return tuple(
        OperatorSupport(
            domain,
            op_type,
            tuple(sorted(versions)),
            _types(domain, op_type),
            _refused(versions.values()),
        )
        for (domain, op_type), versions in sorted(HANDLERS.items())
    )


FLOAT8_OPS = ("Cast", "CastLike", "Concat", "Expand", "Flatten", "Gather", "Identity", "Reshape",
              "Slice", "Squeeze", "Transpose", "Unsqueeze")  # fmt: skip


def _types(domain: str, op_type: str) -> tuple[str, ...]:
    from onnx import TensorProto, defs

    if not defs.has(op_type, domain):
        return ()
    schema = defs.get_schema(op_type, domain=domain)
    first = (*schema.inputs, *schema.outputs)[0]
    taken = [t for t in ALL if op_type in FLOAT8_OPS or not t.is_float8]
    names = {f"tensor({TensorProto.DataType.Name(t.onnx).lower()})": t.name for t in taken}
    return tuple(name for text, name in names.items() if text in first.types)


def _refused(handlers: Any) -> tuple[str, ...]:
    found = dict.fromkeys(
        text for handler in handlers for function in _reached(handler) for text in _texts(function)
    )
    return tuple(found)


def _reached(handler: Callable[..., Any]) -> list[FunctionType]:
    """The function and all functions of the importer that it names."""
    reached: dict[FunctionType, None] = {}
    waiting = list(_functions(handler))
    while waiting:
        function = waiting.pop()
        if function in reached:
            continue
        reached[function] = None
        names = {node.id for node in ast.walk(_tree(function)) if isinstance(node, ast.Name)}
        for name in sorted(names & function.__globals__.keys(), reverse=True):
            waiting.extend(_functions(function.__globals__[name]))
    return list(reached)


def _functions(value: Any) -> Iterator[FunctionType]:
    """A function of this package, also one inside of a functools.partial."""
    if isinstance(value, functools.partial):
        value = value.func
    if isinstance(value, FunctionType) and value.__module__.startswith(PACKAGE):
        if value.__module__ != f"{PACKAGE}.context":
            yield value


@functools.cache
def _tree(function: FunctionType) -> ast.AST:
    """The syntax tree of a function; of a lambda, that of the names it uses."""
    if function.__name__ == "<lambda>":
        names = (ast.Name(name, ast.Load()) for name in function.__code__.co_names)
        return ast.Tuple(list(names), ast.Load())
    return ast.parse(textwrap.dedent(inspect.getsource(function)))


@functools.cache
def _texts(function: FunctionType) -> tuple[str, ...]:
    """What a function says where it fails, in order."""
    calls = [node for node in ast.walk(_tree(function)) if isinstance(node, ast.Call)]
    return tuple(text for call in calls if (text := _text(call)))


def _text(call: ast.Call) -> str:
    on_context = isinstance(call.func, ast.Attribute) and isinstance(call.func.value, ast.Name)
    method = call.func.attr if on_context and call.func.value.id == "ctx" else ""
    if method == "fail" and call.args:
        return _words(call.args[0])
    if method in NEEDS and len(call.args) == 2:
        return NEEDS[method].format(what=_words(call.args[1]))
    return ""


def _words(node: ast.expr) -> str:
    """A string or f-string as text, `...` in place of values."""
    if isinstance(node, ast.Constant):
        return str(node.value)
    if not isinstance(node, ast.JoinedStr):
        return "..."
    parts = (part.value if isinstance(part, ast.Constant) else "..." for part in node.values)
    return re.sub(r"(\.\.\.)( ?\.\.\.)+", "...", "".join(map(str, parts)))
