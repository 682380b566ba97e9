"""Zoo models as files, each written once into the user's cache folder.

In: what `build` takes; out: the path of a model file that is complete: it is written aside and
renamed, so that processes may race and a killed one leaves nothing half done. The name holds a
digest of the recipe's source and of the onnx version: a new recipe never meets an old file.
"""

import hashlib
import os
import tempfile
from dataclasses import replace
from pathlib import Path

import onnx

from hidet_ep.zoo import bert_graph, encoder, gpt2_graph, halves, images, light, nodes, weights
from hidet_ep.zoo.nodes import Size

RECIPE = (light, weights, nodes, encoder, bert_graph, gpt2_graph, images, halves)
FORMS = {
    "float32": lambda model: model,
    "float16": halves.in_half,
    "rounded": halves.rounded,
}
WRITTEN = ("bert", "gpt2", "inception_v3", "mobilenet_v2")
SEQUENCE = 128


def folder() -> Path:
    """Where zoo models are kept: `zoo` in the cache folder. Deleting it loses only time."""
    return _cache_root() / "zoo"


def written() -> tuple[str, ...]:
    """The models besides `names()` that `path` knows: those that are written here."""
    return WRITTEN


def path(
    name: str,
    seed: int = 0,
    batch: int | str = 1,
    image: int = light.FULL_IMAGE,
    form: str = "float32",
) -> Path:
    """The file of this model; built on first use. form: float32, float16, or rounded: the float32
    twin of the latter (halves.py).
    """
    suffix = "" if form == "float32" else f"-{form}"
    file = folder() / f"{name}-b{batch}-i{image}-s{seed}{suffix}-{_digest()}.onnx"
    if not file.exists():
        _write(FORMS[form](_build(name, seed, batch, image)), file)
    return file


def _build(name: str, seed: int, batch: Size, image: int) -> onnx.ModelProto:
    """A model at its published sizes; transformers have a sequence of SEQUENCE and no image."""
    match name:
        case "bert":
            return bert_graph.bert(encoder.Sizes(batch=batch, sequence=SEQUENCE), seed=seed)
        case "gpt2":
            return gpt2_graph.gpt2(
                replace(gpt2_graph.GPT2, batch=batch, sequence=SEQUENCE), seed=seed
            )
        case "mobilenet_v2":
            return images.mobilenet_v2(image, batch, seed=seed)
        case "inception_v3":
            return images.inception_v3(image, batch, seed=seed)
    return light.build(name, seed, batch, image)


def _write(model: onnx.ModelProto, file: Path) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    handle, aside = tempfile.mkstemp(prefix=f"{file.stem}.", suffix=".tmp", dir=file.parent)
    try:
        with os.fdopen(handle, "wb") as out:
            out.write(model.SerializeToString())
        Path(aside).replace(file)
    except BaseException:
        Path(aside).unlink(missing_ok=True)
        raise


def _digest() -> str:
    source = b"".join(Path(module.__file__).read_bytes() for module in RECIPE)
    return hashlib.sha256(source + onnx.__version__.encode()).hexdigest()[:8]


def _cache_root() -> Path:
    chosen = os.environ.get("HIDET_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hidet"
