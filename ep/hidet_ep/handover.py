"""The Python side of the bridge: plain data from C++ in, plain data out.

`partition` is called in GetCapability, once per graph level (bodies of If and Loop first). It
builds the OnnxGraph, asks the partitioner, and returns ([(node ids, plan, constants)], [(node, op
type, reason)], [warning]). Initializers are views of ONNX Runtime's memory, valid until it returns.
The dict `view` is made by GraphToPython in ep/csrc/bridge_module.cc.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from hidet_core import BadOption, OnnxGraph, OnnxNode, OnnxValue
from hidet_ep import settings
from hidet_ep.compiler import make_compiler
from hidet_ep.options import parse
from hidet_ep.partitioner import PartitionResult
from hidet_ep.partitioner import partition as partition_graph

# TensorProto.DataType -> NumPy; other types (strings, 4-bit) have no view
NUMPY_TYPES = {
    1: np.float32,
    2: np.uint8,
    3: np.int8,
    4: np.uint16,
    5: np.int16,
    6: np.int32,
    7: np.int64,
    9: np.bool_,
    10: np.float16,
    11: np.float64,
    12: np.uint32,
    13: np.uint64,
    # as hidet_core has them
    16: np.dtype([("bf16", "<u2")]),
    17: np.dtype([("f8e4m3fn", "u1")]),
    18: np.dtype([("f8e4m3fnuz", "u1")]),
    19: np.dtype([("f8e5m2", "u1")]),
    20: np.dtype([("f8e5m2fnuz", "u1")]),
}

Outcome = tuple[
    list[tuple[list[int], bytes, list[np.ndarray]]], list[tuple[str, str, str]], list[str]
]


@dataclass(frozen=True)
class GraphReport:
    """What was decided for one graph, kept for `hidet-ep inspect`. target: as in Settings."""

    graph: str
    outputs: tuple[str, ...]
    nodes: int
    result: PartitionResult
    target: str


_collecting = threading.local()


@contextmanager
def collect_reports() -> Iterator[list[GraphReport]]:
    """Collects the reports of all sessions that this thread creates inside the block."""
    _collecting.reports = reports = []
    try:
        yield reports
    finally:
        _collecting.reports = None


def last_reports(reports: Sequence[GraphReport]) -> list[GraphReport]:
    """ONNX Runtime may ask about a graph again after it inlined functions: the last one counts."""
    return list({(report.graph, report.outputs): report for report in reports}.values())


def settle(given: Mapping[str, str]) -> dict[str, Any]:
    """The fields of Settings, and "problem": what is wrong with the options, "" if nothing."""
    try:
        return {"problem": "", **asdict(settings.settle(parse(given)))}
    except BadOption as error:
        return {"problem": str(error)}


def partition(view: dict[str, Any], given: Mapping[str, str]) -> Outcome:
    options = parse(given)
    graph = to_graph(view)
    nodes = view["nodes"]
    reserved = {n["id"]: f"belongs to {n['owner']}" for n in nodes if n["owner"]}
    implicit = {n["id"]: n["implicit_inputs"] for n in nodes if n["implicit_inputs"]}
    result = partition_graph(graph, make_compiler(options), options, reserved, implicit)
    reports = getattr(_collecting, "reports", None)
    if reports is not None:
        target = settings.settle(options).target
        reports.append(GraphReport(graph.name, graph.outputs, len(graph.nodes), result, target))
    return _to_outcome(result)


def to_graph(view: dict[str, Any]) -> OnnxGraph:
    """The bridge's dict -> OnnxGraph."""
    values = {entry[0]: _to_value(*entry) for entry in view["values"]}
    used_by_bodies = (name for node in view["nodes"] for name in node["implicit_inputs"])
    return OnnxGraph(
        name=view["name"],
        nodes=tuple(_to_node(node) for node in view["nodes"]),
        values=values,
        inputs=view["inputs"],
        outputs=view["outputs"],
        opsets=view["opsets"],
        outer_used=frozenset(used_by_bodies),
    )


def _to_value(name: str, dtype: int, shape: tuple | None, data: Any, constant: bool) -> OnnxValue:
    array = _to_array(dtype, shape, data) if data is not None and shape is not None else None
    return OnnxValue(name, dtype, shape, array, constant)


def _to_node(node: dict[str, Any]) -> OnnxNode:
    return OnnxNode(
        id=node["id"],
        name=node["name"] or f"{node['op_type']}_{node['id']}",
        op_type=node["op_type"],
        domain=node["domain"],
        since_version=node["since_version"],
        inputs=node["inputs"],
        outputs=node["outputs"],
        attributes={key: _to_attribute(value) for key, value in node["attributes"].items()},
        has_subgraph=node["has_subgraph"],
    )


def _to_attribute(value: Any) -> Any:
    return _to_array(*value) if isinstance(value, tuple) else value


def _to_array(dtype: int, shape: tuple, data: Any) -> np.ndarray | None:
    if dtype not in NUMPY_TYPES:
        return None
    return np.frombuffer(data, dtype=NUMPY_TYPES[dtype]).reshape(shape)


def _to_outcome(result: PartitionResult) -> Outcome:
    partitions = [
        (list(part.node_ids), part.compiled.plan, [_raw(c) for c in part.compiled.constants])
        for part in result.partitions
    ]
    refused = [(entry.node, entry.op_type, entry.reason) for entry in result.refused]
    return partitions, refused, list(result.warnings)


def _raw(array: np.ndarray) -> np.ndarray:
    """The array's bytes in row-major order (a buffer of bytes, whatever its type)."""
    return np.ascontiguousarray(array).reshape(-1).view(np.uint8)
