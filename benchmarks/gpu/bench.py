"""Step "bench": HidetEP next to ONNX Runtime's GPU providers, with TF32 on for all of them.

Rows: the CUDA provider as it is, with its CUDA graph and NHWC, TensorRT, HidetEP; of those that are
not installed it says so. Tensors stay on the device. Each model hot, then with a cold L2.
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import replace
from pathlib import Path

import onnxruntime as ort

from benchmarks.gpu.step import Output, main
from hidet_ep.bench import Settings, benchmark, parse_provider, text_table
from hidet_ep.bench.providers import alike
from hidet_ep.bench.report import Report, Result
from hidet_ep.validate import CLAIMED_AT_LEAST

PROVIDERS = ("cuda", "cuda-best", "tensorrt", "hidet")
TOLERANCE = (
    4e-2  # TF32 against TF32, f16 against f16; the step "zoo" checks each against the CPU provider
)
CPU_TOLERANCE = 1e-2
MODES = (("hot", False), ("cold", True))


def run(output: Output, args: argparse.Namespace) -> int:
    installed = ort.get_available_providers()
    wanted = [parse_provider(name) for name in PROVIDERS]
    there = [p for p in wanted if p.name == "HidetEP" or p.name in installed]
    output.note(
        onnxruntime=ort.__version__,
        not_installed=sorted({p.name for p in wanted} - {p.name for p in there}),
    )
    if len(there) == 1:  # something to compare with, and to check against
        there.insert(0, parse_provider("cpu"))
    providers = alike(there, target="cuda", tf32="1")
    models = [*args.models, *map(str, sorted(args.exports.glob("*.onnx")))]
    jobs = [(model, dtype) for model in models for dtype in _dtypes(model)]
    reports: dict[str, list[Report]] = {mode: [] for mode, _ in MODES}
    status = 0
    for model, dtype in jobs:
        for mode, cold in MODES[:1] if args.tiny else MODES:
            if output.left <= 0:
                output.note(whole=False)
                return status
            settings = replace(_settings(args, cold, output), dtype=dtype)
            report = benchmark([model], providers, settings, say=_say)
            print(text_table(report), file=sys.stderr, flush=True)
            reports[mode].append(report)
            output.note(**{mode: _joined(reports[mode]).to_json()})
            status |= any(_is_wrong(result) for result in report.models[0].results)
    return status


def _dtypes(model: str) -> tuple[str, ...]:
    """A file is what it is."""
    return ("float32",) if Path(model).is_file() else ("float32", "float16")


def _is_wrong(result: Result) -> bool:
    """Of ours: a failure, or times of another provider under our name."""
    is_ours = result.provider.startswith("HidetEP")
    return is_ours and (result.failure is not None or (result.claimed or 0) < CLAIMED_AT_LEAST)


def _settings(args: argparse.Namespace, cold: bool, output: Output) -> Settings:
    return Settings(
        threads=2,
        image=args.image,
        seconds=0.05 if args.tiny else min(1.0, max(0.2, output.left / 60)),
        tolerance=CPU_TOLERANCE if args.tiny else TOLERANCE,
        creation=not (args.tiny or cold),
        cold=cold,
    )


def _joined(reports: list[Report]) -> Report:
    first = reports[0]
    return Report(
        date=first.date,
        machine=first.machine,
        settings=first.settings,
        models=tuple(model for report in reports for model in report.models),
    )


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--image", type=int, default=224)
    parser.add_argument("--exports", type=Path, required=True, help="folder of more .onnx files")


if __name__ == "__main__":
    sys.exit(main(run, add))
