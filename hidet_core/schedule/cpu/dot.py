"""Contractions of 8-bit integers on CPUs: the register tiles of floats, four bytes at a time.

    acc[i, j] = start[j];  acc[i, j] += dot4(word of a[i, 4k : 4k + 4], word of w[4k : 4k + 4, j])

Weights are constants of i8, packed [panel][step][NR] words of four (words.py). A convolution reads
its activations straight from the image, as that of floats does; what a prologue computes is
computed once for all panels.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import i8, i32
from hidet_core.ir.expr import Buffer, Expr, is_const, load, wrap
from hidet_core.lang import Tensor, build, ceildiv, local, minimum, parallel, prefetch, range_
from hidet_core.target.cpu import Cpu

from ..problem import Pack, Problem, Scheduled
from ..template import Template
from ..work import scalars_of, unravel
from .contraction import LINE, Contraction, TileConfig, write_contraction, write_tiles
from .conv import Pixels, conv_size
from .depthwise import is_depthwise
from .matmul import batch_of, matmul_size, packs
from .span import span
from .staged import stage_rows
from .tiles import ContractionSize, contraction_cost, tile_space
from .words import BYTES, dot4, pack_words, word, word_count


class _Dot(Template):
    """What both contractions have in common."""

    def accepts(self, problem: Problem) -> bool:
        x, w = problem.inputs
        return x.dtype.is_byte and w.dtype == i8 and problem.constant[1]

    def space(self, problem: Problem, target: Cpu) -> Iterator[TileConfig]:
        return tile_space(target)

    def check(self, problem: Problem, config: TileConfig, target: Cpu) -> None:
        config.check(target)
        rows = product(problem.output.shape[:-1])
        if isinstance(rows, int):
            require(
                config.mr <= max(rows, 1), f"{config.mr} rows in a tile, the problem has {rows}"
            )

    def cost(self, problem: Problem, config: TileConfig, target: Cpu) -> float:
        return contraction_cost(config, target, self.size(problem))

    def build(self, problem: Problem, config: TileConfig, target: Cpu) -> Scheduled:
        lanes = target.lanes(i32.bytes)
        width = config.nv * lanes
        spec, packed, pack = self.contraction(problem, width)
        x, out = problem.inputs[0], problem.output
        with build(problem.name, [x, packed, out], scalars_of(x, out)) as slot:
            if problem.computed[0] and len(spec.k_extents) == 1:
                _write_staged(spec, packed, config, lanes, x)
            else:
                write_contraction(_of_words(spec, packed, x.dtype == i8), config, lanes)
        size = self.size(problem)
        chunks = ceildiv(ceildiv(size.rows, config.mr), config.blocks)
        tasks = size.groups * ceildiv(size.cols, width) * chunks
        task_ns = contraction_cost(config, target, size) / max(tasks, 1)
        return Scheduled(slot.program, {1: (packed, pack)}, str(config), task_ns)

    def size(self, problem: Problem) -> ContractionSize:
        """In words, for estimates."""
        raise NotImplementedError

    def contraction(self, problem: Problem, width: int) -> tuple[Contraction, Buffer, Pack]:
        """What to compute, byte by byte, the packed weights and who packs them."""
        raise NotImplementedError


class DotMatmul(_Dot):
    """matmul of bytes with one constant matrix; all batch dims are rows."""

    ops = ("matmul",)

    def accepts(self, problem: Problem) -> bool:
        return super().accepts(problem) and packs(problem)

    def size(self, problem: Problem) -> ContractionSize:
        return _in_words(matmul_size(problem))

    def contraction(self, problem: Problem, width: int) -> tuple[Contraction, Buffer, Pack]:
        x, w, out = *problem.inputs, problem.output
        depth, cols = (int(dim) for dim in w.shape[-2:])  # type: ignore[arg-type]

        def index(row: Expr) -> tuple[Expr, ...]:
            return unravel(row, out.shape[:-1])

        def element(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
            return load(x, *batch_of(x, index(row)[:-1]), index(row)[-1], ks[0])

        def store(group: Expr, row: Expr, column: Expr, value: Expr) -> None:
            Tensor(out)[(*index(row), column)] = value

        rows = product(out.shape[:-1])
        is_signed = x.dtype == i8
        packed = _packed((1, cols), (depth,), width)

        def pack(array: np.ndarray) -> np.ndarray:
            return pack_words(array.reshape(depth, cols), width, depth, is_signed)[None]

        return Contraction(1, rows, cols, (depth,), element, _never, store), packed, pack


class DotConv(_Dot):
    """conv2d of bytes with constant weights, any groups but depthwise."""

    ops = ("conv2d",)

    def accepts(self, problem: Problem) -> bool:
        zeros = problem.attrs.get("pad_value", 0) == 0 or not any(problem.attrs["pads"])
        return super().accepts(problem) and zeros and not is_depthwise(problem)

    def size(self, problem: Problem) -> ContractionSize:
        return _in_words(conv_size(problem))

    def contraction(self, problem: Problem, width: int) -> tuple[Contraction, Buffer, Pack]:
        pixels, x = Pixels(problem), problem.inputs[0]
        extents, groups, cols = pixels.extents, pixels.groups, pixels.per_group
        length, is_signed = extents[-1], x.dtype == i8
        packed = _packed((groups, cols), extents, width)

        def pack(array: np.ndarray) -> np.ndarray:
            depth = int(np.prod(array.shape[:3]))
            flat = array.reshape(depth, groups, cols)
            parts = [pack_words(flat[:, g], width, length, is_signed) for g in range(groups)]
            return np.stack(parts)

        rows = product(problem.output.shape[:3])
        spec = Contraction(groups, rows, cols, extents, pixels.a, _never, pixels.store)
        return spec, packed, pack


def _never(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
    raise AssertionError("bytes of packed weights are not read one by one")


def _in_words(size: ContractionSize) -> ContractionSize:
    return replace(size, depth=word_count(size.depth), a_bytes=size.a_bytes // BYTES)


def _packed(size: tuple[int, int], extents: tuple[int, ...], width: int) -> Buffer:
    """size: groups, columns of one; extents: of the k loops, in bytes."""
    groups, cols = size
    steps = product(extents[:-1]) * word_count(extents[-1]) + 1
    return Buffer("wpack", i32, (groups, ceildiv(cols, width), steps, width), None, "global", 64)


def _of_words(spec: Contraction, packed: Buffer, is_signed: bool) -> Contraction:
    """A contraction of bytes as one of words."""
    length = spec.k_extents[-1]
    assert isinstance(length, int), "weights are constants"
    extents = (*spec.k_extents[:-1], word_count(length))
    rest = length % BYTES

    def a(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
        count = rest if rest and is_const(ks[-1]) else BYTES
        outer, first = ks[:-1], ks[-1] * BYTES
        return word(lambda k: spec.a(group, row, (*outer, first + k)), count, is_signed)

    def b(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
        step: Expr = wrap(0)
        for index, extent in zip(ks, extents, strict=True):
            step = step * extent + index
        return load(packed, group, panel, step + 1, column)

    def start(group: Expr, panel: Expr, column: Expr) -> Expr:
        return load(packed, group, panel, 0, column)

    def ahead(group: Expr, panel: Expr, line: Expr) -> None:
        prefetch(Tensor(packed), group, panel, 0, line * LINE)

    return replace(
        spec, k_extents=extents, a=a, b=b, start=start, ahead=ahead, dtype=i32, product=dot4,
        last_apart=rest > 0,
    )  # fmt: skip


def _write_staged(
    spec: Contraction, packed: Buffer, config: TileConfig, lanes: int, x: Buffer
) -> None:
    """Each task computes its rows of bytes once, into its own memory, for all panels."""
    (depth,) = spec.k_extents
    assert isinstance(depth, int), "weights are constants"
    count = stage_rows(config, word_count(depth))
    stage = local(x.dtype, [count, -(-depth // lanes) * lanes], "stage")
    for group, chunk in parallel(spec.groups, ceildiv(spec.rows, count)):
        first = chunk * count
        for row in range_(minimum(spec.rows - first, count), "row"):
            for k in span(depth, lanes):
                stage[row, k] = spec.a(group, first + row, (k,))

        def staged(group: Expr, row: Expr, ks: Sequence[Expr], first: Any = first) -> Expr:
            return load(stage.buffer, row - first, ks[0])

        words = _of_words(replace(spec, a=staged), packed, x.dtype == i8)
        for panel in range_(ceildiv(spec.cols, config.nv * lanes), "panel"):
            write_tiles(words, config, lanes, (group, panel, first), count)
