"""Does HidetEP compute what the CPU provider computes? The zoo's models, every output.

In: models, a target and data type (rows of tables below), a scale, batches; out: one Verdict per
model: error of the output's scale, nodes claimed, partitions, kernels, nodes refused with reasons,
and what is wrong, if anything. With several batches a model is built with a symbolic one and a
single session runs them all; in the scale "symbolic" so are all sizes, at those of the catalogue.
"""

import argparse
import dataclasses
import json
import os
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import onnxruntime as ort

from hidet_ep import zoo
from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.machine import versions
from hidet_ep.bench.providers import Provider, alike, assignment, open_session, parse_provider
from hidet_ep.bench.report import percent
from hidet_ep.bench.tables import render_text
from hidet_ep.handover import GraphReport, collect_reports, last_reports

# target -> the provider under test
TARGETS = {"cpu": "HidetEP:target=cpu", "cuda": "HidetEP:target=cuda"}
# data type -> allowed error of the output's scale. tf32: float32 models, products in TF32. float16:
# compared with float32 and the same weights; its activations are rounded, logits of 16 by 1/128.
# bfloat16: has three bits less
TOLERANCES = {"float32": 1e-3, "tf32": 4e-2, "float16": 4e-2, "bfloat16": 1e-1}
HALVES = {"float16": "rounded", "bfloat16": "rounded_bfloat16"}  # and their float32 twins
HALF_AS_CPU = 2.0  # or this times the CPU provider's own error in float16
CLAIMED_AT_LEAST = 0.99  # of the nodes that do not only compute shapes
PARTITIONS_AT_MOST = 3
REFERENCE = parse_provider("cpu")


@dataclass(frozen=True)
class Request:
    """How to validate a model. runs: with each batch, all outputs of which must be right. image:
    in place of the published one. scale: of the networks that are written here (zoo.SCALES).
    """

    target: str = "cpu"
    dtype: str = "float32"
    batches: tuple[int, ...] = (1,)
    image: int | None = None
    seed: int = 0
    threads: int = 1
    runs: int = 1
    scale: str = "full"

    @property
    def provider(self) -> Provider:
        provider = parse_provider(TARGETS[self.target])
        return alike([provider], tf32="1" if self.dtype == "tf32" else "0")[0]


@dataclass(frozen=True)
class Verdict:
    """shapes: how many of the nodes that are not claimed compute but sizes. kernels, fused (kernels
    of several operators): None where the provider does not tell. refused: (operator, reason, how
    many). problems: empty if all is well.
    """

    model: str
    nodes: int = 0
    claimed: int = 0
    partitions: int = 0
    shapes: int = 0
    kernels: int | None = None
    fused: int | None = None
    refused: tuple[tuple[str, str, int], ...] = ()
    max_error: float | None = None
    create_s: float | None = None
    problems: tuple[str, ...] = ()


def validate(model: str, request: Request, provider: Provider | None = None) -> Verdict:
    """A zoo model, or a file as it is; `provider` in place of the target's (the tests validate the
    CPU provider). Raises ValueError for a model that there is not in this data type or size.
    """
    provider = provider or request.provider
    path, twin = _models(model, request)
    name = Path(model).stem if path == Path(model) else model
    feeds = [zoo.inputs(path, request.seed, dims) for dims in _runs(model, request)]
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
        max_error=max(errors),
        create_s=create_s,
        **_told(last_reports(reports)),
    )
    tolerance = _tolerance(model, request)
    if request.dtype == "float16" and max(errors) > tolerance:
        own = _run_all(open_session(path, REFERENCE, request.threads), feeds)
        pairs = zip(own, reference, strict=True)
        tolerance = max(tolerance, HALF_AS_CPU * max(max_relative_error(*p) for p in pairs))
    problems = _problems(verdict, tolerance, claims.elsewhere)
    return dataclasses.replace(verdict, problems=problems)


def _tolerance(model: str, request: Request) -> float:
    own = zoo.NETWORKS[model].tolerance if model in zoo.NETWORKS else 0.0
    return own or TOLERANCES[request.dtype]


def _models(model: str, request: Request) -> tuple[Path, Path]:
    """The model to validate, and the one that the CPU provider runs: for a file, the file."""
    if Path(model).is_file():
        return Path(model), Path(model)
    is_symbolic = request.scale == "symbolic" or len(request.batches) > 1
    batch = "N" if is_symbolic else request.batches[0]
    scale = request.scale if model in zoo.NETWORKS else "full"
    half = HALVES.get(request.dtype)
    forms = (request.dtype, half) if half else ("float32",) * 2
    made = [zoo.path(model, request.seed, batch, request.image, form, scale) for form in forms]
    return made[0], made[1]


def _runs(model: str, request: Request) -> list[Mapping[str, int]]:
    """Sizes of the symbols, for each run."""
    runs: Sequence[Mapping[str, int]] = [{"N": size} for size in request.batches]
    if request.scale == "symbolic" and model in zoo.NETWORKS:
        runs = zoo.NETWORKS[model].runs
    return [dims for dims in runs for _ in range(request.runs)]


def _wide(feeds: Sequence[dict[str, np.ndarray]]) -> list[dict[str, np.ndarray]]:
    return [{key: _widened(array) for key, array in feed.items()} for feed in feeds]


def _widened(array: np.ndarray) -> np.ndarray:
    """float16 as float32."""
    return array.astype(np.float32) if array.dtype == np.float16 else array


def _run_all(
    session: ort.InferenceSession, feeds: Sequence[dict[str, np.ndarray]]
) -> list[list[np.ndarray]]:
    return [[_widened(output) for output in session.run(None, feed)] for feed in feeds]


def _told(reports: Sequence[GraphReport]) -> dict[str, Any]:
    """What the partitioner tells of a model: fields of Verdict."""
    parts = [part for report in reports for part in report.result.partitions]
    refused = [node for report in reports for node in report.result.refused]
    kernels = [kernel for part in parts for kernel in part.compiled.report.kernels]
    counts = Counter((node.op_type, node.reason) for node in refused)
    return {
        "shapes": sum(node.is_shape for node in refused),
        "kernels": len(kernels) if parts else None,
        "fused": sum(len(kernel.ops) > 1 for kernel in kernels) if parts else None,
        "refused": tuple((*key, count) for key, count in counts.items()),
    }


def _problems(verdict: Verdict, tolerance: float, elsewhere: Sequence[str]) -> tuple[str, ...]:
    found = []
    if not verdict.max_error <= tolerance:
        found.append(f"error {verdict.max_error:.2e} of the output's scale > {tolerance:.2e}")
    computing = verdict.nodes - verdict.shapes
    if verdict.claimed < CLAIMED_AT_LEAST * computing or not verdict.nodes:
        share = percent(verdict.claimed / max(computing, 1))
        found.append(f"claims {share} of the nodes; elsewhere: {', '.join(elsewhere)}")
    if verdict.kernels is not None and verdict.partitions > PARTITIONS_AT_MOST:
        found.append(f"{verdict.partitions} partitions > {PARTITIONS_AT_MOST}")
    return tuple(found)


# ---- command line ----------------------------------------------------------------------------


def verdict_table(verdicts: Sequence[Verdict]) -> str:
    names = "model,nodes,in EP,partitions,kernels,fused,refused,max error,create s,"
    header = names.split(",")
    return render_text(header, [_row(verdict) for verdict in verdicts])


def _row(verdict: Verdict) -> list[str]:
    if verdict.max_error is None:
        return [verdict.model, *["-"] * 8, f"FAILED: {verdict.problems[0]}"]
    return [
        verdict.model,
        str(verdict.nodes),
        percent(verdict.claimed / max(verdict.nodes, 1)),
        str(verdict.partitions),
        "-" if verdict.kernels is None else str(verdict.kernels),
        "-" if verdict.fused is None else str(verdict.fused),
        str(sum(count for *_, count in verdict.refused)),
        f"{verdict.max_error:.1e}",
        f"{verdict.create_s:.2f}",
        "FAILED: " + "; ".join(verdict.problems) if verdict.problems else "ok",
    ]


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(
        prog, description="Validate HidetEP on the model zoo against the CPU provider."
    )
    args.add_argument("models", nargs="*", help="zoo models or files (default: all models)")
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
    args.add_argument("--image", type=int, help="size of images (default: as published)")
    args.add_argument(
        "--scale",
        choices=zoo.SCALES,
        default="full",
        help="of the networks that are written here; symbolic: reduced, and all sizes symbols",
    )
    args.add_argument("--seed", type=int, default=0)
    args.add_argument("--threads", type=int, default=len(os.sched_getaffinity(0)))
    args.add_argument("--json", type=Path, metavar="FILE", help="write the verdicts here too")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """0: all models are right; 1: some are not; 2: wrong arguments."""
    args = parser(prog).parse_args(argv)
    request = Request(
        args.target,
        args.dtype,
        tuple(args.batches),
        args.image,
        args.seed,
        args.threads,
        scale=args.scale,
    )
    verdicts = []
    for model in args.models or (*zoo.names(), *zoo.written()):
        print(f"{model} ...", file=sys.stderr, flush=True)
        try:
            verdicts.append(validate(model, request))
        except ValueError as error:
            print(f"{'error' if args.models else 'left out'}: {error}", file=sys.stderr)
            if args.models:
                return 2
    print(verdict_table(verdicts))
    print("".join(_refused_lines(verdicts)), end="")
    wrong = [verdict.model for verdict in verdicts if verdict.problems]
    print(f"{len(verdicts) - len(wrong)} of {len(verdicts)} models are right")
    if args.json:
        args.json.write_text(json.dumps(_to_json(request, verdicts), indent=1) + "\n")
    return 1 if wrong else 0


def _refused_lines(verdicts: Sequence[Verdict]) -> Iterator[str]:
    for verdict in verdicts:
        for op, reason, count in verdict.refused:
            yield f"{verdict.model}: {count} {op} left to ONNX Runtime: {reason}\n"


def _to_json(request: Request, verdicts: Sequence[Verdict]) -> dict[str, object]:
    return {
        "versions": versions(),
        "request": dataclasses.asdict(request),
        "models": [dataclasses.asdict(verdict) for verdict in verdicts],
    }
