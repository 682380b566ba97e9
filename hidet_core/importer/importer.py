"""Import: nodes of an OnnxGraph become operators of a Graph, one import function per node.

Unknown sizes of values that come from outside are symbols (one per dim_param; a fresh one where
there is no name), so everything inside is known in terms of them. A node that cannot be imported
raises Unsupported with the reason.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterable, Sequence

from hidet_core.base.errors import HidetError, Unsupported
from hidet_core.compute.types import TensorType
from hidet_core.graph.builder import GraphBuilder
from hidet_core.graph.graph import Graph, Value
from hidet_core.ir.dtypes import from_numpy, from_onnx

from .context import Context, Entry, materialize
from .onnx_graph import OnnxGraph, OnnxNode, OnnxValue
from .registry import find_handler
from .sizes import Sizes

# what malformed attributes or inputs make an import function raise
MALFORMED = (KeyError, IndexError, TypeError, ValueError, AttributeError, AssertionError)


class Importer:
    """Entries of the values seen so far, and the builder the operators go to."""

    def __init__(self, graph: OnnxGraph) -> None:
        self.graph = graph
        self.builder = GraphBuilder(graph.name or "graph")
        self.entries: dict[str, Entry] = {}
        self.sizes = Sizes()
        self.missing: dict[str, str] = {}

    def declare_input(self, name: str) -> Value:
        """A value that comes from outside: its unknown dims become symbols."""
        info = self.graph.values[name]
        dtype = from_onnx(info.dtype)
        if dtype is None or info.shape is None:
            what = "rank" if dtype else f"supported element type (TensorProto {info.dtype})"
            raise Unsupported(name, f"value {name!r} has no known {what}")
        dims = tuple(
            dim if isinstance(dim, int) else self.sizes.size(dim or f"{name}.{axis}")
            for axis, dim in enumerate(info.shape)
        )
        value = self.builder.input(name, TensorType(dtype, dims))
        self.entries[name] = value
        return value

    def expect(self, names: Iterable[str]) -> None:
        """The values that will be declared."""
        self.sizes.expect(self.graph.values[name] for name in names)

    def entry(self, name: str) -> Entry:
        """The entry of a value: imported already, or a constant initializer."""
        if name in self.entries:
            return self.entries[name]
        info = self.graph.values.get(name)
        if info is None or info.data is None or not info.is_constant:
            why = self.missing.get(name, f"value {name!r} is neither imported nor a constant")
            raise Unsupported(name, why)
        self.entries[name] = self._initializer(info)
        return self.entries[name]

    def _initializer(self, info: OnnxValue) -> Value:
        assert info.data is not None, "the caller checked"
        if from_numpy(info.data.dtype) is None:
            raise Unsupported(info.name, f"constant {info.name!r} has an unsupported element type")
        return self.builder.constant(info.data, info.name)

    def import_node(self, node: OnnxNode) -> None:
        """Emit the operators of a node and enter its outputs."""
        label = node.name or node.op_type
        handler = find_handler(node.domain, node.op_type, node.since_version)
        if isinstance(handler, str):
            raise Unsupported(label, handler)
        if node.has_subgraph:
            raise Unsupported(label, "it has a subgraph")
        self.builder.source = label
        try:
            entries = [self.entry(name) if name else None for name in node.inputs]
            result = handler(Context(node, self.builder, entries))
        except HidetError as error:
            raise Unsupported(label, getattr(error, "why", str(error))) from error
        except MALFORMED as error:
            raise Unsupported(label, f"malformed node ({type(error).__name__}: {error})") from error
        results = result if isinstance(result, tuple) else (result,)
        for name, entry in zip(node.outputs, results, strict=False):
            if name and entry is not None:
                self.entries[name] = entry
        for name in (name for name in node.outputs if name and name not in self.entries):
            self.missing[name] = f"output {name!r} of {node.op_type} {label!r} is not supported"

    def finish(self, inputs: Sequence[Value], outputs: Sequence[str]) -> Graph:
        values = [materialize(self.builder, self.entry(name)) for name in outputs]
        symbols = tuple(self.sizes.symbols.values())
        return self.builder.build(inputs, values, tuple(outputs), symbols)


def import_subgraph(
    graph: OnnxGraph, node_ids: Iterable[int], inputs: Sequence[str], outputs: Sequence[str]
) -> Graph:
    """The operators of some nodes. `inputs` come from outside; constants need not be listed."""
    importer, chosen = Importer(graph), set(node_ids)
    importer.expect(inputs)
    declared = [importer.declare_input(name) for name in inputs]
    for node in graph.nodes:
        if node.id in chosen:
            importer.import_node(node)
    return importer.finish(declared, outputs)


def explain_graph(graph: OnnxGraph) -> dict[int, str]:
    """Why nodes cannot be imported, by node id; nodes that can are not in it.

    The whole graph is imported once; what a refused node makes counts as coming from outside.
    """
    importer, reasons = Importer(graph), dict[int, str]()
    importer.expect(_from_outside(graph))
    for name in _from_outside(graph):
        _declare_outside(importer, name)
    wanted = _wanted(graph)
    for node in graph.nodes:
        try:
            importer.import_node(node)
            lost = [name for name in node.outputs if name in importer.missing and name in wanted]
            if lost:
                raise Unsupported(node.name, importer.missing[lost[0]])
        except Unsupported as error:
            reasons[node.id] = error.why
            for name in node.outputs:
                _declare_outside(importer, name)
    return reasons


def _from_outside(graph: OnnxGraph) -> Iterable[str]:
    """The graph's inputs, and in the body of an If or Loop the values around it."""
    made = {name for node in graph.nodes for name in node.outputs}
    read = dict.fromkeys(name for node in graph.nodes for name in node.inputs)
    around = [name for name in read if name in graph.values and name not in made]
    inputs = dict.fromkeys((*graph.inputs, *around))
    return [name for name in inputs if not graph.values[name].is_constant]


def _wanted(graph: OnnxGraph) -> set[str]:
    return {*graph.outputs, *graph.outer_used, *(name for n in graph.nodes for name in n.inputs)}


def _declare_outside(importer: Importer, name: str) -> None:
    """Declare a value that is made elsewhere; whoever needs it fails if its type is unknown."""
    if not name:
        return
    importer.entries.pop(name, None)
    try:
        importer.declare_input(name)
    except Unsupported as error:
        importer.missing[name] = error.why


_EXPLAINED: weakref.WeakKeyDictionary[OnnxGraph, dict[int, str]] = weakref.WeakKeyDictionary()


def explain_node(graph: OnnxGraph, node: OnnxNode) -> str | None:
    """Why a node cannot be imported, None if it can (the whole graph is examined once)."""
    if graph not in _EXPLAINED:
        _EXPLAINED[graph] = explain_graph(graph)
    return _EXPLAINED[graph].get(node.id)
