"""`scripts/benchmark.py` and `hidet-ep bench`: arguments -> benchmark -> table and JSON."""

import argparse
import json
import os
import sys
from collections.abc import Sequence
from pathlib import Path

from hidet_ep import zoo
from hidet_ep.bench.providers import alike, parse_provider
from hidet_ep.bench.report import failures, text_table
from hidet_ep.bench.runner import Settings, benchmark

PROVIDERS = ["cpu", "hidet"]
EXAMPLES = """examples:
  %(prog)s                                        the zoo, HidetEP against the CPU provider
  %(prog)s resnet50 model.onnx --threads 1
  %(prog)s resnet50 --providers cpu hidet hidet:tuning=fast --json out.json
  %(prog)s --target cuda --tf32 1 --providers cuda cuda-best tensorrt hidet    on a GPU
"""


def parser(prog: str | None = None) -> argparse.ArgumentParser:
    args = argparse.ArgumentParser(
        prog,
        description="Compare execution providers on models, interleaved.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    zoo_names = ", ".join((*zoo.names(), *zoo.written()))
    args.add_argument("models", nargs="*", help=f"files, or: {zoo_names} (default: the first nine)")
    args.add_argument(
        "--providers",
        nargs="+",
        default=PROVIDERS,
        metavar="P",
        help="cpu, hidet, cuda, cuda-best (CUDA graph and NHWC), tensorrt, or any "
        "name[:key=value,...]; the first is the baseline",
    )
    add = args.add_argument
    add("--threads", type=int, default=len(os.sched_getaffinity(0)), help="default: all cores")
    add("--batch", type=int, default=1, help="batch of zoo models, size of symbolic dims")
    add("--image", type=int, default=224, help="image size of zoo models")
    add("--dtype", choices=("float32", "float16"), default="float32", help="of zoo models")
    add("--seed", type=int, default=0)
    add("--seconds", type=float, default=3.0, help="timed seconds of each model and provider")
    add("--tolerance", type=float, default=1e-3, help="allowed error of the output's scale")
    add("--target", help="of HidetEP, where its options do not say: cpu, cuda, ...")
    add("--tf32", choices=("0", "1"), help="products of float32 in TF32: the same for all on a GPU")
    add("--io", choices=("device", "host"), default="device", help="where tensors are between runs")
    add("--cold", action="store_true", help="with other data in the GPU's L2 before each run")
    add("--no-creation", action="store_true", help="skip cold and warm session creation")
    add("--json", type=Path, metavar="FILE", help="write the report here too")
    return args


def main(argv: Sequence[str] | None = None, prog: str | None = None) -> int:
    """0: all measured; 1: a provider failed or was wrong on some model; 2: wrong arguments."""
    args = parser(prog).parse_args(argv)
    settings = Settings(
        threads=args.threads,
        batch=args.batch,
        image=args.image,
        seed=args.seed,
        seconds=args.seconds,
        tolerance=args.tolerance,
        creation=not args.no_creation,
        io=args.io,
        dtype=args.dtype,
        cold=args.cold,
    )
    try:
        providers = [parse_provider(text) for text in args.providers]
        providers = alike(providers, args.target, args.tf32)
        report = benchmark(args.models or zoo.names(), providers, settings, say=_say)
    except ValueError as error:
        print(f"error: {error}", file=sys.stderr)
        return 2
    print(text_table(report))
    if args.json:
        args.json.write_text(json.dumps(report.to_json(), indent=1) + "\n")
    return 1 if failures(report) else 0


def _say(line: str) -> None:
    """Progress goes to stderr: stdout is the table."""
    print(line, file=sys.stderr, flush=True)
