"""Records of measured schedules: one JSON object per line, and what is concluded from them.

{"schema": 1, "target", "device", "emulated", "key", "problem", "uses": {model: kernels},
 "template", "config", "predicted_ns", "measured": null or {"median_ns", "p10_ns", "p90_ns",
 "runs"}, "failure": null or why there is no time}
On CPUs also "threads", and in "measured" the "ratio" to the time of the default schedule beside it.
Files are merged by writing one after the other. `regret` compares the cost model's first choice
with the best; `best_table` makes the file that schedule/tuned.py reads.
"""

from __future__ import annotations

import json
import statistics
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from hidet_core.schedule import tuned

SCHEMA = 1
NEAR = 1.1  # "within 10 % of the best"
Record = Mapping[str, Any]


def load(path: Path) -> list[Record]:
    """The records of a file; a last line cut off in the middle is left out."""
    records = []
    for line in path.read_text().splitlines() if path.exists() else ():
        try:
            record = json.loads(line)
        except ValueError:
            continue
        if isinstance(record, dict) and record.get("schema") == SCHEMA:
            records.append(record)
    return records


def append(path: Path, records: Iterable[Record]) -> None:
    """Adds records to a file, each line at once. Raises OSError."""
    with path.open("a") as stream:
        stream.write("".join(json.dumps(record) + "\n" for record in records))


def by_problem(records: Iterable[Record], of: str = "key") -> dict[str, list[Record]]:
    """The records that have a time, by what they were of."""
    found: dict[str, list[Record]] = {}
    for record in records:
        if record["measured"]:
            found.setdefault(record[of], []).append(record)
    return found


def regret(records: Sequence[Record]) -> dict[str, Any]:
    """How much slower than the best measured config the cost model's first choice is (1.0: it is
    the best), for problems of which several configs were measured. `weighted`: over the time of all
    kernels of all models.
    """
    rows, chosen_ns, best_ns = [], 0.0, 0.0
    several = {key: found for key, found in by_problem(records).items() if len(found) > 1}
    for key, measured in several.items():
        first = min(measured, key=lambda record: record["predicted_ns"])
        best = min(measured, key=_time)
        uses = sum(best["uses"].values())
        chosen_ns += uses * _time(first)
        best_ns += uses * _time(best)
        rows.append(
            {
                "key": key,
                "configs": len(measured),
                "ratio": _time(first) / _time(best) if _time(best) else 1.0,
                "first": f"{first['template']} {first['config']}",
                "best": f"{best['template']} {best['config']}",
                "first_us": _time(first) / 1e3,
                "best_us": _time(best) / 1e3,
                "predicted_us": first["predicted_ns"] / 1e3,
                "uses": uses,
            }
        )
    ratios = [row["ratio"] for row in rows]
    return {
        "problems": len(rows),
        "within_10_percent": sum(r <= NEAR for r in ratios) / len(rows) if rows else None,
        "median": statistics.median(ratios) if rows else None,
        "worst": max(ratios) if rows else None,
        "weighted": chosen_ns / best_ns if best_ns else None,
        "rows": sorted(rows, key=lambda row: -(row["first_us"] - row["best_us"]) * row["uses"]),
    }


def best_table(records: Iterable[Record]) -> dict[str, Any]:
    """The content of schedule/tuned/<target>.json: of each problem the config whose time, over all
    kernels in which the problem occurs and that config was measured, is least. Raises ValueError
    for records of several targets, or of an emulated device.
    """
    records = list(records)
    targets = {(record["target"], record["device"]) for record in records}
    if len(targets) != 1 or any(record["emulated"] for record in records):
        raise ValueError(f"expected records of one real device, found {sorted(targets)}")
    ((_, device),) = targets
    best = {}
    for problem, measured in by_problem(records, "problem").items():
        sums: dict[tuple[str, str], list[float]] = {}
        for record in measured:
            name = record["template"], record["config"]
            sums.setdefault(name, []).append(_time(record))
        keys = max(map(len, sums.values()))  # only configs measured in all of its kernels
        whole = {name: sum(times) for name, times in sums.items() if len(times) == keys}
        best[problem] = list(min(whole, key=whole.__getitem__))
    return {"schema": tuned.SCHEMA, "device": device, "best": dict(sorted(best.items()))}


def _time(record: Record) -> float:
    return float(record["measured"]["median_ns"])
