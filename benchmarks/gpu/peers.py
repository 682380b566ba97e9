"""Step "peers": torch on the device, eager and compiled, and the same networks as ONNX files.

Networks of torchvision and transformers with random weights, nothing downloaded; what is not
installed is left out, and said. The exports (FOLDER/NAME.onnx) are measured by the step "bench",
which comes next: so all are compared on the very same networks.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from benchmarks.gpu.step import Output, main

SEQUENCE = 128
CNNS = ("resnet50", "mobilenet_v2", "inception_v3")
RUNS = 30
Network = tuple[Any, tuple[Any, ...]]  # a module and its inputs


def run(output: Output, args: argparse.Namespace) -> int:
    try:
        import torch
    except ImportError as error:
        output.note(left_out=f"torch is not here: {error}")
        return 0
    on_gpu = torch.cuda.is_available() and not args.tiny
    output.note(torch=torch.__version__, device="cuda" if on_gpu else "cpu: times are of no use")
    args.exports.mkdir(parents=True, exist_ok=True)
    networks = _networks(torch, args.tiny)
    figures: dict[str, dict[str, object]] = {name: {} for name in networks}
    # the exports first: they are what the next step compares all on
    for step in (_export, _eager, _compiled):
        for name, make in networks.items():
            if output.left <= 0:
                output.note(whole=False)
                return 0
            figures[name] |= _tried(step, torch, name, make, args, on_gpu)
            output.note(**{name: figures[name]})
            print(name, figures[name], file=sys.stderr, flush=True)
    return 0


def _tried(step: Callable[..., dict[str, object]], *arguments: Any) -> dict[str, object]:
    """What torch raises is a finding."""
    try:
        return step(*arguments)
    except Exception as error:
        return {step.__name__.strip("_"): {"failure": " ".join(str(error).split())[:300]}}


def _networks(torch: Any, tiny: bool) -> dict[str, Callable[[], Network]]:
    found: dict[str, Callable[[], Network]] = {}
    if tiny:
        return {"linear": lambda: (torch.nn.Linear(4, 4), (torch.randn(2, 4),))}
    try:
        import torchvision
    except ImportError:
        pass
    else:
        for name in CNNS:
            found[name] = lambda name=name: _cnn(torch, torchvision, name)
    try:
        import transformers
    except ImportError:
        pass
    else:
        found["bert"] = lambda: _bert(torch, transformers)
        found["gpt2"] = lambda: _gpt2(torch, transformers)
    return found


def _cnn(torch: Any, torchvision: Any, name: str) -> Network:
    more = {"init_weights": False, "aux_logits": False} if name == "inception_v3" else {}
    size = 299 if name == "inception_v3" else 224
    return getattr(torchvision.models, name)(weights=None, **more), (torch.randn(1, 3, size, size),)


def _bert(torch: Any, transformers: Any) -> Network:
    model = transformers.BertModel(transformers.BertConfig(return_dict=False))
    return model, (torch.randint(0, 1000, (1, SEQUENCE)), torch.ones(1, SEQUENCE, dtype=torch.long))


def _gpt2(torch: Any, transformers: Any) -> Network:
    model = transformers.GPT2Model(transformers.GPT2Config(return_dict=False, use_cache=False))
    return model, (torch.randint(0, 1000, (1, SEQUENCE)),)


def _made(torch: Any, make: Callable[[], Network], on_gpu: bool) -> Network:
    torch.manual_seed(0)
    torch.backends.cuda.matmul.allow_tf32 = torch.backends.cudnn.allow_tf32 = True
    module, inputs = make()
    where = "cuda" if on_gpu else "cpu"
    return module.eval().to(where), tuple(value.to(where) for value in inputs)


def _export(
    torch: Any, name: str, make: Callable[[], Network], args: argparse.Namespace, on_gpu: bool
) -> dict[str, object]:
    path = Path(args.exports) / f"{name}.onnx"
    if path.exists():
        return {"export": path.name}
    module, inputs = _made(torch, make, False)
    part = path.with_suffix(".part.onnx")  # is not measured if we are stopped in the middle
    torch.onnx.export(module, inputs, str(part), dynamo=True, external_data=False)
    part.rename(path)
    return {"export": path.name}


def _eager(
    torch: Any, name: str, make: Callable[[], Network], args: argparse.Namespace, on_gpu: bool
) -> dict[str, object]:
    found = {"tf32_ms": _median_ms(torch, *_made(torch, make, on_gpu), on_gpu)}
    if on_gpu:
        module, inputs = _made(torch, make, on_gpu)
        found["fp16_ms"] = _median_ms(torch, module.half(), _halved(inputs), on_gpu)
    return {"eager": found}


def _compiled(
    torch: Any, name: str, make: Callable[[], Network], args: argparse.Namespace, on_gpu: bool
) -> dict[str, object]:
    """torch.compile with CUDA graphs; max-autotune, which takes minutes, if it was asked for."""
    if not on_gpu:
        return {}
    found = {}
    for kind in ("tf32", "fp16"):
        module, inputs = _made(torch, make, on_gpu)
        if kind == "fp16":
            module, inputs = module.half(), _halved(inputs)
        torch._dynamo.reset()
        compiled = torch.compile(module, mode=args.mode)
        found[f"{kind}_ms"] = _median_ms(torch, compiled, inputs, on_gpu)
    return {"compiled": {"mode": args.mode, **found}}


def _halved(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return tuple(value.half() if value.is_floating_point() else value for value in inputs)


def _median_ms(torch: Any, module: Any, inputs: tuple[Any, ...], on_gpu: bool) -> float:
    """Of whole calls, as the host sees them: the device is done when a call ends."""
    import statistics
    import time

    synchronize = torch.cuda.synchronize if on_gpu else (lambda: None)
    samples = []
    with torch.inference_mode():
        for number in range(RUNS + 10):
            start = time.perf_counter()
            module(*inputs)
            synchronize()
            if number >= 10:
                samples.append(1e3 * (time.perf_counter() - start))
    return statistics.median(samples)


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--exports", type=Path, required=True, help="folder for the .onnx files")
    parser.add_argument("--mode", default="reduce-overhead", help="of torch.compile")


if __name__ == "__main__":
    sys.exit(main(run, add))
