"""Zoo models as files, each written once into the user's cache folder.

In: what `build` takes; out: the path of a model file that is complete: it is written aside and
renamed, so that processes may race and a killed one leaves nothing half done. The name holds a
digest of the recipe's source and of the onnx version: a new recipe never meets an old file.
"""

import hashlib
import os
import tempfile
from functools import partial
from pathlib import Path

import onnx

from hidet_ep.zoo import catalog, halves, light, quantised

RECIPE = tuple(sorted(Path(__file__).parent.glob("*.py")))
FORMS = {
    "float32": lambda model: model,
    "float16": halves.in_half,
    "bfloat16": partial(halves.in_half, dtype="bfloat16"),
    "rounded": halves.rounded,
    "int8": quantised.in_int8,
    "rounded_bfloat16": partial(halves.rounded, dtype="bfloat16"),
}


def folder() -> Path:
    """Where zoo models are kept: `zoo` in the cache folder. Deleting it loses only time."""
    return _cache_root() / "zoo"


def written() -> tuple[str, ...]:
    """The models besides `names()` that `path` knows: those that are written here."""
    return tuple(catalog.NETWORKS)


def path(
    name: str,
    seed: int = 0,
    batch: int | str = 1,
    image: int | None = None,
    form: str = "float32",
    scale: str = "full",
) -> Path:
    """The file of this model; built on first use. image: in place of the published one, where the
    network takes one. form: float32, float16, bfloat16, or rounded, rounded_bfloat16: the
    float32 twins of these (halves.py); int8 (quantised.py). scale: of a network that is written
    here (catalog.py).
    """
    parts = [name, f"b{batch}", f"i{image or 'full'}", f"s{seed}"]
    parts += [part for part in (form, scale) if part not in ("float32", "full")]
    file = folder() / f"{'-'.join(parts)}-{_digest()}.onnx"
    if not file.exists():
        _write(_made(name, seed, batch, image, (form, scale)), file)
    return file


def _made(
    name: str, seed: int, batch: int | str, image: int | None, what: tuple[str, str]
) -> onnx.ModelProto:
    """A builder that knows float16 keeps what an exporter keeps in float32, such as the scales of a
    Resize and the buckets of T5's positions.
    """
    form, scale = what
    if name not in catalog.NETWORKS:
        return FORMS[form](light.build(name, seed, batch, image or light.FULL_IMAGE))
    if form == "float16" and catalog.takes_dtype(name):
        return catalog.build(name, scale, batch, image, seed, form)
    return FORMS[form](catalog.build(name, scale, batch, image, seed))


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
    source = b"".join(file.read_bytes() for file in RECIPE)
    return hashlib.sha256(source + onnx.__version__.encode()).hexdigest()[:8]


def _cache_root() -> Path:
    chosen = os.environ.get("HIDET_CACHE_DIR")
    if chosen:
        return Path(chosen)
    base = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(base) / "hidet"
