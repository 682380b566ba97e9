"""Zoo models as files, each written once into the user's cache folder.

In: what `build` takes; out: the path of a model file that is complete: it is written aside and
renamed, so that processes may race and a killed one leaves nothing half done. The name holds a
digest of the recipe's source and of the onnx version: a new recipe never meets an old file.
"""

import hashlib
import os
import tempfile
from pathlib import Path

import onnx

from hidet_ep.zoo import halves, light, weights
from hidet_ep.zoo.halves import in_half, rounded

RECIPE = (halves, light, weights)


def folder() -> Path:
    """Where zoo models are kept: `zoo` in the cache folder. Deleting it loses only time."""
    return _cache_root() / "zoo"


FORMS = {"float32": lambda model: model, "float16": in_half, "rounded": rounded}


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
        _write(FORMS[form](light.build(name, seed, batch, image)), file)
    return file


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
