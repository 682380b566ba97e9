"""Find better schedules for a graph by measuring, and keep them for later sessions.

`tune_graph` compares configs with those of tuning=off (search.py) inside the running graph
(in_context.py), appends all measurements to a file of records, and writes what won to the user's
tuned table, which `compile_graph` reads; but only if the whole graph is faster with it.
An interrupted search loses nothing: the next one goes on from the records.
"""

from __future__ import annotations

import math
import os
import statistics
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from hidet_core.base.errors import BadOption, Unsupported
from hidet_core.build import Builder
from hidet_core.graph.graph import Graph
from hidet_core.importer import OnnxGraph, import_subgraph
from hidet_core.pipeline import Prepared, choose_target, open_cache, prepare
from hidet_core.schedule.choose import Candidate, ranked
from hidet_core.schedule.tuned import (
    Best,
    own_table,
    problem_key,
    searched,
    write_own_table,
)
from hidet_core.stages import CompileOptions, Trace
from hidet_core.target import Target

from .in_context import InContext, Sample
from .inputs import sample_inputs, sizes_of
from .records import SCHEMA, Record, append, load
from .search import EFFORTS, Effort, Search, Step, is_faster

COMPARISONS = 15  # of the whole graph, at the end
WHOLE_GAIN = 0.005


@dataclass(frozen=True)
class TuneOptions:
    """effort: a key of EFFORTS. threads: 0 for all processors. sizes: of symbolic dims, by name.
    Raises BadOption for another effort.
    """

    effort: str = "fast"
    threads: int = 0
    sizes: Mapping[str, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if self.effort not in EFFORTS:
            raise BadOption("tuning", self.effort, ("off", *EFFORTS))


@dataclass(frozen=True)
class Progress:
    """How far a search is. ratio: predicted time of the graph with the best configs so far, to that
    with the defaults.
    """

    done: int
    planned: int
    seconds_left: float
    ratio: float


@dataclass(frozen=True)
class TuneReport:
    """ratio: of the graph's time with the new configs to that with the defaults, measured at the
    end; 1.0 where nothing was better. changed: problem -> (default, new config). measured: configs
    that were measured now.
    """

    problems: int
    configs: int = 0
    measured: int = 0
    seconds: float = 0.0
    ratio: float = 1.0
    changed: Mapping[str, tuple[Best, Best]] = field(default_factory=dict)


Tell = Callable[[Progress], None]


def tune_partition(
    graph: OnnxGraph,
    node_ids: Sequence[int],
    inputs: Sequence[str],
    outputs: Sequence[str],
    options: CompileOptions | None = None,
    tune: TuneOptions | None = None,
    tell: Tell = lambda progress: None,
) -> TuneReport:
    """`tune_graph` of some nodes of an ONNX graph."""
    imported = import_subgraph(graph, tuple(node_ids), tuple(inputs), tuple(outputs))
    return tune_graph(imported, options, tune, tell)


def tune_graph(
    graph: Graph,
    options: CompileOptions | None = None,
    tune: TuneOptions | None = None,
    tell: Tell = lambda progress: None,
) -> TuneReport:
    """Search, and write what won to the user's tuned table. Raises Unsupported for a target that
    cannot be measured here, or where there is no folder to keep the result in.
    """
    options, tune = options or CompileOptions(), tune or TuneOptions()
    target = choose_target(options)
    if target.kind != "cpu":
        raise Unsupported("tuning", "GPUs are tuned by scripts/gpu_report.py")
    with open_cache(options) as cache, Builder(target, cache) as builder:
        if cache.tuned is None:
            raise Unsupported("tuning", "there is no cache folder in which to keep the result")
        cache.tuned.mkdir(parents=True, exist_ok=True)
        prepared = prepare(graph, options, target, Trace.silent("tune"))
        found = spaces(prepared, tune.effort, cache.tuned)
        if all(len(space) == 1 for space in found.values()):
            return TuneReport(len(found))  # nothing to choose, or searched before
        return _Tuner(prepared, found, builder, cache.tuned, tune, tell).run()


class _Tuner:
    def __init__(
        self,
        prepared: Prepared,
        spaces: Mapping[str, Sequence[Candidate]],
        builder: Builder,
        folder: Path,
        tune: TuneOptions,
        tell: Tell,
    ) -> None:
        self.prepared, self.spaces, self.folder, self.tell = prepared, spaces, folder, tell
        self.target: Target = prepared.target
        self.effort = tune.effort
        self.threads = tune.threads or len(os.sched_getaffinity(0))
        self.path = folder / f"{self.target.name}.records.jsonl"
        self.uses = _uses(prepared)
        sizes = sizes_of(prepared.graph, tune.sizes)
        inputs = sample_inputs(prepared.graph, sizes)
        self.context = InContext(prepared, self.spaces, builder, inputs, self.threads)
        self.default_ns = self.context.times(self.context.default)
        self.measured = 0

    def run(self) -> TuneReport:
        start = time.monotonic()
        sizes = {key: len(found) for key, found in self.spaces.items()}
        effort = EFFORTS[self.effort]
        search = Search(sizes, self._measure, effort, self._known(), self._report)
        chosen = {key: number for key, number in search.run().items() if number}
        ratio = 1.0
        if chosen:
            ratios = self.context.compare(chosen, COMPARISONS)
            ratio = statistics.median(ratios)
            if not is_faster(ratios, WHOLE_GAIN):
                chosen, ratio = {}, 1.0
        best = {key: self.spaces[key][number].names for key, number in chosen.items()}
        done = dict.fromkeys((key for key in sizes if sizes[key] > 1), self.effort)
        write_own_table(self.folder, self.target, best, done)
        return TuneReport(
            problems=len(sizes),
            configs=sum(sizes.values()),
            measured=self.measured,
            seconds=time.monotonic() - start,
            ratio=ratio,
            changed={key: (self.spaces[key][0].names, names) for key, names in best.items()},
        )

    def _measure(self, chosen: Mapping[str, int], repeats: int) -> dict[str, list[float]]:
        samples = self.context.measure(chosen, repeats)
        records = [self._record(key, chosen[key], found) for key, found in samples.items()]
        append(self.path, records)
        self.measured += len(records)
        return {key: [one.ratio for one in found] for key, found in samples.items()}

    def _record(self, key: str, number: int, samples: Sequence[Sample]) -> Record:
        candidate, uses = self.spaces[key][number], self.uses[key]
        return {
            "schema": SCHEMA,
            "target": self.target.name,
            "device": self.target.device,
            "emulated": False,
            "threads": self.threads,
            "key": key,
            "problem": key,
            "uses": {self.prepared.graph.name: uses},
            "template": candidate.names.template,
            "config": candidate.names.config,
            "predicted_ns": candidate.cost,
            "measured": _spread(samples, uses) if samples else None,
            "failure": None if samples else "the compiler rejected it",
        }

    def _known(self) -> dict[tuple[str, int], float]:
        """Ratios of earlier searches on this device, with as many threads."""
        here = self.target.name, self.target.device, self.threads
        numbers = {
            (key, candidate.names): number
            for key, found in self.spaces.items()
            for number, candidate in enumerate(found)
        }
        known: dict[tuple[str, int], float] = {}
        for record in load(self.path):
            where = record["target"], record["device"], record.get("threads")
            number = numbers.get((record["key"], Best(record["template"], record["config"])))
            if where == here and number is not None:
                measured = record["measured"]
                known[record["key"], number] = measured["ratio"] if measured else math.inf
        return known

    def _report(self, step: Step) -> None:
        whole = sum(self.default_ns.values())
        better = sum(ns * min(step.best[key], 1.0) for key, ns in self.default_ns.items())
        ratio = better / whole if whole else 1.0
        self.tell(Progress(step.done, step.planned, step.seconds_left, ratio))


def spaces(prepared: Prepared, effort: str, folder: Path) -> dict[str, list[Candidate]]:
    """The configs of each problem that a search looks at, the default first: the choice without a
    table of the user's. Of a problem that was searched by that effort or more, what came out.
    """
    own, target = own_table(folder, prepared.target), prepared.target
    efforts = list(EFFORTS)
    enough = {
        key
        for key, done in searched(folder, target).items()
        if done in efforts[efforts.index(effort) :]
    }
    found: dict[str, list[Candidate]] = {}
    for draft in prepared.drafts:
        key = problem_key(draft.problem)
        if key in enough:
            found[key] = ranked(draft.problem, target, own)[:1]
        elif key not in found:
            found[key] = _promising(ranked(draft.problem, target), EFFORTS[effort])
    return found


def _promising(candidates: Sequence[Candidate], effort: Effort) -> list[Candidate]:
    default, *others = candidates
    limit = effort.within * min(candidate.cost for candidate in candidates)
    near: Iterable[Candidate] = (one for one in others if one.cost <= limit)
    return [default, *list(near)[: effort.configs - 1]]


def _uses(prepared: Prepared) -> dict[str, int]:
    keys = [problem_key(draft.problem) for draft in prepared.drafts]
    return {key: keys.count(key) for key in keys}


def _spread(samples: Sequence[Sample], uses: int) -> dict[str, Any]:
    """Of a launch; `ratio` to the default's."""
    times = sorted(sample.ns / uses for sample in samples)
    last = len(times) - 1
    return {
        "median_ns": statistics.median(times),
        "p10_ns": times[last // 10],
        "p90_ns": times[last - last // 10],
        "runs": len(times),
        "ratio": statistics.median(sample.ratio for sample in samples),
    }
