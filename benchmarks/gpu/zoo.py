"""Step "zoo": the models on the GPU against the CPU provider, in f32, TF32 and f16."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from pathlib import Path

from benchmarks.gpu import tiny
from benchmarks.gpu.step import Output, main
from hidet_ep.validate import Request, Verdict, validate, verdict_table


def run(output: Output, args: argparse.Namespace) -> int:
    if args.tiny:
        tiny.write(Path(args.models[0]))
    verdicts: list[tuple[str, Verdict]] = []
    for dtype in args.dtypes[:2] if args.tiny else args.dtypes:
        for model in args.models:
            if output.left <= 0:
                output.note(whole=False)
                break
            verdict = validate(model, Request("cuda", dtype, image=args.image))
            verdicts.append((dtype, verdict))
            rows = [{"dtype": kind, **dataclasses.asdict(each)} for kind, each in verdicts]
            wrong = sum(bool(each.problems) for _, each in verdicts)
            output.note(models=rows, wrong=wrong)
            print(verdict_table([verdict]), file=sys.stderr, flush=True)
    return 1 if any(verdict.problems for _, verdict in verdicts) else 0


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--models", nargs="+", required=True)
    parser.add_argument("--image", type=int, default=224)
    parser.add_argument("--dtypes", nargs="+", default=["float32", "tf32", "float16"])


if __name__ == "__main__":
    sys.exit(main(run, add))
