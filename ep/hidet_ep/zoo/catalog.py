"""The networks that are written here, by name, in three scales.

full: as published. reduced: of the same layers, but few and narrow: what tests run. symbolic:
reduced, with every size a symbol that the network allows; `runs` are sizes of these symbols.

    model = build("t5_encoder", "reduced", batch=2)
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import onnx

from hidet_ep.zoo.bert_graph import bert
from hidet_ep.zoo.convnext import ConvNextSizes, convnext
from hidet_ep.zoo.efficientnet import efficientnet_b0
from hidet_ep.zoo.encoder import Sizes
from hidet_ep.zoo.gpt2_graph import GPT2, gpt2
from hidet_ep.zoo.images import inception_v3, mobilenet_v2
from hidet_ep.zoo.llama_graph import LlamaSizes, llama
from hidet_ep.zoo.lstm import LstmSizes, lstm
from hidet_ep.zoo.nodes import Size
from hidet_ep.zoo.quantised import in_int8
from hidet_ep.zoo.resnet import resnet50_v1_5
from hidet_ep.zoo.swin import SwinSizes, swin
from hidet_ep.zoo.t5 import T5Sizes, t5_encoder
from hidet_ep.zoo.unet import unet
from hidet_ep.zoo.vit import VitSizes, vit
from hidet_ep.zoo.whisper import WhisperSizes, whisper_encoder
from hidet_ep.zoo.yolo import yolo

SCALES = ("full", "reduced", "symbolic")
INT8 = 5e-2  # a few steps of quantisation
SEQUENCE = 128  # of full transformers of text
ANY = ("H", "W")  # an image of any size
Arguments = Mapping[str, Any]
Runs = tuple[Mapping[str, int], ...]


@dataclass(frozen=True)
class Network:
    """make: the builder; full, reduced, symbolic: its arguments besides batch, seed and dtype.
    tolerance: of the output's scale, in place of the data type's; 0: that.
    """

    make: Callable[..., onnx.ModelProto]
    reduced: Arguments
    symbolic: Arguments
    runs: Runs
    full: Arguments = field(default_factory=dict)
    is_transformer: bool = False
    tolerance: float = 0.0

    def arguments(self, scale: str) -> Arguments:
        return {"full": self.full, "reduced": self.reduced, "symbolic": self.symbolic}[scale]


def _text(sequence: Size) -> Sizes:
    return Sizes(layers=2, hidden=32, heads=4, vocabulary=50, positions=32, sequence=sequence)


def _int8_resnet(seed: int = 0, **arguments: Any) -> onnx.ModelProto:
    if "dtype" in arguments:
        raise ValueError("a network in 8 bits has scales of float32")
    return in_int8(resnet50_v1_5(seed=seed, **arguments), seed)


def _decoded(*sizes: tuple[int, int, int]) -> Runs:
    return tuple({"N": n, "S": s, "P": past, "P + S": past + s} for n, s, past in sizes)


def _batches(*sizes: int) -> Runs:
    return tuple({"N": size} for size in sizes)


def _texts(*sizes: tuple[int, int]) -> Runs:
    return tuple({"N": batch, "S": sequence} for batch, sequence in sizes)


def _images(*sizes: tuple[int, int, int]) -> Runs:
    return tuple({"N": n, "H": height, "W": width} for n, height, width in sizes)


T5 = T5Sizes(layers=2, hidden=32, heads=4, head=8, inner=48, vocabulary=50, sequence=21)
WHISPER = WhisperSizes(layers=2, hidden=32, heads=4, mels=12, frames=38, positions=19)
LLAMA = LlamaSizes(2, 32, 4, 2, 48, 50, positions=64, sequence=3, past=5)
# two layers of 16: a file of ONNX holds 2 GB
LLAMA_TOP = LlamaSizes(layers=2, sequence=1, past=128)
LSTM = LstmSizes(embedded=12, hidden=10, vocabulary=50, sequence=9)
VIT = VitSizes(image=32, patch=8, layers=2, hidden=32, heads=4, classes=20)
SWIN = SwinSizes(64, 4, 4, 16, (2, 2), (2, 4), 20)
CONVNEXT = ConvNextSizes((1, 2, 1), (16, 24, 32), kernel=7, classes=20)
NARROW = {"share": 0.125, "classes": 20}
TEXT_RUNS = _texts((2, 9), (1, 1), (3, 32), (1, 17), (0, 5))
TOKEN_RUNS = _texts((2, 9), (1, 1), (3, 32), (1, 17))  # -1 in a shape allows no size of 0
IMAGE_RUNS = _images((1, 64, 64), (2, 33, 47), (3, 96, 40), (0, 64, 64))
STEP_RUNS = _images((1, 64, 64), (2, 32, 96))

NETWORKS: Mapping[str, Network] = {
    "bert": Network(
        bert,
        {"sizes": _text(11)},
        {"sizes": _text("S")},
        TEXT_RUNS,
        {"sizes": Sizes(sequence=SEQUENCE)},
        is_transformer=True,
    ),
    "convnext": Network(
        convnext,
        {"sizes": CONVNEXT, "image": 48},
        {"sizes": CONVNEXT, "image": ANY},
        IMAGE_RUNS,
        is_transformer=True,
    ),
    "convnext_first": Network(
        convnext,
        {"sizes": CONVNEXT, "image": 48, "norms": "first"},
        {"sizes": CONVNEXT, "image": ANY, "norms": "first"},
        IMAGE_RUNS,
        {"norms": "first"},
        is_transformer=True,
    ),
    "efficientnet_b0": Network(
        efficientnet_b0,
        {"image": 64, **NARROW},
        {"image": ANY, **NARROW},
        IMAGE_RUNS,
    ),
    "gpt2": Network(
        gpt2,
        {"sizes": _text(11)},
        {"sizes": _text("S")},
        TEXT_RUNS,
        {"sizes": replace(GPT2, sequence=SEQUENCE)},
        is_transformer=True,
    ),
    "inception_v3": Network(
        inception_v3, {"image": 75, **NARROW}, {"image": 75, **NARROW}, _batches(2, 1, 0)
    ),
    "llama": Network(
        llama,
        {"sizes": LLAMA},
        {"sizes": replace(LLAMA, sequence="S", past="P")},
        _decoded((2, 3, 5), (1, 1, 0), (1, 1, 17), (3, 9, 2)),
        {"sizes": LLAMA_TOP},
        is_transformer=True,
    ),
    "lstm": Network(
        lstm,
        {"sizes": LSTM},
        {"sizes": replace(LSTM, sequence="S")},
        _texts((2, 9), (1, 1), (3, 20)),
        {"sizes": LstmSizes()},
    ),
    "mobilenet_v2": Network(
        mobilenet_v2, {"image": 64, **NARROW}, {"image": 64, **NARROW}, _batches(2, 1, 0)
    ),
    "resnet50_v1_5": Network(
        resnet50_v1_5, {"image": 64, **NARROW}, {"image": ANY, **NARROW}, IMAGE_RUNS
    ),
    "resnet50_int8": Network(
        _int8_resnet,
        {"image": 64, **NARROW},
        {"image": ANY, **NARROW},
        IMAGE_RUNS,
        tolerance=INT8,
    ),
    "swin": Network(
        swin, {"sizes": SWIN}, {"sizes": SWIN}, _batches(2, 1, 3, 0), is_transformer=True
    ),
    "t5_encoder": Network(
        t5_encoder,
        {"sizes": T5},
        {"sizes": replace(T5, sequence="S")},
        TOKEN_RUNS,
        {"sizes": T5Sizes(sequence=SEQUENCE)},
        is_transformer=True,
    ),
    "t5_gated": Network(
        t5_encoder,
        {"sizes": replace(T5, gated=True)},
        {"sizes": replace(T5, gated=True, sequence="S")},
        TOKEN_RUNS,
        {"sizes": T5Sizes(sequence=SEQUENCE, gated=True, inner=1024)},
        is_transformer=True,
    ),
    "unet": Network(
        unet,
        {"image": 32, "channels": 8},
        {"image": ANY, "channels": 8},
        _images((1, 32, 32), (2, 16, 48), (0, 32, 32)),
    ),
    "unet_resized": Network(
        unet,
        {"image": 40, "channels": 8, "up": "resized"},
        {"image": ANY, "channels": 8, "up": "resized"},
        _images((1, 32, 32), (2, 17, 51), (0, 32, 32)),
        {"up": "resized"},
    ),
    "vit": Network(vit, {"sizes": VIT}, {"sizes": VIT}, _batches(2, 1, 3), is_transformer=True),
    "whisper_encoder": Network(
        whisper_encoder,
        {"sizes": WHISPER},
        {"sizes": replace(WHISPER, frames="S")},
        _texts((2, 38), (1, 1), (3, 7), (0, 6)),
        {"sizes": WhisperSizes()},
        is_transformer=True,
    ),
    "yolo": Network(
        yolo,
        {"image": 64, "share": 0.125, "classes": 5},
        {"image": ANY, "share": 0.125, "classes": 5},
        STEP_RUNS,
    ),
}


def build(
    name: str,
    scale: str = "full",
    batch: Size = 1,
    image: int | None = None,
    seed: int = 0,
    dtype: str = "float32",
) -> onnx.ModelProto:
    """image: in place of the published one, where the builder takes one. Raises ValueError for a
    name or scale that is unknown.
    """
    for what, given, known in (("network", name, NETWORKS), ("scale", scale, SCALES)):
        if given not in known:
            raise ValueError(f"{what} {given!r} is unknown; there are {', '.join(known)}")
    network = NETWORKS[name]
    arguments: dict[str, Any] = {**network.arguments(scale), "seed": seed}
    if hasattr(arguments.get("sizes"), "batch"):
        arguments["sizes"] = replace(arguments["sizes"], batch=batch)
    else:
        arguments["batch"] = batch
    if image is not None and takes_image(name):
        arguments["image"] = image
    if dtype != "float32":
        arguments["dtype"] = dtype
    return network.make(**arguments)


def takes_image(name: str) -> bool:
    """Whether a network has a size of images that can be chosen."""
    return "image" in NETWORKS[name].reduced


def takes_dtype(name: str) -> bool:
    """Whether a builder writes other data types than float32."""
    return "dtype" in inspect.signature(NETWORKS[name].make).parameters
