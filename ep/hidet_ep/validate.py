"""Does HidetEP compute what the CPU provider computes? The zoo's models, every output.

In: models, a target and data type (rows of tables below), batches; out: one Verdict per model:
error of the output's scale, nodes claimed, partitions, kernels, and what is wrong, if anything.
With several batches a model is built with a symbolic one and a single session runs them all.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import onnxruntime as ort

from hidet_ep import zoo
from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.machine import versions
from hidet_ep.bench.providers import Provider, alike, assignment, open_session, parse_provider
from hidet_ep.bench.report import percent
from hidet_ep.bench.tables import render_text
from hidet_ep.handover import GraphReport, collect_reports

# target -> the provider under test
TARGETS = {"cpu": "HidetEP:target=cpu", "cuda": "HidetEP:target=cuda"}
# data type -> allowed error of the output's scale. tf32: float32 models, products in TF32. float16:
# compared with float32 and the same weights; its activations are rounded, logits of 16 by 1/128
TOLERANCES = {"float32": 1e-3, "tf32": 4e-2, "float16": 4e-2}
HALF_AS_CPU = 2.0  # or this times the CPU provider's own error in float16
CLAIMED_AT_LEAST = 0.99
REFERENCE = parse_provider("cpu")


@dataclass(frozen=True)
class Request:
    """How to validate a model. runs: with each batch, all outputs of which must be right."""

    target: str = "cpu"
    dtype: str = "float32"
    batches: tuple[int, ...] = (1,)
    image: int = 224
    seed: int = 0
    threads: int = 1
    runs: int = 1

    @property
    def provider(self) -> Provider:
        provider = parse_provider(TARGETS[self.target])
        return alike([provider], tf32="1" if self.dtype == "tf32" else "0")[0]


@dataclass(frozen=True)
class Verdict:
    """kernels: None where the provider does not tell. problems: empty if all is well."""

    model: str
    nodes: int = 0
    claimed: int = 0
    partitions: int = 0
    kernels: int | None = None
    max_error: float | None = None
    create_s: float | None = None
    problems: tuple[str, ...] = ()


def validate(model: str, request: Request, provider: Provider | None = None) -> Verdict:
    """A zoo model, or a file as it is; `provider` in place of the target's (the tests validate the
    CPU provider).
    """
    provider = provider or request.provider
    batch = request.batches[0] if len(request.batches) == 1 else "N"
    path, twin = _models(model, batch, request)
    name = Path(model).stem if path == Path(model) else model
    sizes = [size for size in request.batches for _ in range(request.runs)]
    feeds = [zoo.inputs(path, request.seed, {"N": size}) for size in sizes]
    reference = _run_all(
        open_session(twin, REFERENCE, request.threads), feeds if twin == path else _wide(feeds)
    )
    try:
        start = time.perf_counter()
        with collect_reports() as reports:
            session = open_session(path, provider, request.threads)
        create_s = time.perf_counter() - start
        outputs = _run_all(session, feeds)
    except Exception as error:  # whatever a provider raises is a finding
        return Verdict(name, problems=(" ".join(str(error).split()),))
    claims = assignment(session, provider)
    errors = [max_relative_error(*pair) for pair in zip(outputs, reference, strict=True)]
    verdict = Verdict(
        name,
        claims.nodes,
        claims.claimed,
        claims.partitions,
        _kernels(reports),
        max(errors),
        create_s,
    )
    tolerance = TOLERANCES[request.dtype]
    if request.dtype == "float16" and max(errors) > tolerance:
        own = _run_all(open_session(path, REFERENCE, request.threads), feeds)
        pairs = zip(own, reference, strict=True)
        tolerance = max(tolerance, HALF_AS_CPU * max(max_relative_error(*p) for p in pairs))
    problems = _problems(verdict, tolerance, claims.elsewhere)
    return dataclasses.replace(verdict, problems=problems)


def _models(model: str, batch: int | str, request: Request) -> tuple[Path, Path]:
    """The model to validate, and the one that the CPU provider runs: for a file, the file."""
    if Path(model).is_file():
        return Path(model), Path(model)
    forms = ("float16", "rounded") if request.dtype == "float16" else ("float32",) * 2
    made = [zoo.path(model, request.seed, batch, request.image, form) for form in forms]
    return made[0], made[1]


def _wide(feeds: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    return [{key: _widened(array) for key, array in feed.items()} for feed in feeds]


def _widened(array: np.ndarray) -> np.ndarray:
    """float16 as float32."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _run_all(
    session: ort.InferenceSession, feeds: Sequence[dict[str, np.ndarray]]
) -> list[list[np.ndarray]]:
    return [[_widened(output) for output in session.run(None, feed)] for feed in feeds]


def _kernels(reports: Sequence[GraphReport]) -> int | None:
    parts = [part for report in reports for part in report.result.partitions]
    return sum(len(part.compiled.report.kernels) for part in parts) if parts else None


def _problems(verdict: Verdict, tolerance: float, elsewhere: Sequence[str]) -> tuple[str, ...]:
    found = []
    if not verdict.max_error <= tolerance:
        found.append(f"error {verdict.max_error:.2e} of the output's scale > {tolerance:.2e}")
    if verdict.claimed < CLAIMED_AT_LEAST * verdict.nodes or not verdict.nodes:
        share = percent(verdict.claimed / max(verdict.nodes, 1))
        found.append(f"claims {share} of the nodes; elsewhere: {', '.join(elsewhere)}")
    return tuple(found)


# ---- command line ----------------------------------------------------------------------------


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    header = ["model", "nodes", "in EP", "partitions", "kernels", "max error", "create s", ""]
    return render_text(header, [_row(verdict) for verdict in verdicts])


def _row(verdict: Verdict) -> list[str]:
    if verdict.max_error is None:
        return [verdict.model, *["-"] * 6, f"FAILED: {verdict.problems[0]}"]
    return [
        verdict.model,
        str(verdict.nodes),
        percent(verdict.claimed / max(verdict.nodes, 1)),
        str(verdict.partitions),
        "-" if verdict.kernels is None else str(verdict.kernels),
        f"{verdict.max_error:.1e}",
        f"{verdict.create_s:.2f}",
        "FAILED: " + "; ".join(verdict.problems) if verdict.problems else "ok",
    ]


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(
        prog, description="Validate HidetEP on the light model zoo against the CPU provider."
    )
    args.add_argument("models", nargs="*", help="zoo models (default: all)")
    args.add_argument("--target", choices=TARGETS, default="cpu")
    args.add_argument("--dtype", choices=TOLERANCES, default="float32")
    args.add_argument(
        "--batches",
        type=int,
        nargs="+",
        default=[1],
        metavar="N",
        help="several: one session with a symbolic batch runs them all",
    )
    args.add_argument("--image", type=int, default=224)
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts here too")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """0: all models are right; 1: some are not; 2: wrong arguments."""
    args = parser(prog).parse_args(argv)
    request = Request(
        args.target, args.dtype, tuple(args.batches), args.image, args.seed, args.threads
    )
    verdicts = []
    for model in args.models or zoo.names():
        print(f"{model} ...", file=sys.stderr, flush=True)
        try:
            verdicts.append(validate(model, request))
        except ValueError as error:
            print(f"error: {error}", file=sys.stderr)
            return 2
    print(verdict_table(verdicts))
    wrong = [verdict.model for verdict in verdicts if verdict.problems]
    print(f"{len(verdicts) - len(wrong)} of {len(verdicts)} models are right")
    if args.json:
        args.json.write_text(json.dumps(_to_json(request, verdicts), indent=1) + "\n")
    return 1 if wrong else 0


def _to_json(request: Request, verdicts: Sequence[Verdict]) -> dict[str, object]:
    return {
        "versions": versions(),
        "request": dataclasses.asdict(request),
        "models": [dataclasses.asdict(verdict) for verdict in verdicts],
    }
