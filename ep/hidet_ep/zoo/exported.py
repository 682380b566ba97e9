"""The same networks from torch's own exporters, where torch and its model libraries are installed.

    pip install 'onnxruntime-ep-hidet[zoo]'
    model = export("vit", "traced")          # an onnx.ModelProto, seeded weights

What the builders of this package imitate: a check that real exports are spelled so. Nothing is
downloaded: networks are made from their configurations, their weights drawn by torch from the seed.
In: a name of EXPORTS, an exporter ("dynamo" or "traced"), a batch that the model is traced with;
out: a model with a symbolic batch (and sequence) N, S.
"""

from __future__ import annotations

import importlib
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import onnx

EXPORTERS = ("dynamo", "traced")
OPSETS = {"dynamo": 18, "traced": 17}
TOKENS, SEQUENCE = 1000, 32  # the smallest vocabulary; tokens of the example that is traced
EXAMPLE_BATCH = 2  # a batch of 1 would be taken for a constant


@dataclass(frozen=True)
class Source:
    """library: a module; make: its function or class; config: the class of its configuration;
    part: an attribute of the network; inputs: name -> shape, with symbols.
    """

    library: str
    make: str
    inputs: Mapping[str, tuple[int | str, ...]]
    config: str = ""
    arguments: Mapping[str, Any] = field(default_factory=dict)
    part: str = ""
    output: str = "output"


def _images(make: str, size: int = 224, **arguments: Any) -> Source:
    shape = ("N", 3, size, size)
    return Source("torchvision.models", make, {"image": shape}, arguments=arguments)


TEXT = {"input_ids": ("N", "S"), "attention_mask": ("N", "S")}
FEATURES = {"input_features": ("N", 80, 3000)}
EXPORTS: Mapping[str, Source] = {
    "resnet50_v1_5": _images("resnet50"),
    "mobilenet_v2": _images("mobilenet_v2"),
    "inception_v3": _images("inception_v3", 299, aux_logits=False, init_weights=True),
    "efficientnet_b0": _images("efficientnet_b0"),
    "convnext": _images("convnext_tiny"),
    "swin": _images("swin_t"),
    "vit": _images("vit_b_16"),
    "bert": Source("transformers", "BertModel", TEXT, "BertConfig"),
    "gpt2": Source("transformers", "GPT2Model", TEXT, "GPT2Config", {"use_cache": False}),
    "t5_encoder": Source("transformers", "T5EncoderModel", TEXT, "T5Config"),
    "t5_gated": Source(
        "transformers", "T5EncoderModel", TEXT, "T5Config", {"feed_forward_proj": "gated-gelu"}
    ),
    "whisper_encoder": Source(
        "transformers", "WhisperModel", FEATURES, "WhisperConfig", part="encoder"
    ),
    "llama": Source(
        "transformers",
        "LlamaModel",
        TEXT,
        "LlamaConfig",
        {"num_hidden_layers": 2, "hidden_size": 512, "intermediate_size": 1408, "use_cache": False},
    ),
}


def export(name: str, exporter: str = "dynamo", seed: int = 0) -> onnx.ModelProto:
    """Raises ValueError for a name or exporter that is unknown, ImportError where a library is
    missing.
    """
    for what, given, known in (("network", name, EXPORTS), ("exporter", exporter, EXPORTERS)):
        if given not in known:
            raise ValueError(f"{what} {given!r} is unknown; there are {', '.join(known)}")
    source, torch = EXPORTS[name], _library("torch")
    torch.manual_seed(seed)
    network = _network(source).eval()
    examples = {key: _example(torch, key, shape) for key, shape in source.inputs.items()}
    # transformers' forward has arguments between these; torchvision's calls its image x
    arguments, named = ((), examples) if source.config else (tuple(examples.values()), {})
    dynamic = {
        key: {axis: dim for axis, dim in enumerate(shape) if isinstance(dim, str)}
        for key, shape in source.inputs.items()
    }
    how: dict[str, Any] = {"dynamic_axes": {**dynamic, source.output: {0: "N"}}}
    if exporter == "dynamo":
        sizes = {
            name: torch.export.Dim(name) for dims in dynamic.values() for name in dims.values()
        }
        shapes = [{k: sizes[dim] for k, dim in dims.items()} for dims in dynamic.values()]
        by_name = dict(zip(dynamic, shapes, strict=True))
        how = {"dynamic_shapes": by_name if named else tuple(shapes)}
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / f"{name}.onnx"
        torch.onnx.export(
            network,
            arguments,
            str(file),
            kwargs=named,
            input_names=list(source.inputs),
            output_names=[source.output],
            opset_version=OPSETS[exporter],
            dynamo=exporter == "dynamo",
            **how,
        )
        return onnx.load(file)


def _library(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as error:
        raise ImportError(
            f"{name} is not installed: exports need the extra [zoo], "
            "pip install 'onnxruntime-ep-hidet[zoo]'"
        ) from error


def _network(source: Source) -> Any:
    library = _library(source.library)
    make = getattr(library, source.make)
    if not source.config:
        return make(weights=None, **source.arguments)
    network = make(getattr(library, source.config)(**source.arguments))
    return getattr(network, source.part) if source.part else network


def _example(torch: Any, name: str, shape: tuple[int | str, ...]) -> Any:
    sizes = [{"N": EXAMPLE_BATCH, "S": SEQUENCE}.get(dim, dim) for dim in shape]
    if name == "input_ids":
        return torch.randint(0, TOKENS, sizes)
    return torch.ones(sizes, dtype=torch.int64) if "mask" in name else torch.randn(sizes)
