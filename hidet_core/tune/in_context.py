"""Measures schedules where they will run: all kernels of the graph, one after the other, so that a
kernel finds in the caches what it will find there in use.

in:  a prepared graph, inputs, threads; of some problems a config        out: nanoseconds

Kernels are compiled first, in worker processes, and measured when all processors are free again:
on a machine of two cores, compiling beside a measurement would change it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from hidet_core._runtime import Executable
from hidet_core.base.errors import HidetError, Unsupported
from hidet_core.build import Builder
from hidet_core.pipeline import Prepared, compile_kernels
from hidet_core.schedule.choose import Candidate
from hidet_core.schedule.problem import Problem, Scheduled
from hidet_core.schedule.tuned import problem_key
from hidet_core.stages import Kernel, Trace

Ranked = Mapping[str, Sequence[Candidate]]  # by problem, the default first
WARM_UPS = 1


@dataclass(frozen=True)
class Sample:
    """Nanoseconds of all kernels of a problem in one run, and of the default's in the run beside
    it.
    """

    ns: float
    default_ns: float

    @property
    def ratio(self) -> float:
        return self.ns / self.default_ns if self.default_ns else 1.0


class InContext:
    """Runs the graph with chosen configs beside itself with the defaults."""

    def __init__(
        self,
        prepared: Prepared,
        ranked: Ranked,
        builder: Builder,
        inputs: Sequence[np.ndarray],
        threads: int,
    ) -> None:
        self.prepared, self.ranked, self.builder = prepared, ranked, builder
        self.inputs, self.threads = list(inputs), threads
        self.keys = [problem_key(draft.problem) for draft in prepared.drafts]
        self.default = self.load({})[0]
        for _ in range(WARM_UPS):
            self.times(self.default)

    def load(self, chosen: Mapping[str, int]) -> tuple[Executable, set[str]]:
        """The graph with these configs, and the problems whose config the compiler rejected."""
        wanted: list[Scheduled] = []

        def choose(problem: Problem) -> Iterator[Scheduled]:
            found = self.ranked[problem_key(problem)]
            number = chosen.get(problem_key(problem), 0)
            order = [found[number], *(c for k, c in enumerate(found) if k != number)]
            for place, (_, template, config) in enumerate(order):
                scheduled = template.build(problem, config, self.prepared.target)
                if place == 0:
                    wanted.append(scheduled)
                yield scheduled

        kernels = compile_kernels(self.prepared, choose, self.builder, Trace.silent("tune"))
        compiled = self.prepared.assembled(kernels)
        return Executable(compiled.plan, compiled.constants), self._rejected(kernels, wanted)

    def _rejected(self, kernels: Sequence[Kernel], wanted: Sequence[Scheduled]) -> set[str]:
        built = set(map(id, wanted))
        return {
            key
            for key, kernel in zip(self.keys, kernels, strict=True)
            if id(kernel.scheduled) not in built
        }

    def times(self, executable: Executable) -> dict[str, float]:
        """Nanoseconds of each problem's kernels in one run."""
        launches = executable.profile(self.inputs, threads=self.threads)
        if len(launches) != len(self.keys):
            idle = len(self.keys) - len(launches)
            raise Unsupported("tuning", f"{idle} kernels have nothing to do at these sizes")
        sums = dict.fromkeys(self.keys, 0.0)
        for key, launch in zip(self.keys, launches, strict=True):
            sums[key] += launch[3] * 1e9
        return sums

    def measure(self, chosen: Mapping[str, int], repeats: int) -> dict[str, list[Sample]]:
        """`repeats` samples of each of these problems' configs; none where one does not compile."""
        try:
            executable, rejected = self.load(chosen)
        except HidetError:
            return {key: [] for key in chosen}
        self.times(executable)
        samples: dict[str, list[Sample]] = {key: [] for key in chosen}
        for number in range(repeats):
            both = [self.default, executable]
            times = [self.times(one) for one in (both if number % 2 else both[::-1])]
            before, after = times if number % 2 else times[::-1]
            for key in chosen.keys() - rejected:
                samples[key].append(Sample(after[key], before[key]))
        return samples

    def compare(self, chosen: Mapping[str, int], repeats: int) -> list[float]:
        """Ratios of whole runs: with these configs to those with the defaults."""
        executable, _ = self.load(chosen)
        ratios = []
        for number in range(repeats + 1):
            both = [self.default, executable]
            sums = [sum(self.times(one).values()) for one in (both if number % 2 else both[::-1])]
            before, after = sums if number % 2 else sums[::-1]
            ratios.append(after / before)
        return ratios[1:]
