"""The command line of the fuzzer, `scripts/fuzz.py`.

Seeds are judged by worker processes, each driven by a thread of this process; findings are shrunk
by the worker that found them and saved at once.
"""

from __future__ import annotations

import argparse
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path

from .case import Case, Settings, generate
from .judge import Verdict
from .ops import ROWS
from .process import LIMIT_S, Worker
from .report import Summary, reproduce, save
from .shrink import BUDGET, shrink

PROGRESS_S = 10.0
CUDA_ELEMENTS = 256  # of a value: the emulated driver checks every access
ENVIRONMENT = {"HIDET_WORKERS": "0", "HIDET_VERIFY": "1", "HIDET_CACHE": "off"}
Judge = Callable[[Case], Verdict]


@dataclass
class Hunt:
    """A run of the fuzzer over seeds. out: folder for findings, None: none are saved."""

    settings: Settings
    seeds: Sequence[int]
    summary: Summary
    out: Path | None = None
    budget: int = BUDGET
    deadline: float = float("inf")
    said: float = 0.0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def judge_all(self, judges: Sequence[Judge]) -> None:
        """Each judge takes the next seed until there is none, or no time."""
        left = iter(self.seeds)
        with ThreadPoolExecutor(len(judges)) as threads:
            list(threads.map(lambda judged: self._take_turns(judged, left), judges))

    def _take_turns(self, judged: Judge, left: Iterator[int]) -> None:
        while time.monotonic() < self.deadline:
            with self.lock:
                seed = next(left, None)
            if seed is None:
                return
            self._one(seed, judged)

    def _one(self, seed: int, judged: Judge) -> None:
        drawn = generate(seed, self.settings)
        verdict = judged(drawn)
        case = drawn
        if verdict.is_finding:
            case, verdict = shrink(drawn, verdict, judged, self.budget)
        with self.lock:
            self.summary.add(seed, verdict)
            if verdict.is_finding:
                self._found(seed, case, verdict, drawn)
            self._progress()

    def _found(self, seed: int, case: Case, verdict: Verdict, drawn: Case) -> None:
        ops = ", ".join(node.op_type for node in case.model.graph.node)
        print(f"\n{verdict.kind} ({ops}): {verdict.detail}", flush=True)
        print(f"again: {reproduce(seed, self.settings)}", flush=True)
        if self.out is not None:
            folder = self.out / f"{self.settings.target}-{seed}"
            save(folder, case, verdict, self.settings, drawn)

    def _progress(self) -> None:
        if time.monotonic() - self.said > PROGRESS_S:
            self.said = time.monotonic()
            print(self.summary.line(), file=sys.stderr, flush=True)


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(
        prog, description="Random models: HidetEP against ONNX Runtime's CPU provider."
    )
    args.add_argument("--target", choices=("cpu", "cuda"), default="cpu")
    args.add_argument("--seed", type=int, default=0, help="of the first case")
    args.add_argument("--count", type=int, default=1000, help="cases: seed, seed + 1, ...")
    args.add_argument("--minutes", type=float, help="stop after that time")
    args.add_argument("--ops", default="", help="only these operators: Conv,Add,layer_norm")
    args.add_argument("--out", type=Path, help="folder for findings and summary.json")
    args.add_argument("--json", type=Path, help="write the summary here too")
    args.add_argument("--workers", type=int, default=1, help="processes")
    args.add_argument("--limit", type=float, default=LIMIT_S, help="seconds per case")
    args.add_argument("--budget", type=int, default=BUDGET, help="cases tried to shrink a finding")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """0: nothing found; 1: findings; 2: wrong arguments."""
    args = parser(prog).parse_args(argv)
    ops = tuple(name for name in args.ops.split(",") if name)
    unknown = [name for name in ops if name not in ROWS]
    if unknown:
        print(f"error: no generator for {', '.join(unknown)}; known: {', '.join(sorted(ROWS))}")
        return 2
    _prepare(args.target)
    limit = CUDA_ELEMENTS if args.target == "cuda" else Settings.limit
    hunt = Hunt(
        Settings(args.target, ops, limit),
        range(args.seed, args.seed + args.count),
        Summary(args.count),
        args.out,
        args.budget,
        time.monotonic() + 60 * args.minutes if args.minutes else float("inf"),
    )
    workers = [Worker(limit_s=args.limit) for _ in range(args.workers)]
    try:
        hunt.judge_all([worker.run for worker in workers])
    finally:
        for worker in workers:
            worker.stop()
    print(hunt.summary.text())
    for path in [args.json, args.out / "summary.json" if args.out else None]:
        if path is not None:
            hunt.summary.write(path)
    return 1 if hunt.summary.findings else 0


def _prepare(target: str) -> None:
    """The environment of the workers; a CUDA driver is the emulated one unless it was chosen."""
    for name, value in ENVIRONMENT.items():
        os.environ.setdefault(name, value)
    if target == "cuda":
        os.environ.setdefault("HIDET_CUDA_DRIVER", "emulated")
