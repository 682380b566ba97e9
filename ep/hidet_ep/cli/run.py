"""`hidet-ep run`: one run on seeded inputs, compared with ONNX Runtime's CPU provider."""

from __future__ import annotations

import argparse
import time
from typing import Any

import numpy as np

from hidet_ep import zoo
from hidet_ep.bench.compare import max_relative_error
from hidet_ep.bench.providers import open_session, parse_provider
from hidet_ep.bench.tables import render_text
from hidet_ep.cli.common import FATAL_ONLY, add_model_arguments, model_path, open_model


def add(commands: Any) -> None:
    command = commands.add_parser("run", help="run a model once and compare with the CPU provider")
    add_model_arguments(command)
    command.add_argument(
        "--dim", action="append", default=[], metavar="NAME=SIZE", help="size of a symbolic dim"
    )
    command.add_argument("--seed", type=int, default=0, help="of the inputs")
    command.add_argument("--tolerance", type=float, default=1e-3, help="of the output's scale")
    command.set_defaults(command=run)


def run(args: argparse.Namespace) -> int:
    dims = dict(_dim(text) for text in args.dim)
    path = model_path(args)
    feeds = zoo.inputs(path, args.seed, dims)
    start = time.perf_counter()
    session = open_model(args)
    created = time.perf_counter()
    outputs = session.run(None, feeds)
    done = time.perf_counter()
    reference = open_session(path, parse_provider("cpu"), args.threads, FATAL_ONLY)
    wanted = reference.run(None, feeds)
    error = max_relative_error(outputs, wanted)
    rows = [(name, *_describe(array)) for name, array in feeds.items()]
    names = [output.name for output in session.get_outputs()]
    rows += [(name, *_describe(array)) for name, array in zip(names, outputs, strict=True)]
    print(render_text(("tensor", "type", "shape", "mean", "largest"), rows))
    print(f"\nsession {created - start:.2f} s, first run {1e3 * (done - created):.2f} ms")
    print(f"largest difference from the CPU provider: {error:.1e} of the output's scale")
    return 0 if error <= args.tolerance else 1


def _dim(text: str) -> tuple[str, int]:
    name, equals, size = text.partition("=")
    if not equals or not size.isdigit():
        raise ValueError(f"--dim {text!r}: expected NAME=SIZE")
    return name, int(size)


def _describe(array: Any) -> tuple[str, str, str, str]:
    if not isinstance(array, np.ndarray):
        return type(array).__name__, "", "", ""
    shape = "x".join(map(str, array.shape)) or "scalar"
    if array.dtype.kind not in "fiub" or array.size == 0:
        return str(array.dtype), shape, "", ""
    return str(array.dtype), shape, f"{array.mean():.4g}", f"{np.abs(array).max():.4g}"
