"""Seeded inputs for a model: one array for each true input of its graph.

In: a model (or its path), a seed, sizes for symbolic dims; out: {name: array}. Floats of rank 4 are
images: a coarse pattern plus fine noise, of mean 0 and variance 1 (of noise alone an average pool
would leave nothing). Integers are small indices, booleans a coin toss; the masks and segments of
tokens are rows of ones that end in zeros.
"""

import math
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx

COARSE = 16  # pixels of one cell of the coarse pattern
MAX_INDEX = 16
TOKEN_FLAGS = ("attention_mask", "token_type_ids")  # 0 or 1 for each token of a row


def inputs(
    model: onnx.ModelProto | str | Path, seed: int = 0, dims: Mapping[str, int] | None = None
) -> dict[str, np.ndarray]:
    """Arrays for all inputs that are no initializers. dims: sizes by symbol, default 1 each."""
    if not isinstance(model, onnx.ModelProto):
        model = onnx.load(model, load_external_data=False)
    rng = np.random.default_rng(seed)
    given = {tensor.name for tensor in model.graph.initializer}
    feeds = [value for value in model.graph.input if value.name not in given]
    return {value.name: _sample(value, rng, dims or {}) for value in feeds}


def _sample(
    value: onnx.ValueInfoProto, rng: np.random.Generator, dims: Mapping[str, int]
) -> np.ndarray:
    tensor = value.type.tensor_type
    if not tensor.HasField("shape"):
        raise ValueError(f"input {value.name!r} has no shape: give the model one")
    shape = tuple(d.dim_value or _size(d.dim_param, dims) for d in tensor.shape.dim)
    dtype = onnx.helper.tensor_dtype_to_np_dtype(tensor.elem_type)
    if dtype == np.bool_:
        return rng.integers(0, 2, shape).astype(dtype)
    if value.name in TOKEN_FLAGS:
        return _flags(shape, rng).astype(dtype)
    if np.issubdtype(dtype, np.integer):
        return rng.integers(0, MAX_INDEX, shape).astype(dtype)
    return (_image(shape, rng) if len(shape) == 4 else _noise(shape, rng)).astype(dtype)


def _size(text: str, dims: Mapping[str, int]) -> int:
    """Of a symbol, or of a sum of symbols."""
    return sum(dims.get(part.strip(), 1) for part in text.split("+"))


def _flags(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    """Rows of ones, at least one if there is room, that end in zeros."""
    ones = rng.integers(1, max(shape[-1], 1) + 1, (*shape[:-1], 1))
    return np.arange(shape[-1]) < ones


def _noise(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    return rng.standard_normal(shape, np.float32)


def _image(shape: tuple[int, ...], rng: np.random.Generator) -> np.ndarray:
    *front, height, width = shape
    cells = (*front, math.ceil(height / COARSE), math.ceil(width / COARSE))
    coarse = _noise(cells, rng).repeat(COARSE, axis=-2).repeat(COARSE, axis=-1)
    return (coarse[..., :height, :width] + _noise(shape, rng)) * np.float32(math.sqrt(0.5))
