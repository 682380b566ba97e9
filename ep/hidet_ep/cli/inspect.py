"""`hidet-ep inspect`: which nodes of a model HidetEP takes, as which kernels, and why not the rest.

It creates a real session and shows what the partitioner decided in it, so the nodes are those ONNX
Runtime offered after its own first rewrites.
"""

from __future__ import annotations

import argparse
import json
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hidet_ep.bench.tables import render_text
from hidet_ep.cli.common import add_model_arguments, open_model
from hidet_ep.handover import GraphReport, collect_reports, last_reports
from hidet_ep.partitioner import Partition, Refusal

NAMES_SHOWN = 3
OPS_WIDTH = 60


def add(commands: Any) -> None:
    command = commands.add_parser("inspect", help="partitions, kernels, and nodes left out")
    add_model_arguments(command)
    command.add_argument("--all", action="store_true", help="list every node that is left out")
    command.add_argument("--json", action="store_true", help="the same as JSON")
    command.set_defaults(command=inspect)


def inspect(args: argparse.Namespace) -> int:
    with collect_reports() as reports:
        open_model(args)
    reports = last_reports(reports)
    if args.json:
        print(json.dumps([_as_data(report) for report in reports], indent=2))
    else:
        print("\n".join(line for report in reports for line in _lines(report, args.all)))
    return 0


def _lines(report: GraphReport, every_node: bool) -> Iterator[str]:
    parts, refused = report.result.partitions, report.result.refused
    taken = sum(len(part.node_ids) for part in parts)
    yield f"graph {report.graph!r}: {report.nodes} nodes, {taken} in HidetEP"
    yield f"compiled for {report.target}"
    yield ""
    if parts:
        header = ("partition", "nodes", "kernels", "constants", "")
        yield render_text(header, [_partition_row(i, p) for i, p in enumerate(parts)])
        yield ""
    for number, part in enumerate(parts):
        rows = [_kernel_row(i, kernel) for i, kernel in enumerate(part.compiled.report.kernels)]
        yield f"kernels of partition {number}"
        yield render_text((" #", "nodes", "", ""), rows)
        yield ""
    if refused:
        yield "left to ONNX Runtime"
        yield render_text(("operator", "nodes", "", ""), _refused_rows(refused, every_node))
        yield ""
    yield from (f"warning: {text}" for text in report.result.warnings)


def _partition_row(number: int, part: Partition) -> tuple[str, ...]:
    compiled = part.compiled
    constant_bytes = sum(array.nbytes for array in compiled.constants)
    border = f"{_some(part.inputs)} -> {_some(part.outputs)}"
    kernels = str(len(compiled.report.kernels))
    return (str(number), str(len(part.node_ids)), kernels, _size(constant_bytes), border)


def _kernel_row(number: int, kernel: Any) -> tuple[str, ...]:
    return (f"{number:2}", str(len(kernel.ops)), _chain(kernel.ops), str(kernel.config or ""))


def _refused_rows(refused: Sequence[Refusal], every_node: bool) -> list[tuple[str, ...]]:
    if every_node:
        return [(entry.op_type, "1", entry.node, entry.reason) for entry in refused]
    groups: dict[tuple[str, str], list[str]] = {}
    for entry in refused:
        groups.setdefault((entry.op_type, entry.reason), []).append(entry.node)
    return [
        (op_type, str(len(names)), _some(names), reason)
        for (op_type, reason), names in groups.items()
    ]


def _chain(ops: Sequence[str]) -> str:
    """Conv Relu Relu -> "Conv + 2 Relu", cut where it gets long."""
    counted = Counter(ops)
    text = " + ".join(f"{n} {op}" if n > 1 else op for op, n in counted.items())
    return text if len(text) <= OPS_WIDTH else text[: OPS_WIDTH - 3] + "..."


def _some(names: Sequence[str]) -> str:
    more = len(names) - NAMES_SHOWN
    shown = ", ".join(names[:NAMES_SHOWN])
    return f"{shown}, {more} more" if more > 0 else shown


def _size(count: int) -> str:
    return f"{count / 2**20:.1f} MiB" if count >= 2**20 else f"{count / 2**10:.1f} KiB"


def _as_data(report: GraphReport) -> dict[str, Any]:
    return {
        "graph": report.graph,
        "target": report.target,
        "nodes": report.nodes,
        "partitions": [
            {
                "nodes": list(part.node_ids),
                "inputs": list(part.inputs),
                "outputs": list(part.outputs),
                "constant_bytes": sum(array.nbytes for array in part.compiled.constants),
                "kernels": [
                    {"name": k.name, "ops": list(k.ops), "config": str(k.config or "")}
                    for k in part.compiled.report.kernels
                ],
            }
            for part in report.result.partitions
        ],
        "refused": [
            {"node": entry.node, "op_type": entry.op_type, "reason": entry.reason}
            for entry in report.result.refused
        ],
        "warnings": list(report.result.warnings),
    }
