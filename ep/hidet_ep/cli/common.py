"""What the commands share: the arguments for a model and its options, and a session of it."""

from __future__ import annotations

import argparse
from pathlib import Path

import onnxruntime as ort

from hidet_ep import zoo
from hidet_ep.bench.providers import Provider, open_session
from hidet_ep.settings import provider

FATAL_ONLY = 4


def add_model_arguments(command: argparse.ArgumentParser) -> None:
    known = ", ".join((*zoo.names(), *zoo.written()))
    command.add_argument("model", help=f"an .onnx file, or one of {known}")
    command.add_argument(
        "-o",
        "--option",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="an option of the provider (`hidet-ep options` lists them)",
    )
    command.add_argument("--threads", type=int, default=0, help="default: as ONNX Runtime chooses")


def model_path(args: argparse.Namespace) -> Path:
    if args.model in (*zoo.names(), *zoo.written()):
        return zoo.path(args.model)
    path = Path(args.model)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file, and no model of the zoo")
    return path


def hidet_provider(args: argparse.Namespace) -> Provider:
    """The provider with the options of the command line; raises BadOption."""
    given = dict(_split(text) for text in args.option)
    name, texts = provider(**given)
    return Provider(name, tuple(texts.items()))


def open_model(args: argparse.Namespace) -> ort.InferenceSession:
    return open_session(model_path(args), hidet_provider(args), args.threads, FATAL_ONLY)


def _split(text: str) -> tuple[str, str]:
    key, equals, value = text.partition("=")
    if not equals:
        raise ValueError(f"--option {text!r}: expected KEY=VALUE")
    return key, value
