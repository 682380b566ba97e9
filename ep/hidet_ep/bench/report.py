"""The result of a benchmark as plain data, as JSON, and as a table that a person likes to read.

A Report holds one ModelReport per model and one Result per provider in it; the first provider is
the baseline: speed-ups and errors are against it. Tables are lists of rows of text, rendered as
aligned text for a terminal or as Markdown for the README.
"""

import math
from collections.abc import Sequence
from dataclasses import asdict, dataclass

from hidet_ep.bench.tables import render_markdown, render_text
from hidet_ep.bench.timing import Stats

SCHEMA = 1
EMPTY = "-"


@dataclass(frozen=True)
class Result:
    """One model on one provider. failure: why there are no times; claimed: share of nodes."""

    provider: str
    stats: Stats | None = None
    speedup: float | None = None  # baseline median / own median: above 1 is faster
    max_error: float | None = None
    claimed: float | None = None
    partitions: int | None = None
    create_cold_s: float | None = None
    create_warm_s: float | None = None
    failure: str | None = None


@dataclass(frozen=True)
class ModelReport:
    model: str
    batch: int | str
    nodes: int
    results: tuple[Result, ...]


@dataclass(frozen=True, kw_only=True)
class Report:
    schema: int = SCHEMA
    date: str = ""
    machine: dict[str, object]
    settings: dict[str, object]
    models: tuple[ModelReport, ...]

    def to_json(self) -> dict[str, object]:
        return {**asdict(self), "geomean": geometric_means(self)}

    @staticmethod
    def from_json(data: dict) -> "Report":
        if data.get("schema") != SCHEMA:
            raise ValueError(f"benchmark report of schema {data.get('schema')!r}, not {SCHEMA}")
        known = {key: data[key] for key in ("schema", "date", "machine", "settings")}
        return Report(**known, models=tuple(_model_from_json(m) for m in data["models"]))


def _model_from_json(data: dict) -> ModelReport:
    results = tuple(
        Result(**{**result, "stats": Stats(**result["stats"]) if result["stats"] else None})
        for result in data["results"]
    )
    return ModelReport(**{**data, "results": results})


def geometric_means(report: Report) -> dict[str, float]:
    """Geometric mean of the speed-ups of each provider over the models that it ran."""
    speedups: dict[str, list[float]] = {}
    for model in report.models:
        for result in model.results:
            if result.speedup:
                speedups.setdefault(result.provider, []).append(result.speedup)
    return {who: math.exp(sum(map(math.log, s)) / len(s)) for who, s in speedups.items()}


def failures(report: Report) -> list[str]:
    return [
        f"{model.model} on {result.provider}: {result.failure}"
        for model in report.models
        for result in model.results
        if result.failure
    ]


# ---- tables ----------------------------------------------------------------------------------


def text_table(report: Report) -> str:
    """Headline, aligned columns, the geometric mean, failures."""
    header, rows, footer = table_rows(report)
    lines = [headline(report), "", render_text(header, rows, footer)]
    return "\n".join([*lines, *(f"FAILED {line}" for line in failures(report))])


def markdown_table(report: Report) -> str:
    header, rows, footer = table_rows(report)
    return render_markdown(header, [*rows, *footer])


def headline(report: Report) -> str:
    machine, settings = report.machine, report.settings
    versions = machine["versions"]
    gpu = f"{machine['gpu']}; tensors on the {settings['io']}; " if machine.get("gpu") else ""
    cold = "L2 cold; " if settings.get("cold") else ""
    return (
        f"{gpu}{cold}{machine['cpu']}, {machine['cores']} cores; {settings['threads']} threads; "
        f"onnxruntime {versions['onnxruntime']}; median (p10-p90) of interleaved runs"
    )


def table_rows(report: Report) -> tuple[list[str], list[list[str]], list[list[str]]]:
    """Header, a row per model, and below them the geometric mean if there are several models."""
    providers = [result.provider for result in report.models[0].results]
    rows = []
    for model in report.models:
        baseline, *others = model.results
        cells = [model.model, _times(baseline), _seconds(baseline.create_warm_s)]
        rows.append(cells + [cell for result in others for cell in _result_cells(result)])
    several = len(report.models) > 1 and len(providers) > 1
    return _header(providers), rows, [_geomean_row(report, providers)] if several else []


def _header(providers: Sequence[str]) -> list[str]:
    first, *others = providers
    header = ["model", f"{first} ms", "create s"]
    for name in others:
        header += [f"{name} ms", "create cold / warm s", "nodes in EP", "max error", "speed-up"]
    return header


def _result_cells(result: Result) -> list[str]:
    cold, warm = result.create_cold_s, result.create_warm_s
    create = EMPTY if cold is None else f"{_seconds(cold)} / {_seconds(warm)}"
    error = EMPTY if result.max_error is None else f"{result.max_error:.0e}"
    return [_times(result), create, percent(result.claimed), error, _speedup(result.speedup)]


def _geomean_row(report: Report, providers: Sequence[str]) -> list[str]:
    means, row = geometric_means(report), ["geometric mean", "", ""]
    for name in providers[1:]:
        row += ["", "", "", "", _speedup(means.get(name))]
    return row


def _times(result: Result) -> str:
    if result.stats is None:
        return "failed" if result.failure else EMPTY
    stats = result.stats
    return f"{_ms(stats.median_ms)} ({_ms(stats.p10_ms)}-{_ms(stats.p90_ms)})"


def _ms(value: float) -> str:
    """Three figures: 0.123, 1.23, 12.3, 123."""
    return f"{value:.{max(0, 2 - math.floor(math.log10(max(value, 1e-3))))}f}"


def _seconds(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.2f}"


def percent(share: float | None) -> str:
    """100% is only said of all; 99.96% is 99.9%."""
    if share is None:
        return EMPTY
    return "100%" if share == 1 else f"{math.floor(share * 1000) / 10:.1f}%"


def _speedup(value: float | None) -> str:
    return EMPTY if value is None else f"{value:.2f}x"
