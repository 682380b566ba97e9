"""One case on both providers -> a Verdict.

invalid: the CPU provider alone refuses it, so nothing is learnt (generators should not do that).
Findings: error (HidetEP's session fails), compile (a group was wanted and failed to compile),
type (shape or element type), wrong (numbers), and crash and hang, which process.py adds.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

import numpy as np
import onnx
import onnxruntime as ort

from hidet_ep.bench.providers import Provider, assignment
from hidet_ep.handover import GraphReport, collect_reports

from .case import Case
from .compare import PROVIDER_FACTOR, against_twin, close, differing, same_type
from .dtypes import KINDS, is_half
from .twin import plain_session, run_twin

OK, INVALID = "ok", "invalid"
FINDINGS = ("wrong", "type", "error", "compile", "crash", "hang")
NOISES = (4, 40)  # samples of the twin, and as many again before something is called wrong
UNKNOWN_TO_ONNX = ("SimplifiedLayerNormalization",)
INVALID_MODEL = ("InvalidGraph", "Fail")  # what ONNX Runtime says before it asks us
Runs = list[list[np.ndarray]]


@dataclass(frozen=True)
class Verdict:
    """detail: what is wrong. nodes, claimed: of the session. refused: (operator, reason)."""

    kind: str
    detail: str = ""
    nodes: int = 0
    claimed: int = 0
    refused: tuple[tuple[str, str], ...] = ()
    ops: tuple[str, ...] = ()
    seconds: float = 0.0

    @property
    def is_finding(self) -> bool:
        return self.kind in FINDINGS

    def as_json(self) -> dict[str, Any]:
        return asdict(self)


def judge(case: Case) -> Verdict:
    start = time.perf_counter()
    verdict = _judge(case)
    ops = tuple(case.op_types)
    return replace(verdict, ops=ops, seconds=time.perf_counter() - start)


def _judge(case: Case) -> Verdict:
    expected, problem = _provider_runs(case)
    if problem and case.dtype != "bf16":
        return Verdict(INVALID, problem)
    mine = _Mine(case)
    problem = mine.run()
    if mine.warnings:
        return mine.verdict("compile", "; ".join(mine.warnings))
    if not problem and mine.nodes and not mine.reports:
        return mine.verdict("compile", "HidetEP left the whole graph: its partitioner failed")
    if problem:
        hopeless = expected is None and (mine.refused or problem.startswith(INVALID_MODEL))
        return mine.verdict(INVALID if hopeless else "error", problem)
    return _compared(case, mine, expected)


def check(model: onnx.ModelProto) -> None:
    """onnx's checker, unless there is an operator that only ONNX Runtime knows."""
    if not any(node.op_type in UNKNOWN_TO_ONNX for node in model.graph.node):
        onnx.checker.check_model(model)


def _provider_runs(case: Case) -> tuple[Runs | None, str]:
    """The CPU provider's results, or why there are none."""
    try:
        check(case.model)
        session = plain_session(case.model)
        return [session.run(None, feeds) for feeds in case.feeds], ""
    except Exception as error:  # whatever it raises, the case is no good
        return None, _text(error)


def _text(error: Exception) -> str:
    return f"{type(error).__name__}: {' '.join(str(error).split())[:600]}"


@dataclass
class _Mine:
    """HidetEP's session of a case."""

    case: Case
    runs: Runs = field(default_factory=list)
    nodes: int = 0
    claimed: int = 0
    reports: list[GraphReport] = field(default_factory=list)

    def run(self) -> str:
        """All runs, and the first once more; what went wrong, if anything."""
        try:
            with collect_reports() as reports:
                self.reports = reports
                session = self._session()
            feeds = [*self.case.feeds, self.case.feeds[0]]
            self.runs = [session.run(None, each) for each in feeds]
        except Exception as error:  # whatever it raises is a finding
            return _text(error)
        return ""

    def _session(self) -> ort.InferenceSession:
        options = ort.SessionOptions()
        options.intra_op_num_threads = self.case.threads
        options.log_severity_level = 4
        options.graph_optimization_level = ort.GraphOptimizationLevel(self.case.level)
        options.add_session_config_entry("session.record_ep_graph_assignment_info", "1")
        provider = Provider("HidetEP", tuple(self.case.options.items()))
        wanted = [(provider.name, dict(provider.options))]
        text = self.case.model.SerializeToString()
        session = ort.InferenceSession(text, options, providers=wanted, enable_fallback=0)
        counted = assignment(session, provider)
        self.nodes, self.claimed = counted.nodes, counted.claimed
        return session

    @property
    def refused(self) -> tuple[tuple[str, str], ...]:
        rows = [row for report in self.reports for row in report.result.refused]
        return tuple(dict.fromkeys((row.op_type, row.reason) for row in rows))

    @property
    def warnings(self) -> list[str]:
        return [text for report in self.reports for text in report.result.warnings]

    def verdict(self, kind: str, detail: str = "") -> Verdict:
        return Verdict(kind, detail, self.nodes, self.claimed, self.refused)


def _compared(case: Case, mine: _Mine, expected: Runs | None) -> Verdict:
    feeds = [*case.feeds, case.feeds[0]]
    if expected is None:
        return _by_twin(case, mine, None, feeds)
    expected = [*expected, expected[0]]
    types = differing(mine.runs, expected, same_type)
    if types:
        first = types[0]
        return mine.verdict("type", f"run {first.run}, output {first.output}: {first.text}")
    if not differing(mine.runs, expected, close):
        return mine.verdict(OK)
    return _by_twin(case, mine, expected, feeds)


def _by_twin(
    case: Case, mine: _Mine, expected: Runs | None, feeds: Sequence[dict[str, np.ndarray]]
) -> Verdict:
    exact = run_twin(case.model, feeds)
    if exact is None:
        first = differing(mine.runs, expected, close)[0] if expected else None
        text = "" if first is None else f"run {first.run}, output {first.output}: {first.text}"
        return mine.verdict("wrong" if text else INVALID, f"{text} (there is no twin)")
    samples: list[Runs] = []
    text = ""
    for count in NOISES:
        seeds = range(len(samples) + 1, len(samples) + count + 1)
        samples += [run for seed in seeds if (run := run_twin(case.model, feeds, seed))]
        text = _excess(case, mine.runs, expected, exact, samples)
        if not text:
            return mine.verdict(OK)
    return mine.verdict("wrong", text)


def _excess(
    case: Case, mine: Runs, expected: Runs | None, exact: Runs, samples: Sequence[Runs]
) -> str:
    """The first output further from the twin than noise and the provider are."""
    half = KINDS[case.dtype].unit if is_half(case.dtype) else 0.0
    for run, outputs in enumerate(mine):
        for place, output in enumerate(outputs):
            noisy = [sample[run][place] for sample in samples]
            judged = against_twin(output, exact[run][place], noisy, half)
            if judged.excess <= 1:
                continue
            theirs = 0.0
            if expected is not None:
                provider = against_twin(expected[run][place], exact[run][place], noisy, half)
                theirs = provider.excess
            if np.isinf(theirs) and not close(output, expected[run][place]):
                continue
            if judged.excess > PROVIDER_FACTOR * theirs or np.isinf(judged.excess):
                return f"run {run}, output {place}: {judged.text}"
    return ""
