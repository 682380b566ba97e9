"""One benchmark from models and providers to a Report: check, time, then measure creation.

The first provider is the baseline. A provider that fails on a model, or whose outputs are further
than the tolerance from the baseline's, gets a failure instead of times; the others go on.
"""

import dataclasses
import datetime
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnx

from hidet_ep import zoo
from hidet_ep.bench.binding import DeviceRun, Flush, HostRun, Run
from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.creation import creation_times
from hidet_ep.bench.machine import describe_machine
from hidet_ep.bench.providers import Provider, assignment, open_session, parse_provider
from hidet_ep.bench.report import ModelReport, Report, Result
from hidet_ep.bench.timing import interleave

Say = Callable[[str], None]


@dataclass(frozen=True)
class Settings:
    """How to measure. batch: size of zoo models, and of symbolic dims of model files. dtype: of zoo
    models, float32 or float16.

    io: where tensors are between the runs of providers on a GPU, "host" or "device". cold: other
    data lies in the GPU's L2 when a run begins.
    """

    threads: int
    batch: int = 1
    image: int = 224
    seed: int = 0
    seconds: float = 3.0  # of each provider on each model
    min_rounds: int = 5
    tolerance: float = 1e-3
    creation: bool = True
    io: str = "device"
    cold: bool = False
    dtype: str = "float32"


@dataclass
class Candidate:
    """A provider on one model while it is measured; run is None once it failed."""

    provider: Provider
    result: Result
    run: Run | None = None
    before: Callable[[], None] | None = None  # each timed run, not timed itself

    def note(self, **figures: object) -> None:
        self.result = dataclasses.replace(self.result, **figures)

    def fail(self, why: object) -> None:
        self.run = None
        self.note(failure=" ".join(str(why).split()))


def benchmark(
    models: Sequence[str], providers: Sequence[Provider], settings: Settings, say: Say = print
) -> Report:
    """models: zoo names or paths of .onnx files."""
    reports = []
    for number, model in enumerate(models, 1):
        say(f"[{number}/{len(models)}] {Path(model).stem}")
        reports.append(benchmark_model(model, providers, settings))
    return Report(
        date=datetime.datetime.now(datetime.UTC).date().isoformat(),
        machine=describe_machine(),
        settings=dataclasses.asdict(settings),
        models=tuple(reports),
    )


def benchmark_model(model: str, providers: Sequence[Provider], settings: Settings) -> ModelReport:
    path = model_path(model, settings)
    loaded = onnx.load(path, load_external_data=False)
    symbols = {d.dim_param for i in loaded.graph.input for d in i.type.tensor_type.shape.dim}
    feeds = zoo.inputs(loaded, settings.seed, dict.fromkeys(symbols, settings.batch))
    candidates = [_open(path, provider, feeds, settings) for provider in providers]
    _check_outputs(candidates, settings)
    _time(candidates, settings)
    if settings.creation:
        _measure_creation(path, candidates, settings)
    name = path.stem
    if model in _zoo():
        name = model if settings.dtype == "float32" else f"{model} {settings.dtype}"
    results = tuple(candidate.result for candidate in candidates)
    return ModelReport(name, settings.batch, len(loaded.graph.node), results)


def _zoo() -> tuple[str, ...]:
    return (*zoo.names(), *zoo.written())


def model_path(model: str, settings: Settings) -> Path:
    if model in _zoo():
        return zoo.path(model, settings.seed, settings.batch, settings.image, settings.dtype)
    path = Path(model)
    if not path.is_file():
        known = ", ".join(_zoo())
        raise ValueError(f"model {model!r} is neither a file nor in the zoo ({known})")
    return path


def _open(
    path: Path, provider: Provider, feeds: dict[str, np.ndarray], settings: Settings
) -> Candidate:
    candidate = Candidate(provider, Result(provider.label))
    try:
        session = open_session(path, provider, settings.threads)
        run = HostRun(session, feeds)
        if provider.is_on_gpu and settings.io == "device":
            like = run.outputs() if _takes_arrays(provider) else _shapes(path, feeds, settings)
            run = DeviceRun(session, feeds, like, provider.device_id)
        run()
        candidate.before = Flush(provider) if settings.cold and provider.is_on_gpu else None
    except Exception as error:  # whatever a provider raises is a finding of the report
        candidate.fail(error)
        return candidate
    claims = assignment(session, provider)
    candidate.note(claimed=claims.share, partitions=claims.partitions)
    candidate.run = run
    return candidate


def _takes_arrays(provider: Provider) -> bool:
    """Whether its session may be run on arrays first: a CUDA graph keeps the first addresses."""
    return provider.name == "HidetEP" or provider.option("enable_cuda_graph") in ("", "0")


def _shapes(path: Path, feeds: dict[str, np.ndarray], settings: Settings) -> list[np.ndarray]:
    """The outputs of the CPU provider, for their shapes and types."""
    return open_session(path, parse_provider("cpu"), settings.threads).run(None, feeds)


def _check_outputs(candidates: Sequence[Candidate], settings: Settings) -> None:
    baseline, *others = candidates
    if baseline.run is None:
        return
    reference = baseline.run.outputs()
    for candidate in (c for c in others if c.run):
        error = max_relative_error(candidate.run.outputs(), reference)
        candidate.note(max_error=error)
        if not error <= settings.tolerance:
            candidate.fail(f"error {error:.1e} of the output's scale > {settings.tolerance:.0e}")


def _time(candidates: Sequence[Candidate], settings: Settings) -> None:
    alive = [candidate for candidate in candidates if candidate.run]
    runs = [candidate.run for candidate in alive]
    before = [candidate.before for candidate in alive]
    times = interleave(runs, settings.seconds, settings.min_rounds, before) if runs else []
    for candidate, stats in zip(alive, times, strict=True):
        candidate.note(stats=stats)
    baseline = candidates[0].result.stats
    for candidate in alive:
        if baseline and candidate is not candidates[0]:
            candidate.note(speedup=baseline.median_ms / candidate.result.stats.median_ms)


def _measure_creation(path: Path, candidates: Sequence[Candidate], settings: Settings) -> None:
    for candidate in (c for c in candidates if c.run):
        try:
            cold, warm = creation_times(path, candidate.provider, settings.threads)
        except (RuntimeError, OSError) as error:
            candidate.fail(error)
            continue
        candidate.note(create_cold_s=cold, create_warm_s=warm)
