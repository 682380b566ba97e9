"""Register-tiled contractions: the micro-kernel that matmul and convolution share on CPUs.

    out[g, m, n] = sum over k of a(g, m, k) * b(g, k, n)

A task is one panel of NR = vectors * lanes columns and a run of row blocks; a row block is MR rows.
The tile of MR x NR sums lives in vector registers while k runs; `a` is read by scalar broadcast,
`b` by vector (hence panels packed [panel][k][NR] where it is constant). Rows that do not fill a
block get a tile of their own size when the number of rows is known, and a guarded tile when it is
symbolic. The space is made of register-tile sizes, not of input sizes.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hidet_core.base.errors import require
from hidet_core.ir.dtypes import DType, f32
from hidet_core.ir.expr import Expr, is_const, wrap
from hidet_core.lang import (
    Tensor,
    ceildiv,
    lanes,
    let,
    minimum,
    parallel,
    range_,
    register,
    repeat,
    spatial,
    when,
)
from hidet_core.target.cpu import Cpu

from ..config import Config

LINE = 16  # elements of a cache line
AHEAD_LINES = 512  # how far what is read once is asked for in advance
Dim = int | Expr
Indices = tuple[Expr, ...]


@dataclass(frozen=True)
class TileConfig(Config):
    """mr x nv: rows and vectors of the register tile; blocks: row blocks of one task.

    outer: which of "panels" and "rows" changes more slowly from task to task. The other operand is
    read again for each of them, so it should be the one that stays in the core's cache. Threads
    take neighbouring tasks: with "rows" a thread finds in its own cache the rows it made before.
    """

    mr: int
    nv: int
    blocks: int
    outer: str = "panels"

    def check(self, target: Cpu) -> None:
        """Raises Rejected if the tile does not fit the vector registers (one is kept for the
        broadcast).
        """
        need = self.mr * self.nv + min(self.nv, self.mr) + 1
        require(
            need <= target.registers + 2,
            f"a {self.mr}x{self.nv} tile needs {need} of {target.registers} registers",
        )


@dataclass(frozen=True, eq=False)
class Contraction:
    """groups x [rows, k] x [k, cols]; k is a nest of loops. The callbacks give loads and write
    results by index.
    """

    groups: Dim
    rows: Dim
    cols: int | Expr
    k_extents: tuple[Dim, ...]
    a: Callable[[Expr, Expr, Sequence[Expr]], Expr]  # (group, row, k indices)
    b: Callable[
        [Expr, Expr, Sequence[Expr], Expr], Expr
    ]  # (group, panel, k indices, column inside the panel)
    store: Callable[[Expr, Expr, Expr, Expr], None]  # (group, row, column, value)
    # (group, panel, n): ask for the n-th cache line from the panel's first on
    ahead: Callable[[Expr, Expr, Expr], None] | None = None
    dtype: DType = f32  # of the sums
    product: Callable[[Expr, Expr], Expr] = operator.mul  # of an element of a and one of b
    start: Callable[[Expr, Expr, Expr], Expr] | None = None  # (group, panel, column); else 0
    # the last step of the innermost k loop has an index that is a constant, since it is unlike
    # the others
    last_apart: bool = False


def write_contraction(spec: Contraction, config: TileConfig, vector_lanes: int) -> None:
    """Write the program of a contraction into the program being built."""
    panels = ceildiv(spec.cols, config.nv * vector_lanes)
    count = config.blocks * config.mr
    chunks = ceildiv(spec.rows, count)
    if config.outer == "panels":
        for group, panel, chunk in parallel(spec.groups, panels, chunks):
            write_tiles(spec, config, vector_lanes, (group, panel, chunk * count), count)
    else:
        for chunk, group, panel in parallel(chunks, spec.groups, panels):
            write_tiles(spec, config, vector_lanes, (group, panel, chunk * count), count)


def write_tiles(
    spec: Contraction, config: TileConfig, vector_lanes: int, at: Indices, count: int
) -> None:
    """The row blocks of rows [first, first + count) at (group, panel, first); count is a multiple
    of config.mr.
    """
    group, panel, first = at
    mr = config.mr
    full, rest = spec.rows // mr * mr, spec.rows % mr
    if not is_const(full, 0):
        for block in range_(minimum((full - first) // mr, count // mr), "block"):
            _write_tile(spec, config, vector_lanes, (group, panel, first + block * mr), mr, None)
    if is_const(rest, 0):
        return
    with when((full >= first) & (full < first + count) & (wrap(rest) > 0)):
        if isinstance(rest, int):
            _write_tile(spec, config, vector_lanes, (group, panel, wrap(full)), rest, None)
        else:
            _write_tile(spec, config, vector_lanes, (group, panel, full), mr, spec.rows)


def _write_tile(
    spec: Contraction,
    config: TileConfig,
    vector_lanes: int,
    at: Indices,
    rows: int,
    guard: Dim | None,
) -> None:
    """One register tile of `rows` rows at (group, panel, first row); guard: rows from there on do
    not exist.
    """
    group, panel, first = at
    width = config.nv * vector_lanes
    tile = repeat(rows, config.nv) * spatial(1, vector_lanes)
    acc = register(spec.dtype, [rows, width], "acc")
    for i, j in lanes(tile):
        acc[i, j] = wrap(0, spec.dtype) if spec.start is None else spec.start(group, panel, j)

    def row_of(i: Expr) -> Expr:
        return first + i if guard is None else minimum(first + i, guard - 1)

    _accumulate(spec, tile, acc, (group, panel), row_of, _prefetcher(spec, config, at))
    for i, j in lanes(tile):
        column = panel * width + j
        inside = column < spec.cols
        if guard is not None:
            inside = inside & (first + i < guard)
        with when(inside):
            spec.store(group, first + i, column, acc[i, j])


def _prefetcher(
    spec: Contraction, config: TileConfig, at: Indices
) -> Callable[[Sequence[Expr]], None] | None:
    """What a k step does for the next panel: ask for a line of it, at a rate that spreads the whole
    panel over all steps of this one (a core has few line fill buffers; a line asked for again while
    it is under way costs none). Where the number of rows is symbolic: a line each step. Panels that
    are read once are asked for a little ahead.
    """
    group, panel, first = at
    ahead, extents = spec.ahead, spec.k_extents
    if (
        config.outer == "rows"
        or ahead is None
        or not all(isinstance(extent, int) for extent in extents)
    ):
        return None
    blocks = ceildiv(spec.rows, config.mr) if isinstance(spec.rows, int) else config.nv
    depth = math.prod(int(extent) for extent in extents)
    block = minimum(first // config.mr, blocks - 1)
    lines = ceildiv(config.nv, blocks)
    start = let("step", block * depth)
    distance = min(AHEAD_LINES, depth * config.nv) if is_const(blocks, 1) else depth * config.nv

    def step(ks: Sequence[Expr]) -> None:
        k: Expr = wrap(0)
        for index, extent in zip(ks, extents, strict=True):
            k = k * extent + index
        for line in range(lines):
            now = ((start + k) * lines + line) * config.nv // (blocks * lines)
            ahead(group, panel, now + distance)

    return step


def _accumulate(
    spec: Contraction,
    tile: Any,
    acc: Tensor,
    at: tuple[Expr, Expr],
    row_of: Callable[[Expr], Expr],
    step: Callable[[Sequence[Expr]], None] | None,
) -> None:
    """The k loops around acc += a * b."""
    group, panel = at

    def nest(ks: tuple[Expr, ...]) -> None:
        if len(ks) < len(spec.k_extents):
            extent = spec.k_extents[len(ks)]
            apart = spec.last_apart and len(ks) == len(spec.k_extents) - 1
            for k in range_(extent - 1 if apart else extent, "k"):
                nest((*ks, k))
            if apart:
                nest((*ks, wrap(extent - 1)))
            return
        if step is not None:
            step(ks)
        for i, j in lanes(tile):
            element = spec.a(group, row_of(i), ks), spec.b(group, panel, ks, j)
            acc[i, j] = acc[i, j] + spec.product(*element)

    if not any(is_const(wrap(extent), 0) for extent in spec.k_extents):
        nest(())
