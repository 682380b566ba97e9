"""Matrix products with weights of 4 or 8 bits on CPUs: made floats in the registers of the tile.

    acc[i, j] += a[i, k] * (f32(q[k, j]) * scale[block, j] + shift[block, j])

The bytes are packed [panel][byte along K][NR], so that a vector of columns is one load, and its two
halves two steps; scales and shifts [panel][block][NR]. A row of a tile costs one multiply-add a
step, the weights four operations for all rows of it. A task of many rows makes its panel of weights
once, in its own memory, if that is small beside the core's cache:

    stage[k, j] = weight; for block of rows: acc[i, j] += a[i, k] * stage[k, j]
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import numpy as np

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32, i32, u8
from hidet_core.ir.expr import Buffer, Expr, binary, cast, load, wrap
from hidet_core.ir.halves import single
from hidet_core.ir.widen import narrowed, wide_load, wide_type
from hidet_core.lang import (
    Tensor,
    build,
    ceildiv,
    lanes,
    local,
    parallel,
    range_,
    repeat,
    spatial,
    unroll,
)
from hidet_core.target.cpu import Cpu

from ..problem import Pack, Problem, Scheduled
from ..template import Template
from ..work import scalars_of, unravel
from .contraction import Contraction, TileConfig, write_contraction, write_tiles
from .panels import pack_panels
from .tiles import (
    CYCLES_PER_NS,
    SYMBOLIC_ROWS,
    ContractionSize,
    contraction_cost,
    tile_space,
)

WEIGHT_CYCLES, STAGE_CYCLES = 2.0, 1.0  # to make a vector of weights, to store it
STAGE_SHARE = 0.5  # of the core's cache that a panel of floats may take


class MatmulNBits(Template):
    """Constant weights; whole blocks."""

    ops = ("matmul_nbits",)

    def accepts(self, problem: Problem) -> bool:
        depth, is_wide = problem.inputs[0].shape[-1], wide_type(problem.output.dtype) == f32
        whole = isinstance(depth, int) and depth > 0 and depth % problem.attrs["block"] == 0
        return is_wide and whole and all(problem.constant[1:])

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
        return _cost(_size(problem), config, target)

    def build(self, problem: Problem, config: TileConfig, target: Cpu) -> Scheduled:
        lanes_wide = target.lanes(f32.bytes)
        width = config.nv * lanes_wide
        columns, blocks, size = (int(dim) for dim in problem.inputs[1].shape)
        panels = ceildiv(columns, width)
        bytes_ = Buffer("wpack", u8, (panels, blocks * size, width), None, "global", 64)
        scales = Buffer("scales", f32, (panels, blocks, width), None, "global", 64)
        shifts = Buffer("shifts", f32, (panels, blocks, width), None, "global", 64)
        spec = _contraction(problem, bytes_, scales, shifts)
        x, out = problem.inputs[0], problem.output
        params = [x, bytes_, scales, shifts, out]
        with build(problem.name, params, scalars_of(x, out)) as slot:
            if _is_staged(_size(problem), config, target):
                _write_staged(spec, config, lanes_wide)
            else:
                write_contraction(spec, config, lanes_wide)
        whole = _size(problem)
        chunks = ceildiv(ceildiv(whole.rows, config.mr), config.blocks)
        task_ns = _cost(whole, config, target) / max(panels * chunks, 1)
        sides = _packer(width)
        packed = {1: (bytes_, _byte_packer(width)), 2: (scales, sides), 3: (shifts, sides)}
        return Scheduled(slot.program, packed, str(config), task_ns)


def _cost(size: ContractionSize, config: TileConfig, target: Cpu) -> float:
    """That of the products, and of the weights, which each block of rows, or task, makes anew."""
    vectors = ceildiv(size.cols, config.nv * target.lanes(f32.bytes)) * config.nv
    staged = _is_staged(size, config, target)
    rows = config.mr * config.blocks if staged else config.mr
    each = WEIGHT_CYCLES + STAGE_CYCLES * staged
    cycles = ceildiv(size.rows, rows) * size.depth * vectors * each
    return contraction_cost(config, target, size) + cycles / CYCLES_PER_NS


def _is_staged(size: ContractionSize, config: TileConfig, target: Cpu) -> bool:
    """Whether a task makes its weights once for several blocks of rows."""
    panel_bytes = size.depth * config.nv * target.vector_bytes
    several = config.blocks > 1 and size.rows > config.mr
    return several and panel_bytes <= STAGE_SHARE * target.l2_bytes


def _write_staged(spec: Contraction, config: TileConfig, lanes_wide: int) -> None:
    """Like write_contraction, of a spec whose k loops are (block, byte, element of a byte)."""
    blocks, size, each = (int(extent) for extent in spec.k_extents)  # type: ignore[arg-type]
    width, count = config.nv * lanes_wide, config.mr * config.blocks
    stage = local(f32, [blocks * size * each, width], "stage")

    def a(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
        return spec.a(group, row, (wrap(0), wrap(0), ks[0]))

    def b(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
        return load(stage.buffer, ks[0], column)

    flat = replace(spec, k_extents=(blocks * size * each,), a=a, b=b)
    for panel, chunk in parallel(ceildiv(spec.cols, width), ceildiv(spec.rows, count)):
        for at in range_(blocks * size, "byte"):
            which, place = at // size, at % size
            for half in unroll(each):
                for (j,) in lanes(repeat(config.nv) * spatial(lanes_wide)):
                    stage[at * each + half, j] = spec.b(wrap(0), panel, (which, place, half), j)
        write_tiles(flat, config, lanes_wide, (wrap(0), panel, chunk * count), count)


def _size(problem: Problem) -> ContractionSize:
    """For estimates."""
    rows = product(problem.output.shape[:-1])
    rows = rows if isinstance(rows, int) else SYMBOLIC_ROWS
    ends = problem.inputs[0].shape[-1], problem.output.shape[-1]
    depth, columns = (int(dim) for dim in ends)  # type: ignore[arg-type]
    return ContractionSize(1, rows, columns, depth, 4 * rows * depth)


def _contraction(problem: Problem, bytes_: Buffer, scales: Buffer, shifts: Buffer) -> Contraction:
    x, out, block = problem.inputs[0], problem.output, problem.attrs["block"]
    size = int(problem.inputs[1].shape[2])  # type: ignore[arg-type]
    each = block // size  # elements of a byte
    depth = int(x.shape[-1])  # type: ignore[arg-type]

    def a(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
        which, place, half = ks
        return wide_load(x, *unravel(row, out.shape[:-1]), (which * size + place) * each + half)

    def b(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
        which, place, half = ks
        whole = cast(load(bytes_, panel, which * size + place, column), i32)
        if each == 2:
            whole = binary("and", binary("shr", whole, cast(half * 4, i32)), wrap(15, i32))
        scale, shift = load(scales, panel, which, column), load(shifts, panel, which, column)
        return cast(whole, f32) * scale + shift

    def store(group: Expr, row: Expr, column: Expr, value: Expr) -> None:
        Tensor(out)[(*unravel(row, out.shape[:-1]), column)] = narrowed(value, out.dtype)

    extents = (depth // block, size, each)
    rows = product(out.shape[:-1])
    return Contraction(1, rows, out.shape[-1], extents, a, b, store)


def _packer(width: int) -> Pack:
    """[N, blocks] -> [panel][block][width]."""
    return lambda array: pack_panels(np.ascontiguousarray(single(array).T), width)


def _byte_packer(width: int) -> Pack:
    """[N, blocks, bytes] -> [panel][byte along K][width]."""

    def pack(array: np.ndarray) -> np.ndarray:
        columns = len(array)
        panels = -(-columns // width)
        flat = np.zeros((panels * width, array[0].size), np.uint8)
        flat[:columns] = array.reshape(columns, -1)
        return np.ascontiguousarray(flat.reshape(panels, width, -1).transpose(0, 2, 1))

    return pack
