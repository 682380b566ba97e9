"""Inputs to measure a graph with: its symbols get sizes, its tensors seeded contents."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from hidet_core.base.errors import BadOption
from hidet_core.compute.evaluate import dim_value
from hidet_core.graph.graph import Graph
from hidet_core.ir.dtypes import DType
from hidet_core.ir.expr import Var
from hidet_core.ir.halves import as_dtype

FIRST_AXIS, OTHER_AXIS = 1, 64  # sizes of dims that nobody named


def sizes_of(graph: Graph, given: Mapping[str, int]) -> dict[Var, int]:
    """A size for each symbol: as given by its name, else 1 for batches (the first axis of an input)
    and 64 for others. Raises BadOption for a name that is no symbol of the graph.
    """
    names = {symbol.name for symbol in graph.symbols}
    unknown = sorted(set(given) - names)
    if unknown:
        raise BadOption("size", unknown[0], sorted(names) or ["nothing: all sizes are known"])
    first = {value.type.shape[0] for value in graph.inputs if value.type.shape}
    default = {s: FIRST_AXIS if s in first else OTHER_AXIS for s in graph.symbols}
    return {symbol: given.get(symbol.name, size) for symbol, size in default.items()}


def sample_inputs(graph: Graph, sizes: Mapping[Var, int], seed: int = 0) -> list[np.ndarray]:
    """An array for each input: normal numbers, true, and zeros for integers, which may be
    indices.
    """
    rng = np.random.default_rng(seed)
    arrays = []
    for value in graph.inputs:
        shape = [dim_value(dim, sizes) for dim in value.type.shape]
        arrays.append(_content(value.type.dtype, shape, rng))
    return arrays


def _content(dtype: DType, shape: list[int], rng: np.random.Generator) -> np.ndarray:
    if dtype.is_float:
        return as_dtype(rng.standard_normal(shape).astype(np.float32), dtype)
    return np.full(shape, dtype.is_bool, dtype.numpy)
