"""Matrix multiplication on CPUs as a register-tiled contraction.

b constant without batch dims: repacked to panels [panel][k][NR], and all rows of a (batch and M)
are one range of rows. Otherwise b is read in place, its last columns under a mask, and the batch is
the outermost grid dim.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from hidet_core.base.errors import require
from hidet_core.compute.dims import product
from hidet_core.ir.dtypes import f32
from hidet_core.ir.expr import Buffer, Expr, Load, is_const, wrap
from hidet_core.ir.widen import narrowed, wide, wide_load, wide_type
from hidet_core.lang import Tensor, build, ceildiv, prefetch
from hidet_core.target.cpu import Cpu

from ..problem import Pack, Problem, Scheduled
from ..template import Template
from ..work import TYPICAL_DIM, estimate, scalars_of, unravel
from .contraction import LINE, Contraction, TileConfig, write_contraction
from .panels import pack_panels
from .staged import write_staged_contraction
from .tiles import SYMBOLIC_ROWS, ContractionSize, contraction_cost, tile_space


class Matmul(Template):
    """matmul of f32 or 16-bit floats (computed in f32) with any batch dims."""

    ops = ("matmul",)

    def accepts(self, problem: Problem) -> bool:
        return wide_type(problem.output.dtype) == f32

    def space(self, problem: Problem, target: Cpu) -> Iterator[TileConfig]:
        return tile_space(target)

    def check(self, problem: Problem, config: TileConfig, target: Cpu) -> None:
        config.check(target)
        rows = _rows(problem)
        if isinstance(rows, int):
            require(
                config.mr <= max(rows, 1), f"{config.mr} rows in a tile, the problem has {rows}"
            )

    def cost(self, problem: Problem, config: TileConfig, target: Cpu) -> float:
        return contraction_cost(config, target, matmul_size(problem))

    def build(self, problem: Problem, config: TileConfig, target: Cpu) -> Scheduled:
        lanes = target.lanes(4)
        spec, buffer, pack = (
            _packed(problem, config.nv * lanes)
            if packs(problem)
            else (_in_place(problem, config, lanes), None, None)
        )
        second = problem.inputs[1] if buffer is None else buffer
        a, out = problem.inputs[0], problem.output
        with build(problem.name, [a, second, out], scalars_of(a, second, out)) as slot:
            converts = problem.computed[0] or a.dtype.is_half
            if converts and isinstance(spec.k_extents[0], int) and isinstance(spec.groups, int):
                write_staged_contraction(spec, config, lanes)
            else:
                write_contraction(spec, config, lanes)
        size = matmul_size(problem)
        chunks = ceildiv(ceildiv(size.rows, config.mr), config.blocks)
        tasks = size.groups * ceildiv(size.cols, config.nv * lanes) * chunks
        task_ns = contraction_cost(config, target, size) / max(tasks, 1)
        packed = {} if buffer is None or pack is None else {1: (buffer, pack)}
        return Scheduled(slot.program, packed, str(config), task_ns)


def packs(problem: Problem) -> bool:
    """Whether b is one constant matrix for all of a."""
    b = problem.inputs[1]
    static = all(isinstance(dim, int) for dim in b.shape)
    return problem.constant[1] and static and all(is_const(dim, 1) for dim in b.shape[:-2])


def _rows(problem: Problem) -> int | Expr:
    shape = problem.output.shape
    return product(shape[:-1]) if packs(problem) else shape[-2]


def matmul_size(problem: Problem) -> ContractionSize:
    """For estimates."""
    rows = _rows(problem)
    groups = 1 if packs(problem) else estimate(tuple(problem.output.shape[:-2]))
    depth = problem.inputs[0].shape[-1]
    cols = problem.output.shape[-1]
    rows = rows if isinstance(rows, int) else SYMBOLIC_ROWS
    cols = cols if isinstance(cols, int) else TYPICAL_DIM
    depth = depth if isinstance(depth, int) else TYPICAL_DIM
    return ContractionSize(groups, rows, cols, depth, 4 * rows * depth)


def _packed(problem: Problem, width: int) -> tuple[Contraction, Buffer, Pack]:
    a, b, out = problem.inputs[0], problem.inputs[1], problem.output
    depth, cols = int(b.shape[-2]), int(b.shape[-1])  # type: ignore[arg-type]
    packed = Buffer("wpack", f32, (ceildiv(cols, width), depth, width), None, "global", 64)

    def index(row: Expr) -> tuple[Expr, ...]:
        return unravel(row, out.shape[:-1])

    def read(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
        return wide_load(a, *batch_of(a, index(row)[:-1]), index(row)[-1], ks[0])

    def store(group: Expr, row: Expr, column: Expr, value: Expr) -> None:
        Tensor(out)[(*index(row), column)] = narrowed(value, out.dtype)

    def panel_of(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
        return Tensor(packed)[panel, ks[0], column]

    def ahead(group: Expr, panel: Expr, line: Expr) -> None:
        prefetch(Tensor(packed), panel, 0, line * LINE)

    return (
        Contraction(1, product(out.shape[:-1]), cols, (depth,), read, panel_of, store, ahead),
        packed,
        _packer(width),
    )


def _in_place(problem: Problem, config: TileConfig, lanes: int) -> Contraction:
    a, b, out = problem.inputs[0], problem.inputs[1], problem.output
    batch, width, cols = out.shape[:-2], config.nv * lanes, out.shape[-1]

    def read(group: Expr, row: Expr, ks: Sequence[Expr]) -> Expr:
        return wide_load(a, *batch_of(a, unravel(group, batch)), row, ks[0])

    def read_b(group: Expr, panel: Expr, ks: Sequence[Expr], column: Expr) -> Expr:
        index = (*batch_of(b, unravel(group, batch)), ks[0], panel * width + column)
        inside = panel * width + column < cols
        return wide(Load(b, tuple(wrap(i) for i in index), b.dtype, inside))

    def store(group: Expr, row: Expr, column: Expr, value: Expr) -> None:
        Tensor(out)[(*unravel(group, batch), row, column)] = narrowed(value, out.dtype)

    return Contraction(product(batch), out.shape[-2], cols, (a.shape[-1],), read, read_b, store)


def batch_of(buffer: Buffer, batch: Sequence[Expr]) -> list[Expr]:
    """Indices of a buffer's batch dims at a batch index of the output (1 is broadcast)."""
    dims = buffer.shape[:-2]
    offset = len(batch) - len(dims)
    return [wrap(0) if is_const(wrap(dim), 1) else batch[k + offset] for k, dim in enumerate(dims)]


def _packer(width: int) -> Pack:
    """[..., K, N] -> [panel][K][width]."""

    def pack(array: np.ndarray) -> np.ndarray:
        return pack_panels(array.reshape(array.shape[-2:]), width)

    return pack
