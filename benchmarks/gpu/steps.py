"""The steps of scripts/gpu_report.py, in order, with their shares of the time.

A share is relative to the steps that follow: what a step leaves over, they get.
"""

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.gpu.facts import ROOT
from benchmarks.gpu.runner import Step

TINY_MODEL = "tiny.onnx"  # written by step "zoo"
MODELS = (
    "resnet50", "bert", "mobilenet_v2", "inception_v3", "gpt2", "densenet121", "squeezenet",
    "inception_v1", "inception_v2", "shufflenet", "vgg19", "bvlc_alexnet", "zfnet512",
)  # fmt: skip


@dataclass(frozen=True)
class Choices:
    """tiny: sizes for the emulated device. wheels: a folder of wheels that only the comparison
    uses, such as onnxruntime-gpu's.
    """

    folder: Path
    tiny: bool = False
    wheels: Path | None = None
    models: tuple[str, ...] = ()

    @property
    def site(self) -> Path:
        return self.folder / "site"


def steps(choices: Choices) -> list[Step]:
    """All of them."""
    tiny, folder = choices.tiny, choices.folder
    models = list(choices.models) or ([str(folder / TINY_MODEL)] if tiny else list(MODELS))
    some = ["--models", *models]
    few = ["--problems", "2", "--configs", "2"] if tiny else []
    some_tests = ["--tests", "tests/gpu", "--only", "gather"] if tiny else []
    wheels = []
    if choices.wheels is not None:
        wheels = ["--wheels", str(choices.wheels), "--site", str(choices.site)]
    records = ["--records", str(folder / "schedules.jsonl")]
    peers = ["--exports", str(folder / "exports")]
    first = ["--model", models[0]]
    outputs = ["--outputs", str(folder / "conformance.npz")]
    peer = [*some, *peers]
    space = [*some, *few, *records]
    return [
        _step(choices, "build", "native parts, in the tree", 2.0, *wheels),
        _step(choices, "conformance", "every intrinsic against the emulator", 1.5, *outputs),
        _step(choices, "micro", "launches, copies, bandwidth, arithmetic peaks", 1.5),
        _step(choices, "tests", "tests marked cuda", 2.5, *some_tests),
        _step(choices, "zoo", "models against the CPU provider", 3.0, *some),
        _step(choices, "compile", "first and second compile", 2.0, *first),
        _step(choices, "peers", "torch, eager and compiled, and its exports", 4.0, *peers),
        _step(choices, "bench", "next to ONNX Runtime's GPU providers", 6.0, *peer),
        _step(choices, "tune", "the schedule space of the models' problems", 6.0, *space),
    ]


MODULES = {"build": "build_step", "tests": "tests_step", "compile": "compile_time"}


def _step(choices: Choices, name: str, title: str, share: float, *arguments: str) -> Step:
    path = [str(ROOT), str(ROOT / "ep")]
    if name == "bench" and choices.wheels is not None:
        path.insert(0, str(choices.site))  # another onnxruntime
    tiny = ["--tiny"] if choices.tiny else []
    module = f"benchmarks.gpu.{MODULES.get(name, name)}"
    return Step(
        name,
        title,
        share,
        (sys.executable, "-P", "-m", module, *arguments, *tiny),
        {
            "PYTHONPATH": ":".join(path),
            "PYTHONUNBUFFERED": "1",
            "HIDET_CACHE_DIR": str(choices.folder / "cache"),
        },
    )
