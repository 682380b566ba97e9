"""What a run of the fuzzer found: a folder per finding, a summary, a line of progress."""

from __future__ import annotations

import json
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnx.printer

from .case import Case, Settings
from .judge import INVALID, Verdict

COMMONEST = 40
CLAIMED_AT_LEAST = 0.95


def save(folder: Path, case: Case, verdict: Verdict, settings: Settings, drawn: Case) -> None:
    """model.onnx and inputs.npz of the small case, original.onnx, report.txt, in `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    onnx.save(case.model, folder / "model.onnx")
    onnx.save(drawn.model, folder / "original.onnx")
    arrays = {f"{k}/{n}": a for k, feeds in enumerate(case.feeds) for n, a in feeds.items()}
    np.savez(folder / "inputs.npz", **arrays)
    (folder / "report.txt").write_text(_text(case, verdict, settings))


def reproduce(seed: int, settings: Settings) -> str:
    ops = f" --ops {','.join(settings.ops)}" if settings.ops else ""
    return f"scripts/fuzz.py --seed {seed} --count 1 --target {settings.target}{ops}"


def _text(case: Case, verdict: Verdict, settings: Settings) -> str:
    options = ", ".join(f"{key}={value}" for key, value in case.options.items())
    return "\n".join(
        [
            f"{verdict.kind}: {verdict.detail}",
            f"again: {reproduce(case.seed, settings)}",
            f"options: {options}; ONNX Runtime's rewrites: level {case.level}; "
            f"threads: {case.threads}",
            "",
            onnx.printer.to_text(case.model),
            "",
        ]
    )


def load(folder: Path) -> tuple[onnx.ModelProto, list[dict[str, np.ndarray]]]:
    """Model and inputs of a saved finding."""
    runs: dict[int, dict[str, np.ndarray]] = {}
    with np.load(folder / "inputs.npz") as arrays:
        for key in arrays.files:
            run, _, name = key.partition("/")
            runs.setdefault(int(run), {})[name] = arrays[key]
    return onnx.load(folder / "model.onnx"), [runs[run] for run in sorted(runs)]


@dataclass
class Summary:
    """Counts over all cases so far. findings: seed -> (kind, first line, operators)."""

    count: int
    start: float = field(default_factory=time.monotonic)
    done: int = 0
    nodes: int = 0
    claimed: int = 0
    kinds: Counter[str] = field(default_factory=Counter)
    ops: Counter[str] = field(default_factory=Counter)
    refused: Counter[tuple[str, str]] = field(default_factory=Counter)
    invalid: Counter[str] = field(default_factory=Counter)
    findings: dict[int, tuple[str, str, tuple[str, ...]]] = field(default_factory=dict)

    def add(self, seed: int, verdict: Verdict) -> None:
        self.done += 1
        self.kinds[verdict.kind] += 1
        self.nodes += verdict.nodes
        self.claimed += verdict.claimed
        self.refused.update(verdict.refused)
        if verdict.kind != INVALID:
            self.ops.update(verdict.ops)
        else:
            self.invalid[verdict.detail[:200]] += 1
        if verdict.is_finding:
            first = verdict.detail.splitlines()[0] if verdict.detail else ""
            self.findings[seed] = (verdict.kind, first, verdict.ops)

    @property
    def share(self) -> float:
        return self.claimed / self.nodes if self.nodes else 0.0

    def line(self) -> str:
        passed = time.monotonic() - self.start
        left = passed / max(self.done, 1) * (self.count - self.done)
        kinds = ", ".join(f"{n} {kind}" for kind, n in sorted(self.kinds.items()))
        return (
            f"{self.done}/{self.count} ({kinds}), {100 * self.share:.1f} % of "
            f"{self.nodes} nodes claimed, {passed / 60:.1f} min, {left / 60:.1f} min to go"
        )

    def as_json(self) -> dict[str, Any]:
        return {
            "cases": self.done,
            "kinds": dict(self.kinds),
            "nodes": self.nodes,
            "claimed": self.claimed,
            "claimed_share": round(self.share, 4),
            "operators": dict(sorted(self.ops.items())),
            "refused": [[*row, n] for row, n in self.refused.most_common(COMMONEST)],
            "invalid": [[text, n] for text, n in self.invalid.most_common(COMMONEST)],
            "findings": [
                {"seed": seed, "kind": kind, "what": what, "operators": list(ops)}
                for seed, (kind, what, ops) in sorted(self.findings.items())
            ],
            "seconds": round(time.monotonic() - self.start, 1),
        }

    def text(self) -> str:
        """The end of a run, for people."""
        lines = [self.line(), f"{len(self.ops)} operators covered"]
        if self.share < CLAIMED_AT_LEAST:
            lines.append(f"fewer than {100 * CLAIMED_AT_LEAST:.0f} % of the nodes were claimed")
        for seed, (kind, what, _) in sorted(self.findings.items()):
            lines.append(f"seed {seed}: {kind}: {what}")
        return "\n".join(lines)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(self.as_json(), indent=1) + "\n")
