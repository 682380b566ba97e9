"""The child of step "tune": compiles configs in worker processes, measures them, writes records.

A kernel is timed as it runs in a network: replays of a CUDA graph of several launches, each with
its own copy of the constants (so that the L2 does not hold them), activations in place.
Exit status: 0, nothing is left to measure; MEASURED, the time is over.
"""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.gpu.driver import CudaError, Device, Memory, spread
from benchmarks.gpu.problems import Workload, argument_bytes, workloads
from benchmarks.gpu.records import SCHEMA, load
from hidet_core import CompileOptions, HidetError, KernelCache, Rejected
from hidet_core.build import Builder
from hidet_core.ir.dtypes import DType
from hidet_core.pipeline import compile_kernel
from hidet_core.schedule.choose import Candidate
from hidet_core.stages import Kernel, Trace
from hidet_ep import zoo

MEASURED = 3
TRYING = ".trying"
GRAPH_NS = 200_000.0  # a graph's launches take about this long
LAUNCHES = 4, 20  # of a graph, at least and at most
REPLAYS = 5
HOPELESS = 4.0  # times the best: not measured again


@dataclass(frozen=True)
class MeasureArguments:
    """The arguments that tune.py hands on."""

    argv: tuple[str, ...]

    @staticmethod
    def add(parser: argparse.ArgumentParser) -> None:
        parser.add_argument("--records", type=Path, required=True, help="file to append to")
        parser.add_argument("--models", nargs="+", default=list(zoo.names()))
        parser.add_argument("--image", type=int, default=224)
        parser.add_argument("--problems", type=int, default=0, help="at most so many (0: all)")
        parser.add_argument("--configs", type=int, default=0, help="of each problem (0: all)")
        parser.add_argument("--batch", type=int, default=8, help="configs of a problem in a turn")

    @classmethod
    def of(cls, args: argparse.Namespace, seconds: float) -> MeasureArguments:
        argv = ["--records", str(args.records), "--seconds", f"{seconds:.1f}"]
        argv += ["--models", *args.models]
        for name in ("image", "problems", "configs", "batch"):
            argv += [f"--{name}", str(getattr(args, name))]
        return cls(tuple(argv))


class Session:
    """One process's measuring: device, records so far, time."""

    def __init__(self, device: Device, args: argparse.Namespace) -> None:
        self.device, self.args = device, args
        self.target = device.target()
        self.end = time.monotonic() + args.seconds
        self.options = CompileOptions(target=self.target.name)
        self.done = {
            (record["key"], record["template"], record["config"]) for record in load(args.records)
        }
        self.best: dict[str, float] = {}

    @property
    def is_over(self) -> bool:
        return time.monotonic() > self.end

    def run(self, models: Sequence[tuple[str, Path]]) -> int:
        found = workloads(models, self.target, self.options)
        if self.args.problems:
            found = found[: self.args.problems]
        step, limit = self.args.batch, self.args.configs or math.inf
        longest = min(limit, max((len(w.candidates) for w in found), default=0))
        turn = 0
        while turn < longest:
            take = int(min(step, longest - turn))
            pairs = [(w, c) for w in found for c in w.candidates[turn : turn + take]]
            pairs = [(w, c) for w, c in pairs if (w.key, *c.names) not in self.done]
            if self._turn(pairs) == MEASURED:
                return MEASURED
            turn += take
        return 0

    def _turn(self, pairs: Sequence[tuple[Workload, Candidate]]) -> int:
        with KernelCache.open() as cache, Builder(self.target, cache) as builder:
            for workload, candidate, kernel, error in self._compiled(pairs, builder):
                record = self._record(workload, candidate)
                if error is None and kernel is not None:
                    record |= self._measure(workload, kernel, record)
                else:
                    record["failure"] = " ".join(str(error).split())
                self._write(record)
                if self.is_over:
                    return MEASURED
        return 0

    def _compiled(
        self, pairs: Sequence[tuple[Workload, Candidate]], builder: Builder
    ) -> Iterator[tuple[Workload, Candidate, Kernel | None, Exception | None]]:
        """The kernels in order; some are compiled ahead of what is measured."""
        ahead = 2 * (os.cpu_count() or 1)
        waiting: list[tuple[Workload, Candidate, Kernel | None, Exception | None]] = []
        for workload, candidate in pairs:
            kernel: Kernel | None = None
            error: Exception | None = None
            try:
                kernel = self._compile(workload, candidate, builder)
            except HidetError as found:
                error = found
            waiting.append((workload, candidate, kernel, error))
            if len(waiting) > ahead:
                yield _finished(waiting.pop(0))
            if self.is_over:
                return
        yield from map(_finished, waiting)

    def _compile(self, workload: Workload, candidate: Candidate, builder: Builder) -> Kernel:
        draft = workload.draft
        scheduled = candidate.template.build(draft.problem, candidate.config, self.target)
        trace = Trace.user("tune", workload.key)
        return compile_kernel(draft, scheduled, workload.graph.symbols, builder, trace)

    def _record(self, workload: Workload, candidate: Candidate) -> dict[str, Any]:
        template, config = candidate.names
        return {
            "schema": SCHEMA,
            "target": self.target.name,
            "device": self.target.device,
            "emulated": self.target.emulated,
            "key": workload.key,
            "problem": workload.problem,
            "uses": workload.uses,
            "template": template,
            "config": config,
            "predicted_ns": candidate.cost,
            "measured": None,
            "failure": None,
        }

    def _write(self, record: dict[str, Any]) -> None:
        with self.args.records.open("a") as stream:
            stream.write(json.dumps(record) + "\n")
        self.args.records.with_suffix(TRYING).unlink(missing_ok=True)

    # ---- measuring -----------------------------------------------------------------------------

    def _measure(
        self, workload: Workload, kernel: Kernel, record: dict[str, Any]
    ) -> dict[str, Any]:
        trying = self.args.records.with_suffix(TRYING)
        trying.write_text(json.dumps(record))
        try:
            samples = self._time(workload, kernel, record["predicted_ns"])
        except CudaError as error:
            # the context may be gone: the parent starts a new process
            trying.write_text(json.dumps(record | {"failure": str(error)}))
            raise
        measured = spread(samples)
        best = self.best.get(workload.key, math.inf)
        self.best[workload.key] = min(best, measured["median_ns"])
        return {"measured": measured}

    def _time(self, workload: Workload, kernel: Kernel, predicted_ns: float) -> list[float]:
        """Nanoseconds of a launch, of each replay."""
        device, program = self.device, kernel.program
        threads, shared, _ = kernel.launch
        function = device.load(kernel.image.result(), program.name, shared)
        few, many = (2, 2) if device.is_emulated else LAUNCHES
        count = int(min(many, max(few, GRAPH_NS / max(predicted_ns, 1.0))))
        arguments = Arguments(device, workload, kernel, count)
        grid = int(getattr(program.tasks, "value", program.tasks))

        def launches() -> None:
            for number in range(count):
                function.launch(grid, threads, *arguments.of_launch(number))

        try:
            with device.graph(launches) as replay:
                first = device.samples_ns(replay, 1, warm_up=1)
                hopeless = first[0] / count > HOPELESS * self.best.get(workload.key, math.inf)
                rest = [] if hopeless else device.samples_ns(replay, REPLAYS - 1, warm_up=0)
        finally:
            device.synchronize()
            arguments.free()
            device.unload(function)
        return [sample / count for sample in first + rest]


class Arguments:
    """Memory for the parameters of a kernel; constants once for each launch, up to a limit."""

    MAX_CONSTANT_BYTES = 512 << 20

    def __init__(self, device: Device, workload: Workload, kernel: Kernel, count: int) -> None:
        self.device = device
        self.rows: list[list[Memory]] = []
        self.owned: list[Memory] = []
        packed = {buffer for buffer, _ in kernel.scheduled.packed.values()}
        constants = workload.graph.constants
        for param in kernel.program.params:
            size, offset = argument_bytes(workload, param)
            is_constant = param in packed or workload.draft.values.get(param) in constants
            copies = min(count, max(1, self.MAX_CONSTANT_BYTES // max(size, 1)))
            found = self._alloc(param.dtype, size, copies if is_constant else 1)
            self.rows.append([Memory(m.address + offset, size - offset) for m in found])

    def _alloc(self, dtype: DType, size: int, copies: int) -> list[Memory]:
        found = [self.device.alloc(size) for _ in range(copies)]
        self.owned += found
        content = contents(dtype, size)
        for memory in found:
            self.device.write(memory, content)
        return found

    def of_launch(self, number: int) -> list[Memory]:
        return [copies[number % len(copies)] for copies in self.rows]

    def free(self) -> None:
        for memory in self.owned:
            self.device.free(memory)


def contents(dtype: DType, size: int) -> np.ndarray:
    """Random numbers for floats; zeros for integers, which may be indices or tickets."""
    if not dtype.is_float:
        return np.zeros(size, np.uint8)
    values = np.random.default_rng(0).standard_normal(1 << 16).astype(np.float32)
    if dtype.name == "bf16":
        raw = (values.view(np.uint32) >> 16).astype(np.uint16)
    else:
        raw = values.astype({2: np.float16, 4: np.float32, 8: np.float64}[dtype.bytes])
    return np.resize(raw.view(np.uint8), size)


def _finished(
    item: tuple[Workload, Candidate, Kernel | None, Exception | None],
) -> tuple[Workload, Candidate, Kernel | None, Exception | None]:
    workload, candidate, kernel, error = item
    if kernel is not None:
        error = _error(kernel.image)
    return workload, candidate, kernel, error


def _error(image: Future[bytes]) -> Exception | None:
    try:
        image.result()
    except (Rejected, HidetError) as error:
        return error
    return None


def named(model: str, image: int) -> tuple[str, Path]:
    """A zoo model's name and file; a file is called as its stem."""
    path = Path(model)
    return (path.stem, path) if path.is_file() else (model, zoo.path(model, image=image))


def main() -> int:
    parser = argparse.ArgumentParser()
    MeasureArguments.add(parser)
    parser.add_argument("--seconds", type=float, required=True)
    args = parser.parse_args()
    models = [named(model, args.image) for model in args.models]
    zoo_models = [model for model in args.models if not Path(model).is_file()]
    models += [(f"{m} float16", zoo.path(m, image=args.image, form="float16")) for m in zoo_models]
    with Device() as device:
        return Session(device, args).run(models)


if __name__ == "__main__":
    sys.exit(main())
