"""Records of the steps -> report.json (all of it in one file) and report.md (for people).

With the standard library alone: it is written however little of the project could be built.
"""

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

from benchmarks.gpu.facts import is_emulated
from benchmarks.gpu.runner import DONE, Record

EMULATED = "**emulated: times mean nothing.** Nothing below says anything of a GPU's speed."
Result = Mapping[str, Any]


def write(folder: Path, facts: Mapping[str, Any], records: Sequence[Record]) -> None:
    """facts: of `facts.machine`, with commit and tree."""
    whole = {"machine": facts, "steps": [asdict(record) for record in records]}
    (folder / "report.json").write_text(json.dumps(whole, indent=1) + "\n")
    (folder / "report.md").write_text(markdown(facts, records))


def markdown(facts: Mapping[str, Any], records: Sequence[Record]) -> str:
    lines = ["# GPU report", ""]
    if facts["gpu"] == "emulated" or is_emulated():
        lines += [EMULATED, ""]
    lines += [*_machine(facts), "", *_overview(records)]
    for record in records:
        if record.result:
            lines += ["", f"## {record.step}: {record.title}", "", *_section(record)]
        if record.status != DONE and record.tail:
            lines += ["", f"The end of the log of `{record.step}`:", "", "```text"]
            lines += [*record.tail, "```"]
    return "\n".join(lines) + "\n"


def _machine(facts: Mapping[str, Any]) -> list[str]:
    gpu = facts["gpu"] if isinstance(facts["gpu"], str) else ", ".join(facts["gpu"].values())
    versions = ", ".join(f"{name} {version}" for name, version in facts["versions"].items())
    return [
        f"- GPU: {gpu or 'none that nvidia-smi tells of'}",
        f"- host: {facts['cpu']}, {facts['cores']} cores, {facts['os']}",
        f"- Python {facts['python']}; {versions}",
        f"- commit {facts['commit'] or '(unknown)'}, sources {facts['tree']}",
    ]


def _overview(records: Sequence[Record]) -> list[str]:
    rows = [
        [r.step, r.status + (" (before)" if r.reused else ""), f"{r.seconds:.1f}", r.title]
        for r in records
    ]
    return _table(["step", "status", "s", ""], rows)


def _section(record: Record) -> list[str]:
    result = dict(record.result or {})
    try:
        return SECTIONS.get(record.step, _plain)(result)
    except (KeyError, TypeError, ValueError, AttributeError, IndexError):
        return _plain(result)  # a step that was stopped may have written half of it


# ---- one function per step that deserves a table ----------------------------------------------


def _micro(result: Result) -> list[str]:
    rows = []
    for name, figures in result.items():
        if isinstance(figures, Mapping) and name != "device":
            rows += [[name, key, _figure(value)] for key, value in _flat(figures)]
    return _table(["benchmark", "figure", ""], rows)


def _zoo(result: Result) -> list[str]:
    rows = [
        [
            row["model"], row["dtype"], f"{row['claimed']}/{row['nodes']}", str(row["kernels"]),
            _figure(row["max_error"]), "; ".join(row["problems"]) or "ok",
        ]
        for row in result["models"]
    ]  # fmt: skip
    return _table(["model", "type", "nodes in EP", "kernels", "max error", ""], rows)


def _bench(result: Result) -> list[str]:
    lines = []
    if result.get("not_installed"):
        lines += [f"Not installed: {', '.join(result['not_installed'])}.", ""]
    for mode in ("hot", "cold"):
        if mode not in result:
            continue
        rows = []
        for model in result[mode]["models"]:
            for row in model["results"]:
                stats = row["stats"] or {}
                rows.append(
                    [
                        model["model"], row["provider"], _figure(stats.get("median_ms")),
                        f"{_figure(stats.get('p10_ms'))}-{_figure(stats.get('p90_ms'))}",
                        _figure(row["speedup"]), _figure(row["max_error"]),
                        _figure(row["claimed"]), row["failure"] or "",
                    ]
                )  # fmt: skip
        header = ["model", "provider", "ms", "p10-p90", "times the first", "error"]
        header += ["share of nodes", ""]
        means = ", ".join(f"{who} {x:.2f}x" for who, x in result[mode]["geomean"].items())
        lines += [f"L2 {mode}. Geometric means: {means or 'none'}.", "", *_table(header, rows), ""]
    return lines


def _tune(result: Result) -> list[str]:
    regret = result["regret"]
    said = [f"{name} {_figure(regret[name])}" for name in regret if name != "rows"]
    rows = [
        [
            row["key"], str(row["configs"]), _figure(row["first_us"]), _figure(row["best_us"]),
            _figure(row["ratio"]), row["best"],
        ]
        for row in regret["rows"]
    ]  # fmt: skip
    header = ["problem", "configs", "first µs", "best µs", "ratio", "best config"]
    counts = f"{result['measured']} measured, {result['failed']} failed or rejected."
    return [
        f"{counts} The cost model's first choice: {', '.join(said)}.",
        "",
        *_table(header, rows),
    ]


def _plain(result: Result) -> list[str]:
    rows = [[key, _figure(value)] for key, value in _flat(result)]
    return _table(["figure", ""], rows)


SECTIONS: dict[str, Callable[[Result], list[str]]] = {
    "micro": _micro,
    "zoo": _zoo,
    "bench": _bench,
    "tune": _tune,
}


def _flat(figures: Mapping[str, Any], before: str = "") -> list[tuple[str, Any]]:
    found: list[tuple[str, Any]] = []
    for key, value in figures.items():
        if isinstance(value, Mapping):
            found += _flat(value, f"{before}{key} ")
        else:
            found.append((f"{before}{key}", value))
    return found


def _figure(value: Any) -> str:
    if value is None:
        return "-"
    if isinstance(value, float):
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    text = value if isinstance(value, str) else json.dumps(value)
    return " ".join(text.replace("|", "/").split())[:300]


def _table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> list[str]:
    lines = [header, ["---"] * len(header), *rows]
    return ["| " + " | ".join(cell.replace("|", "/") for cell in line) + " |" for line in lines]
