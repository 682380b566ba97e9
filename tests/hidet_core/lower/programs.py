"""Small random programs for the lowering passes, written in the language, and how to run them."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import Any

import numpy as np
from hypothesis import strategies as st

from hidet_core.codegen import interpret
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Var, cast, maximum, minimum, select
from hidet_core.ir.stmt import Program
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    let,
    loops,
    otherwise,
    parallel,
    range_,
    register,
    repeat,
    spatial,
    unroll,
    when,
)

SHAPES = [(5,), (16,), (3, 7), (4, 8), (2, 3, 6)]
MAPPINGS = {
    1: [spatial(4), repeat(2) * spatial(4), repeat(3) * spatial(4) * repeat(2), repeat(3)],
    2: [
        repeat(2, 2) * spatial(1, 4),
        repeat(2, 3, ranks=[1, 0]) * spatial(1, 2),
        spatial(2, 2) * repeat(1, 2),
        repeat(2, 4),
    ],
}


@dataclass(frozen=True)
class Recipe:
    """How a random program maps y[i] = f(x[i]) on its box of elements."""

    shape: tuple[int, ...]
    mapping: Any
    style: str  # lanes, loops or workers: who does the tasks of the mapping
    body: str  # what is computed
    is_symbolic: bool


def recipes() -> st.SearchStrategy[Recipe]:
    def of_shape(shape: tuple[int, ...]) -> st.SearchStrategy[Recipe]:
        mappings = st.sampled_from(MAPPINGS[min(len(shape), 2)])
        styles = st.sampled_from(["lanes", "loops", "workers"])
        return st.builds(
            Recipe, st.just(shape), mappings, styles, st.sampled_from(list(BODIES)), st.booleans()
        )

    return st.sampled_from(SHAPES).flatmap(of_shape)


def _plain(x, y, index, dims):
    y[index] = x[index] * 2.0 + 1.0


def _clamped(x, y, index, dims):
    """A window that the border cuts: positions are clamped, what is outside counts as 0."""
    place = index[-1] - 2
    inside = (place >= 0) & (place < dims[-1])
    value = x[(*index[:-1], minimum(maximum(place, 0), dims[-1] - 1))]
    y[index] = select(inside, value, 0.0)


def _branches(x, y, index, dims):
    with when(index[-1] % 3 < 1):
        y[index] = x[index] * 3.0
    with when(index[-1] % 3 > 0):
        y[index] = cast(index[-1] // 2, f32)


def _mirrored(x, y, index, dims):
    place = let("mirror", dims[-1] - 1 - index[-1])
    value = let("value", x[(*index[:-1], place)])
    y[index] = value * value


def _summed(x, y, index, dims):
    """A running sum in a register, over a serial and an unrolled loop."""
    acc = register("f32", [2], "acc")
    acc[0] = 0.0
    acc[1] = 1.0
    for k in range_(dims[-1], "k"):
        for u in unroll(2):
            acc[u] = acc[u] + x[(*index[:-1], k)]
    y[index] = acc[0] * acc[1]


def _updated(x, y, index, dims):
    """Conditions on memory that their branches change."""
    y[index] = x[index] % 4.0
    with when(y[index] < 2.0):
        y[index] += 2.0
        y[index] += 8.0
    with otherwise():
        y[index] *= y[index]


BODIES = {
    "plain": _plain,
    "clamped": _clamped,
    "branches": _branches,
    "mirrored": _mirrored,
    "summed": _summed,
    "updated": _updated,
}


def write(recipe: Recipe) -> Program:
    """The program of a recipe, spec "scheduled"."""
    symbol = Var("n")
    dims = (*recipe.shape[:-1], symbol) if recipe.is_symbolic else recipe.shape
    x, y = Buffer("x", f32, dims), Buffer("y", f32, dims)
    tile = recipe.mapping.shape
    lead = len(dims) - len(tile)
    grid = [*dims[:lead], *(ceildiv(dim, t) for dim, t in zip(dims[lead:], tile, strict=True))]
    with build("random", [x, y], [symbol] if recipe.is_symbolic else []) as slot:
        for point in parallel(*grid):
            for tasks in _tasks(recipe):
                inner = [p * t + i for p, t, i in zip(point[lead:], tile, tasks, strict=True)]
                index = (*point[:lead], *inner)
                inside = index[-1] < dims[-1]
                for axis in range(lead, len(dims) - 1):
                    inside = inside & (index[axis] < dims[axis])
                with when(inside):
                    BODIES[recipe.body](Tensor(x), Tensor(y), index, dims)
    return slot.program


def _tasks(recipe: Recipe) -> Any:
    mapping = recipe.mapping
    is_summed = recipe.body == "summed"  # registers of a task cannot be in lanes
    if recipe.style == "lanes" and mapping.num_workers > 1 and not is_summed:
        yield from lanes(mapping)
    elif recipe.style == "loops":
        for worker in range_(mapping.num_workers, "w"):
            yield from loops(mapping, worker)
    else:
        for worker in range_(mapping.num_workers, "w"):
            yield from mapping.on(worker)


def run(program: Program, recipe: Recipe) -> np.ndarray:
    """What the program stores, from inputs that tell elements apart."""
    x = np.arange(1, 1 + np.prod(recipe.shape), dtype=np.float32).reshape(recipe.shape)
    y = np.full(recipe.shape, -1, np.float32)
    interpret(program, [x, y], [recipe.shape[-1]] if recipe.is_symbolic else [])
    return y


def every_recipe() -> list[Recipe]:
    """All bodies and styles once, each with some shape and mapping."""
    found = []
    for number, (style, body) in enumerate(
        itertools.product(("lanes", "loops", "workers"), BODIES)
    ):
        shape = SHAPES[number % len(SHAPES)]
        choices = MAPPINGS[min(len(shape), 2)]
        found.append(Recipe(shape, choices[number % len(choices)], style, body, bool(number % 2)))
    return found
